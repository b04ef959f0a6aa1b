"""The definitions of all experiments, from their topic: immutable, so what is known is never stale."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock, Thread
from typing import Any

from config.settings import Settings
from infra.broker import BrokerError
from infra.console.reading import Metric
from infra.definitions import DefinitionKey, Published, read_published

READ_AGAIN_AFTER_S = 5.0
COMPLETE_FOR_S = 2 * READ_AGAIN_AFTER_S
"""So long nobody is told that what is not among the definitions is nowhere without a new reading."""


@dataclass(frozen=True, slots=True)
class Version:
    """One config version of an experiment."""

    config_version: int
    published_at: datetime
    shares: Mapping[str, float]
    """Of the users, by variant; the control first."""
    alpha: float
    ended_at: datetime | None
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class Definition:
    """An experiment, oldest version first."""

    tenant_id: str
    experiment_id: str
    versions: tuple[Version, ...]

    @property
    def newest(self) -> Version:
        """What is in force for new users."""
        return self.versions[-1]

    @property
    def alpha(self) -> float:
        """Frozen with the first version."""
        return self.versions[0].alpha

    @property
    def ended_at(self) -> datetime | None:
        """From when on no user is assigned any more."""
        return min((each.ended_at for each in self.versions if each.ended_at), default=None)

    def has_ended(self, moment: datetime) -> bool:
        """Whether it was over by then."""
        return self.ended_at is not None and self.ended_at <= moment

    def at(self, moment: datetime) -> Definition:
        """What of it was published by then; all of it where nothing was, as its topic may be younger."""
        published = tuple(each for each in self.versions if each.published_at <= moment)
        return replace(self, versions=published or self.versions)

    def metric(self, metric_id: str) -> Metric:
        """The newest meaning of a metric; one that says nothing where no version has it."""
        for version in reversed(self.versions):
            for metric in version.metrics:
                if metric.metric_id == metric_id:
                    return metric
        return Metric(metric_id)


Definitions = Mapping[tuple[str, str], Definition]
"""By tenant and experiment."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the definitions, and how far."""

    definitions: Definitions = field(default_factory=dict)
    was_read: bool = False
    """Whether they were ever read."""
    is_complete: bool = False
    """They were read within seconds: what is not among them is not defined."""


class DefinitionsReader:
    """Reads the topic again when asked and some seconds have passed, beside whoever asks.

    A page never waits for Kafka: it shows what is known, and metrics nobody has defined without a direction.
    """

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._known: Definitions = {}
        self._read_at: float | None = None
        self._next = 0.0
        self._lock = Lock()

    def __call__(self) -> Known:
        """What is known now."""
        with self._lock:
            now = time.monotonic()
            if now >= self._next:
                self._next = float("inf")
                Thread(target=self._read, name="definitions", daemon=True).start()
            read_at = self._read_at
            is_complete = read_at is not None and now - read_at < COMPLETE_FOR_S
            return Known(self._known, read_at is not None, is_complete)

    def _read(self) -> None:
        began, known = time.monotonic(), None
        try:
            known = definitions(read_published(self._settings()))
        except BrokerError:
            pass  # what is known stays: it cannot have become wrong
        finally:
            with self._lock:
                if known is not None:
                    self._known, self._read_at = known, began
                self._next = time.monotonic() + READ_AGAIN_AFTER_S


def definitions(published: Mapping[DefinitionKey, Published]) -> dict[tuple[str, str], Definition]:
    """What is published, by experiment."""
    versions: dict[tuple[str, str], list[Version]] = {}
    for key, each in sorted(published.items()):
        found = _version(each.content, datetime.fromtimestamp(each.append_time_ms / 1000, UTC))
        versions.setdefault((key.tenant_id, key.experiment_id), []).append(found)
    return {place: Definition(*place, tuple(found)) for place, found in versions.items()}


def _version(content: Mapping[str, Any], published_at: datetime) -> Version:
    weights = content["variants"]
    control = content["control"]
    order = [control, *(variant for variant in weights if variant != control)]
    total = sum(weights.values())
    ended_at = content["ended_at"]
    return Version(
        config_version=content["config_version"],
        published_at=published_at,
        shares={variant: weights[variant] / total for variant in order},
        alpha=content["alpha"],
        ended_at=None if ended_at is None else datetime.fromtimestamp(ended_at / 1000, UTC),
        metrics=_metrics(content["metrics"]),
    )


def _metrics(entries: Sequence[Mapping[str, Any]]) -> tuple[Metric, ...]:
    names = ("kind", "role", "direction", "margin", "margin_abs", "cap", "window_days", "stop")
    return tuple(Metric(entry["id"], **{name: entry[name] for name in names}) for entry in entries)
