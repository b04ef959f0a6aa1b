"""The ClickHouse engine behind its HTTP front."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit, urlunsplit

from config.settings import Settings, port_of
from infra.local.part import Part, Port, answers, python


class ClickHouse(Part):
    """Stores and serves the results."""

    name = "clickhouse"

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port(port_of(self.settings.clickhouse.url), "LIVELIFT_CLICKHOUSE_URL"),)

    def prepare(self) -> None:
        write_operator_token(self.settings)

    def command(self) -> list[str]:
        memory = str(self.local.clickhouse_memory_mb)
        return python("-m", "infra.local.clickhouse_front", "--memory-mb", memory)

    def is_healthy(self) -> bool:
        parts = urlsplit(self.settings.clickhouse.url)
        return answers(urlunsplit((parts.scheme, parts.netloc, "/ping", "", "")))


def write_operator_token(settings: Settings) -> None:
    """Make the operator's token once, readable by its owner only, unless there is a password.

    Once, although the supervisor of a first start never knows it: the jobs keep the one they were given.
    """
    if settings.clickhouse.password or not settings.clickhouse.password_file:
        return
    file = settings.run_dir / settings.clickhouse.password_file
    if file.is_file() and file.stat().st_size:
        return
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.touch(mode=0o600)
    file.write_text(secrets.token_urlsafe(24), encoding="ascii")
