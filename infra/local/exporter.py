"""The exporter: what Prometheus reads besides Flink's own metrics."""

from __future__ import annotations

from config.settings import port_of
from infra.local.part import Part, Port, answers, python


class Exporter(Part):
    """Tells how fresh and how complete results are; nothing depends on it."""

    name = "exporter"
    needs = ("contracts", "migrations", "jobmanager")
    stop_deadline_s = 3.0

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port(port_of(self.settings.exporter.url), "LIVELIFT_EXPORTER_URL"),)

    def command(self) -> list[str]:
        return python("-m", "infra.observability.exporter")

    def is_healthy(self) -> bool:
        return answers(f"{self.settings.exporter.url}/metrics")
