"""What the stack of one machine is made of."""

from __future__ import annotations

from config.settings import Local, Settings
from infra.local.broker import Broker
from infra.local.clickhouse import ClickHouse
from infra.local.console import Console
from infra.local.exporter import Exporter
from infra.local.flink import JobManager, TaskManager
from infra.local.heartbeat import Heartbeat
from infra.local.notify import Notify
from infra.local.part import Member
from infra.local.registry import Registry
from infra.local.steps import Contracts, Jobs, Migrations

MEMBERS: tuple[type[Member], ...] = (
    Broker,
    Registry,
    JobManager,
    TaskManager,
    ClickHouse,
    Contracts,
    Migrations,
    Console,
    Heartbeat,
    Notify,
    Exporter,
    Jobs,
)
"""In the order in which they start; they stop in reverse."""


class StackError(Exception):
    """The stack cannot come up or go down; one line that says why and which log to read."""


def members(settings: Settings, names: tuple[str, ...] = ()) -> list[Member]:
    """The parts and steps of these names, or all that are wanted, in the order of their start.

    Raises:
        StackError: The settings have no section ``local``.
    """
    local = local_section(settings)
    found = [member(settings, local) for member in MEMBERS if not names or member.name in names]
    return [member for member in found if member.is_wanted]


def local_section(settings: Settings) -> Local:
    """What the settings say about this machine.

    Raises:
        StackError: Nothing.
    """
    if settings.local is None:
        raise StackError("these settings have no section `local`: their parts are run by others")
    return settings.local
