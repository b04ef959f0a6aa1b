"""What the attribution job must compute: all records received, in any order, give one set of slots.

This is the executable form of the contract (docs/design.md, sections 3 and 5), written to be read.
The numbered rules in the comments are those of section 5. The engine in ``src/`` must give the same
slots and the same rejected records, to the last bit; ``livelift verify`` compares them.

Read it from ``attribute`` downwards: a unit's log is admitted record by record (``_admit``), what was
admitted gives the unit one place per experiment (``_place``), and a place adds to slots (``_shares``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations_with_replacement
from math import inf
from operator import add
from typing import Any, NamedTuple

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MICROS = 1_000_000
"""One unit of a value, and one outcome, in micro-units."""
LARGEST_VALUE = 9e9
"""Beyond it a double no longer holds micro-units."""
LARGEST_TOTAL_MICROS = 9_000_000_000 * MICROS
LONGEST_ID = 200

SUM_NAMES = ("y", "d", "x", "e", "yy", "yd", "yx", "ye", "dd", "dx", "de", "xx", "xe", "ee")
"""The sums of a slot, in their order everywhere: totals in micros, products in 10^-12."""


# ---------------------------------------------------------------------------------------- what comes in


@dataclass(frozen=True, slots=True)
class Assignment:
    """A unit was given a variant. ``assigned_at`` in epoch milliseconds."""

    tenant_id: str
    unit_id: str
    event_id: str
    experiment_id: str
    variant_id: str
    assigned_at: int
    config_version: int = 1
    attributes: Mapping[str, str] = field(default_factory=dict)
    is_bot: bool = False

    @property
    def happened_at(self) -> int:
        return self.assigned_at

    @property
    def is_sound(self) -> bool:
        ids = (self.unit_id, self.event_id, self.experiment_id, self.variant_id)
        return all(1 <= len(an_id) <= LONGEST_ID for an_id in ids) and self.config_version >= 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """Something a unit did, with a value. ``occurred_at`` in epoch milliseconds."""

    tenant_id: str
    unit_id: str
    event_id: str
    metric_id: str
    occurred_at: int
    value: float = 1.0
    weight: float = 1.0

    @property
    def happened_at(self) -> int:
        return self.occurred_at

    @property
    def is_sound(self) -> bool:
        ids = (self.unit_id, self.event_id, self.metric_id)
        return (
            all(1 <= len(an_id) <= LONGEST_ID for an_id in ids)
            and -LARGEST_VALUE <= self.value <= LARGEST_VALUE  # false for NaN
            and 0 <= self.weight <= LARGEST_VALUE
        )


@dataclass(frozen=True, slots=True)
class Received:
    """A record of a tenant's topic; ``event`` is None when its bytes cannot be read as an event."""

    tenant_id: str
    topic: str
    partition: int
    offset: int
    append_time_ms: int
    key: bytes
    event: Assignment | Outcome | None


@dataclass(frozen=True, slots=True)
class Metric:
    """How a unit's outcomes of one ``source`` become its totals. Windows are relative to the exposure."""

    metric_id: str
    source: str
    kind: str
    cap_micros: int | None
    window_start_ms: int
    window_end_ms: float

    @classmethod
    def from_json(cls, metric: Mapping[str, Any]) -> Metric:
        return cls(
            metric_id=metric["id"],
            source=metric["source"],
            kind=metric["kind"],
            cap_micros=None if metric["cap"] is None else to_micros(metric["cap"]),
            window_start_ms=_days_to_ms(metric["window_start_days"]),
            window_end_ms=inf if metric["window_days"] is None else _days_to_ms(metric["window_days"]),
        )


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of an experiment, as far as attribution depends on it."""

    tenant_id: str
    experiment_id: str
    config_version: int
    append_time_ms: int
    variants: frozenset[str]
    cohort_ms: int
    segments: Mapping[str, frozenset[str]]
    pre_period_ms: int
    metrics: tuple[Metric, ...]

    @classmethod
    def from_json(cls, definition: Mapping[str, Any], append_time_ms: int) -> Definition:
        """Reads a published definition, every default filled in; a missing field is a KeyError."""
        return cls(
            tenant_id=definition["tenant_id"],
            experiment_id=definition["experiment_id"],
            config_version=definition["config_version"],
            append_time_ms=append_time_ms,
            variants=frozenset(definition["variants"]),
            cohort_ms=round(definition["cohort_hours"] * HOUR_MS),
            segments={name: frozenset(values) for name, values in definition["segments"].items()},
            pre_period_ms=_days_to_ms(definition["pre_period_days"]),
            metrics=tuple(Metric.from_json(metric) for metric in definition["metrics"]),
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """The operator's settings that decide what counts."""

    horizon_ms: int
    future_ms: int
    retention_ms: int
    region: str


# --------------------------------------------------------------------------------------- what comes out


class SlotKey(NamedTuple):
    """Where a unit is counted. ``metric_id`` '' is the exposure slot, ``segment`` '' is everyone."""

    tenant_id: str
    experiment_id: str
    config_version: int
    variant_id: str
    metric_id: str
    segment: str
    cohort_ms: int
    unit_class: str
    region: str


