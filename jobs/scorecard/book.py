"""What the job knows of one experiment: its definitions and, by epoch, the newest sums of every group.

The text forms here are what lives in Flink's state and on its channels; each state value begins with its
layout, so that a later layout can read an earlier one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from jobs.scorecard.looks import Looks
from udfs.attribution import sums as wire
from udfs.stats import Direction, Kind
from udfs.stats.decisions import stop_level

LAYOUT = 2
"""1 knew no epochs and was never released."""


class Group(NamedTuple):
    """Slots of all days of exposure together."""

    config_version: int
    variant_id: str
    metric_id: str
    segment: str
    unit_class: str
    region: str


class Totals(NamedTuple):
    """The sums of a group: ``n`` users, the fourteen ``sums`` in micro-units (see ``udfs.stats.Moments``)."""

    n: int
    sums: tuple[int, ...]
    updates: int
    """Changes counted so far; grows with each."""
    as_of_ms: int
    """Greatest append time counted."""
    first_cohort_ms: int | None = None
    """Start of the earliest cohort with users, whom only groups of exposure slots (metric ``''``) have."""


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
        """What must be the same in two versions for their users to be put together."""
        return self.kind, self.source, self.cap, self.window_start_days, self.window_days

    @classmethod
    def from_json(cls, metric: Mapping[str, Any]) -> Self:
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
    metrics: tuple[Metric, ...]

    @property
    def treatments(self) -> tuple[str, ...]:
        """Every variant but the control, in the order of the definition."""
        return tuple(variant for variant in self.weights if variant != self.control)

    @property
    def stop_level(self) -> float | None:
        """Error rate of each guardrail that can stop it, in each treatment; None where none can."""
        guardrails = sum(metric.stop for metric in self.metrics)
        return stop_level(self.stop_alpha, guardrails, len(self.treatments)) if guardrails else None

    def shares(self, treatment: str) -> tuple[float, float]:
        """Shares of the control and of a treatment among the users of all variants."""
        total = sum(self.weights.values())
        return self.weights[self.control] / total, self.weights[treatment] / total

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads the value of a record of the definitions topic."""
        published = json.loads(text)
        return cls(
            weights=published["variants"],
            metrics=tuple(Metric.from_json(metric) for metric in published["metrics"]),
            ship=published.get("ship", False),
            **{name: published[name] for name in _PLAIN},
        )


_PLAIN = (
    *("tenant_id", "experiment_id", "config_version", "control", "cohort_hours"),
    *("pre_period_days", "alpha", "planned_units", "stop_alpha", "min_days"),
)
"""Fields of a definition that are taken as published."""


@dataclass
class Book:
    """Everything known of one experiment in one rebuild epoch: what one job of attribution has counted."""

    totals: dict[Group, Totals] = field(default_factory=dict)
    definitions: dict[int, Definition] = field(default_factory=dict)
    epoch: int = 0


@dataclass
class Shelf:
    """The books of one experiment, one per epoch; they share its definitions and nothing else."""

    definitions: dict[int, Definition] = field(default_factory=dict)
    books: dict[int, Book] = field(default_factory=dict)
    looks: dict[int, Looks] = field(default_factory=dict)
    """By epoch, like the books; absent until somebody looked."""

    def book(self, epoch: int) -> Book:
        """The book of an epoch, begun when it is first asked for."""
        if epoch not in self.books:
            self.books[epoch] = Book({}, self.definitions, epoch)
        return self.books[epoch]

    @classmethod
    def from_state(
        cls,
        totals: Iterable[tuple[str, str]],
        definitions: Iterable[str],
        looks: Iterable[tuple[str, str]] = (),
    ) -> Self:
        """Undoes ``encode_place``, ``encode_totals`` and ``Looks.encode``; reads the definitions topic."""
        shelf = cls(looks={int(epoch): Looks.decode(text) for epoch, text in looks})
        for place, text in totals:
            sums = decode_totals(text)
            epoch, group = decode_place(place)
            shelf.book(epoch).totals[group] = sums
        for definition in map(Definition.from_json, definitions):
            shelf.definitions[definition.config_version] = definition
        return shelf


def parse_changes(text: str) -> Iterator[tuple[int, Group, Totals]]:
    """Reads the ``changes`` of one record of ``changed_sums.sql``: their epochs, groups and sums."""
    for change in json.loads(text):
        group = Group(*(change[name] for name in Group._fields))
        sums = parse_sums(change["sums"])
        totals = Totals(change["n"], sums, change["updates"], change["as_of"], change["first_cohort"])
        yield change["epoch"], group, totals


def parse_sums(text: str) -> tuple[int, ...]:
    """The fourteen sums from the base64 text in which SQL's JSON carries bytes."""
    return wire.decode(base64.b64decode(text))


def encode_place(epoch: int, group: Group) -> str:
    """The key of a group in state."""
    return json.dumps([epoch, *group], ensure_ascii=False, separators=(",", ":"))


def decode_place(text: str) -> tuple[int, Group]:
    """Undoes ``encode_place``."""
    epoch, *group = json.loads(text)
    return epoch, Group(*group)


def encode_totals(totals: Totals) -> str:
    """The value of a group in state."""
    return json.dumps([LAYOUT, *totals], separators=(",", ":"))


def decode_totals(text: str) -> Totals:
    """Undoes ``encode_totals``, of this layout or an earlier released one.

    Raises:
        ValueError: The layout is unknown: the state was written by another release.
    """
    layout, n, sums, *rest = json.loads(text)
    if layout != LAYOUT:
        raise ValueError(
            f"layout {layout} of the sums in state is unknown: this release knows {LAYOUT};"
            " start the job without --restore"
        )
    return Totals(n, tuple(sums), *rest)
