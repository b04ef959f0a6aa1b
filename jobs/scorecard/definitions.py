"""The definition of an experiment, as published."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from udfs.stats import Direction, Kind

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True)
class Metric:
    """A metric of a definition, defaults filled in."""

    metric_id: str
    source: str
    kind: Kind
    cap: float | None
    window_start_days: float
    window_days: float | None
    role: str
    direction: Direction
    margin: float | None
    margin_abs: float | None
    stop: bool

    @property
    def meaning(self) -> tuple[object, ...]:
        """Its part of ``Definition.meaning_of``."""
        return self.kind, self.source, self.cap, self.window_start_days, self.window_days

    @property
    def window_ms(self) -> int | None:
        """How long after a user's exposure outcomes count; None without an end."""
        return None if self.window_days is None else round(self.window_days * DAY_MS)

    @classmethod
    def from_content(cls, metric: Mapping[str, Any]) -> Self:
        """Reads one entry of ``metrics``."""
        names = ("source", "kind", "cap", "window_start_days", "window_days", "role", "direction")
        more = ("margin", "margin_abs", "stop")
        return cls(metric["id"], *(metric[name] for name in names + more))


@dataclass(frozen=True)
class Definition:
    """One version of an experiment, as published."""

    tenant_id: str
    experiment_id: str
    config_version: int
    control: str
    cohort_hours: float
    weights: Mapping[str, float]
    pre_period_days: float
    alpha: float
    planned_units: int
    stop_alpha: float
    min_days: float
    ship: bool
    ended_at: int | None
    """Epoch milliseconds from which on nobody is assigned any more."""
    metrics: tuple[Metric, ...]

    @property
    def treatments(self) -> tuple[str, ...]:
        """Every variant but the control, in the order of the definition."""
        return tuple(variant for variant in self.weights if variant != self.control)

    @property
    def stop_level(self) -> float | None:
        """Error rate of each guardrail that can stop it, in each treatment; None where none can."""
        from udfs.stats.decisions import stop_level  # commands read definitions without the statistics

        guardrails = sum(metric.stop for metric in self.metrics)
        return stop_level(self.stop_alpha, guardrails, len(self.treatments)) if guardrails else None

    def meaning_of(self, metric: Metric) -> tuple[object, ...]:
        """What must be the same of a metric in two versions for their users to be put together."""
        return metric.meaning, self.pre_period_days, self.control

    def shares(self, treatment: str) -> tuple[float, float]:
        """Shares of the control and of a treatment among the users of all variants."""
        total = sum(self.weights.values())
        return self.weights[self.control] / total, self.weights[treatment] / total

    def cohort_ms(self, is_segment: bool) -> int:
        """Width of its cohorts; those of a segment are days."""
        return DAY_MS if is_segment else round(self.cohort_hours * HOUR_MS)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads the value of a record of the definitions topic."""
        return cls.from_content(json.loads(text))

    @classmethod
    def from_content(cls, published: Mapping[str, Any]) -> Self:
        """Reads what the value of such a record holds."""
        return cls(
            weights=published["variants"],
            metrics=tuple(Metric.from_content(metric) for metric in published["metrics"]),
            ship=published.get("ship", False),
            ended_at=published.get("ended_at"),
            **{name: published[name] for name in _PLAIN},
        )


_PLAIN = (
    *("tenant_id", "experiment_id", "config_version", "control", "cohort_hours"),
    *("pre_period_days", "alpha", "planned_units", "stop_alpha", "min_days"),
)
"""Fields of a definition that are taken as published."""
