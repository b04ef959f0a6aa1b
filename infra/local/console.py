"""The console, for experimenters who look with a browser."""

from __future__ import annotations

from infra.console import console_url
from infra.local.part import Part, Port, answers, python


class Console(Part):
    """Shows the results; nothing depends on it, and it outlives what it reads from."""

    name = "console"
    needs = ("migrations",)
    stop_deadline_s = 5.0

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port(self.settings.console.port, "LIVELIFT_CONSOLE_PORT"),)

    def command(self) -> list[str]:
        return python("-m", "infra.cli.main", "console")

    def is_healthy(self) -> bool:
        return answers(f"{console_url(self.settings)}/health")
