"""Errors of the parts that commands use, as the one line a command refuses with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from infra.broker import BrokerError
from infra.cli.errors import CliError
from infra.clickhouse import DatabaseError
from infra.cluster import ClusterError
from infra.cohorts import SliceError
from infra.console import ConsoleError
from infra.definitions import DefinitionError
from infra.export import ExportError
from infra.questions import UndefinedError
from infra.registry import RegistryError
from infra.results import HistoryError
from infra.scenario import ScenarioError
from infra.waiting import NotThereError

REFUSALS = (
    BrokerError,
    ClusterError,
    ConsoleError,
    DatabaseError,
    DefinitionError,
    ExportError,
    HistoryError,
    NotThereError,
    RegistryError,
    ScenarioError,
    SliceError,
    UndefinedError,
)


@contextmanager
def refusals() -> Iterator[None]:
    """Turns what is expected to go wrong into ``CliError``; anything else is a bug and shows as one."""
    try:
        yield
    except REFUSALS as error:
        raise CliError(str(error)) from error