@dataclass(frozen=True, slots=True)
class Slot:
    """Exact sums over units: ``n`` only in exposure slots, ``sums`` (as ``SUM_NAMES``) only in the others."""

    n: int = 0
    sums: tuple[int, ...] = (0,) * len(SUM_NAMES)

    def __add__(self, other: Slot) -> Slot:
        return Slot(self.n + other.n, tuple(map(add, self.sums, other.sums)))


class Reason(StrEnum):
    """Why a record was refused, in the order of the checks."""

    UNREADABLE = "unreadable"
    MISMATCH = "mismatch"
    BAD_VALUE = "bad_value"
    FROM_FUTURE = "from_future"
    TOO_LATE = "too_late"
    DUPLICATE = "duplicate"
    UNKNOWN_DEFINITION = "unknown_definition"
    UNKNOWN_VARIANT = "unknown_variant"


class Rejected(NamedTuple):
    reason: Reason
    topic: str
    partition: int
    offset: int


class Attribution(NamedTuple):
    """``rejected`` is sorted by place in the log; a slot whose n and sums are all zero is absent."""

    slots: dict[SlotKey, Slot]
    rejected: list[Rejected]


# -------------------------------------------------------------------------------------------- the rules

DefinitionBook = dict[tuple[str, str, int], Definition]
LoggedAssignment = tuple[Assignment, int]
"""An admitted assignment and its append time."""
LoggedOutcome = tuple[Outcome, int]


def attribute(records: Iterable[Received], definitions: Iterable[Definition], rules: Rules) -> Attribution:
    """The slots and refusals that follow from a set of records; their order here does not matter.

    Args:
        records: All that was received of some units. One unit's records of one type lie in one
            partition, where the offset is their order.
        definitions: In the order of their topic; the first of each experiment and version stands.
        rules: Horizons in milliseconds, and the region that is written into the slot keys.
    """
    book: DefinitionBook = {}
    for definition in definitions:
        version = definition.tenant_id, definition.experiment_id, definition.config_version
        book.setdefault(version, definition)

    units: defaultdict[tuple[str, bytes], list[Received]] = defaultdict(list)
    for record in records:
        units[record.tenant_id, record.key].append(record)

    slots: defaultdict[SlotKey, Slot] = defaultdict(Slot)
    rejected: list[Rejected] = []
    for log in units.values():
        experiments, outcomes = _admit(log, book, rules, rejected)
        for assignments in experiments.values():
            for key, share in _shares(_place(assignments, book), outcomes, rules):
                slots[key] += share
    return Attribution(
        {key: slot for key, slot in slots.items() if slot != Slot()},
        sorted(rejected, key=lambda refusal: (refusal.topic, refusal.partition, refusal.offset)),
    )


def _admit(
    log: list[Received], book: DefinitionBook, rules: Rules, rejected: list[Rejected]
) -> tuple[dict[str, list[LoggedAssignment]], dict[str, list[LoggedOutcome]]]:
    """One unit's admitted assignments by experiment and outcomes by source; refusals go to ``rejected``.

    An event_id is taken by a record that is admitted, or that had to wait for its definition when it
    was appended, even if it is refused in the end: so nothing depends on when somebody looked.
    """
    experiments: defaultdict[str, list[LoggedAssignment]] = defaultdict(list)
    outcomes: defaultdict[str, list[LoggedOutcome]] = defaultdict(list)
    taken: set[tuple[type, str]] = set()
    for record in sorted(log, key=lambda record: (record.partition, record.offset)):
        event = record.event
        reason = _refusal_of_the_record_alone(record, rules)
        if reason is None and event is not None:
            event_id = (type(event), event.event_id)
            if event_id in taken:
                reason = Reason.DUPLICATE
            elif isinstance(event, Assignment):
                definition = book.get(_definition_key(event))
                reason = _refusal_by_definition(event, record.append_time_ms, definition, rules)
                waited = definition is None or definition.append_time_ms > record.append_time_ms
                if reason is None or waited:
                    taken.add(event_id)
                if reason is None:
                    experiments[event.experiment_id].append((event, record.append_time_ms))
            else:
                taken.add(event_id)
                outcomes[event.metric_id].append((event, record.append_time_ms))
        if reason is not None:
            rejected.append(Rejected(reason, record.topic, record.partition, record.offset))
    return experiments, outcomes


def _refusal_of_the_record_alone(record: Received, rules: Rules) -> Reason | None:
    """The first failing check among those that need no other record; lateness is rule 6."""
    event = record.event
    if event is None:
        return Reason.UNREADABLE
    if event.tenant_id != record.tenant_id or event.unit_id.encode() != record.key:
        return Reason.MISMATCH
    if not event.is_sound:
        return Reason.BAD_VALUE
    if event.happened_at - record.append_time_ms > rules.future_ms:
        return Reason.FROM_FUTURE
    if record.append_time_ms - event.happened_at > rules.horizon_ms:
        return Reason.TOO_LATE
    return None


