"""One look at everything the exporter tells: Kafka, the registry, ClickHouse, Flink and the console."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import httpx

from config.settings import Settings
from infra.broker import BrokerError
from infra.clickhouse import DatabaseError
from infra.cluster import ClusterError
from infra.console import console_url
from infra.observability.exporter.delays import Delays
from infra.observability.exporter.jobs import Jobs
from infra.observability.exporter.log import Log
from infra.observability.exporter.sample import Sample
from infra.observability.exporter.tables import Tables

ANSWER_WITHIN_SECONDS = 5.0

LOG = logging.getLogger("livelift.exporter")

AWAY = (BrokerError, DatabaseError, ClusterError, httpx.HTTPError)

Look = Callable[[], Iterable[Sample]]


class Looking:
    """Looks again and again; what does not answer is missing from the samples, and told as down."""

    def __init__(self, settings: Settings) -> None:
        log, tables, jobs = Log(settings), Tables(settings), Jobs(settings)
        self._parts: dict[str, Look] = {
            "kafka": log.look,
            "registry": lambda: _answers(f"{settings.registry.url}/subjects"),
            "clickhouse": tables.look,
            "flink": lambda: jobs.look(tables.activations),
        }
        if settings.local is not None:  # elsewhere nobody says whether there is one
            self._parts["console"] = lambda: _answers(f"{console_url(settings)}/health")
        delays = Delays(settings)
        # Of several parts: which of them is away was told already.
        self._between: tuple[Look, ...] = (delays.look, lambda: jobs.lags(tables.activations))

    def look(self) -> list[Sample]:
        """All samples of this moment; a part that hangs holds it up until its client gives up."""
        samples: list[Sample] = []
        for part, look in self._parts.items():
            seen = _seen(look)
            samples += [*(seen or ()), Sample("livelift_up", (part,), seen is not None)]
        for look in self._between:
            samples += _seen(look) or ()
        return samples


def _answers(url: str) -> Iterable[Sample]:
    httpx.get(url, timeout=ANSWER_WITHIN_SECONDS, trust_env=False).raise_for_status()
    return ()


def _seen(look: Look) -> list[Sample] | None:
    """What was seen; None where somebody did not answer."""
    try:
        return list(look())
    except AWAY as error:
        LOG.warning("%s", error)
        return None
