"""The heartbeat: one record a second, so that event time moves when every tenant is idle."""

from __future__ import annotations

from infra.local.part import Part, python


class Heartbeat(Part):
    """Keeps the last mini-batch and the last timer from waiting for the next customer."""

    name = "heartbeat"
    needs = ("contracts",)
    stop_deadline_s = 3.0

    def command(self) -> list[str]:
        return python("-m", "infra.cli.main", "heartbeat")

    def is_healthy(self) -> bool:
        # It has no port; that it runs is checked before this is asked.
        return True