def _refusal_by_definition(
    assignment: Assignment, append_time_ms: int, definition: Definition | None, rules: Rules
) -> Reason | None:
    """Rule 8: the definition may come later, but no later than the horizon."""
    if definition is None or definition.append_time_ms - append_time_ms > rules.horizon_ms:
        return Reason.UNKNOWN_DEFINITION
    if assignment.variant_id not in definition.variants:
        return Reason.UNKNOWN_VARIANT
    return None


class _Place(NamedTuple):
    """A unit's place in one experiment: all that its slots depend on, apart from its outcomes."""

    exposure: Assignment
    append_time_ms: int
    definition: Definition
    unit_class: str


def _place(assignments: list[LoggedAssignment], book: DefinitionBook) -> _Place:
    """Rules 1 and 2: the first exposure decides where the unit counts, all assignments decide its class."""
    exposure, append_time_ms = min(
        assignments, key=lambda logged: (logged[0].assigned_at, logged[0].event_id)
    )
    if any(assignment.is_bot for assignment, _ in assignments):
        unit_class = "bot"
    elif any(assignment.variant_id != exposure.variant_id for assignment, _ in assignments):
        unit_class = "crossed"
    else:
        unit_class = "clean"
    return _Place(exposure, append_time_ms, book[_definition_key(exposure)], unit_class)


def _shares(
    place: _Place, outcomes: Mapping[str, list[LoggedOutcome]], rules: Rules
) -> Iterator[tuple[SlotKey, Slot]]:
    """What a placed unit adds to which slots: itself to an exposure slot, its totals to one per metric."""
    exposure, _, definition, unit_class = place
    shares = {"": Slot(n=1)}
    for metric in definition.metrics:
        totals = _totals(metric, place, outcomes.get(metric.source, []), rules)
        products = tuple(a * b for a, b in combinations_with_replacement(totals, 2))
        shares[metric.metric_id] = Slot(sums=totals + products)
    for segment, cohort_ms in _segments(exposure, definition):
        for metric_id, share in shares.items():
            key = SlotKey(
                tenant_id=exposure.tenant_id,
                experiment_id=exposure.experiment_id,
                config_version=exposure.config_version,
                variant_id=exposure.variant_id,
                metric_id=metric_id,
                segment=segment,
                cohort_ms=cohort_ms,
                unit_class=unit_class,
                region=rules.region,
            )
            yield key, share


def _segments(exposure: Assignment, definition: Definition) -> Iterator[tuple[str, int]]:
    """Everyone by the definition's cohorts, then each declared dimension it has, by days (section 3)."""
    yield "", _floor(exposure.assigned_at, definition.cohort_ms)
    for dimension, listed in definition.segments.items():
        value = exposure.attributes.get(dimension)
        if value is not None:
            segment = f"{dimension}={value if value in listed else '__other__'}"
            yield segment, _floor(exposure.assigned_at, DAY_MS)


def _totals(metric: Metric, place: _Place, outcomes: list[LoggedOutcome], rules: Rules) -> tuple[int, ...]:
    """Rules 3 to 5: y and d of what counts after the exposure, x and e of what came before it, in micros."""
    after: list[Outcome] = []
    before: list[Outcome] = []
    for outcome, append_time_ms in outcomes:
        # Rule 7. An outcome appended after its exposure has not waited: the difference is not positive.
        if place.append_time_ms - append_time_ms > rules.retention_ms:
            continue
        since_exposure = outcome.occurred_at - place.exposure.assigned_at
        if -place.definition.pre_period_ms <= since_exposure < 0:
            before.append(outcome)
        if metric.window_start_ms <= since_exposure < metric.window_end_ms:
            after.append(outcome)

    y, d = _aggregate(metric.kind, after)
    x, e = _aggregate(metric.kind, before)
    if metric.cap_micros is not None and metric.kind != "proportion":
        y, x = _cut(y, metric.cap_micros), _cut(x, metric.cap_micros)
    return tuple(_cut(total, LARGEST_TOTAL_MICROS) for total in (y, d, x, e))


def _aggregate(kind: str, outcomes: list[Outcome]) -> tuple[int, int]:
    """Numerator and denominator of the metric kinds of section 4.3; each outcome is rounded by itself."""
    if kind == "proportion":
        return (MICROS if outcomes else 0), MICROS * len(outcomes)
    value = sum(to_micros(outcome.value) for outcome in outcomes)
    if kind == "mean":
        return value, MICROS * len(outcomes)
    if kind == "ratio":
        return value, sum(to_micros(outcome.weight) for outcome in outcomes)
    raise ValueError(f"unknown kind of metric: {kind!r}")


def _definition_key(assignment: Assignment) -> tuple[str, str, int]:
    return assignment.tenant_id, assignment.experiment_id, assignment.config_version


def to_micros(value: float) -> int:
    """One double multiplication, then half to even: the only rounding there is (section 3)."""
    return round(value * 1e6)


def _days_to_ms(days: float) -> int:
    return round(days * DAY_MS)


def _floor(time_ms: int, width_ms: int) -> int:
    return time_ms - time_ms % width_ms


def _cut(total: int, limit: int) -> int:
    return max(-limit, min(total, limit))
