"""What the attribution job must compute: all records received, in any order, give one set of slots.

This is the executable form of the contract (docs/design.md, sections 3 and 5), written to be read.
The numbered rules in the comments are those of section 5. The engine in ``src/`` must give the same
slots, rejected records, ledger and activity, to the last bit; ``livelift verify`` compares them.

Read it from ``attribute`` downwards: a unit's records are accepted or refused (``_admit``), accepted
assignments give it one place per experiment (``_places``), outcomes serve the places (``_serve``), and
a place adds to slots (``_shares``) and activity (``_activity``). In the end every record stands in the
ledger once, under what became of it (``_ledger``).
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

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
EFFECT_MS = 1_000
"""So long after it was appended a definition takes effect: by then all who decide can have read it."""
LATE_MS = MINUTE_MS
"""What counts and was appended more than this after it happened is noted as late in the ledger."""
MICROS = 1_000_000
"""One unit of a value, and one outcome, in micro-units."""
LARGEST_VALUE = 9e9
"""Beyond it a double no longer holds micro-units."""
LARGEST_TOTAL_MICROS = 9_000_000_000 * MICROS
LONGEST_ID = 200

SUM_NAMES = ("y", "d", "x", "e", "yy", "yd", "yx", "ye", "dd", "dx", "de", "xx", "xe", "ee")
"""The sums of a slot, in their order everywhere: totals in micros, products in 10^-12."""
OTHER = "__other__"
"""The segment value of whatever a definition does not list."""


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
    event: Assignment | Outcome | None = field(hash=False)


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
            window_start_ms=round(metric["window_start_days"] * DAY_MS),
            window_end_ms=inf if metric["window_days"] is None else round(metric["window_days"] * DAY_MS),
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
    ended_at: float

    @property
    def effective_at(self) -> int:
        return self.append_time_ms + EFFECT_MS

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
            pre_period_ms=round(definition["pre_period_days"] * DAY_MS),
            metrics=tuple(Metric.from_json(metric) for metric in definition["metrics"]),
            ended_at=inf if definition["ended_at"] is None else definition["ended_at"],
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """The operator's settings that decide what counts."""

    horizon_ms: int
    future_ms: int
    retention_ms: int
    region: str

    @property
    def id_memory_ms(self) -> int:
        """A copy that comes so long after its first is too late anyway."""
        return self.horizon_ms + self.future_ms


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
    ENDED = "ended"


class Rejected(NamedTuple):
    reason: Reason
    topic: str
    partition: int
    offset: int


class LedgerKey(NamedTuple):
    """A minute of append time in a tenant's topic."""

    tenant_id: str
    topic: str
    minute_ms: int


class LedgerEntry(NamedTuple):
    """Records received, and what became of them: ``received`` is the sum of all others but ``late``."""

    received: int = 0
    counted: int = 0
    duplicate: int = 0
    waiting: int = 0
    expired_unmatched: int = 0
    unreadable: int = 0
    mismatch: int = 0
    bad_value: int = 0
    from_future: int = 0
    too_late: int = 0
    unknown_definition: int = 0
    unknown_variant: int = 0
    ended: int = 0
    late: int = 0

    def __add__(self, other: LedgerEntry) -> LedgerEntry:  # type: ignore[override]  # a sum
        return LedgerEntry(*map(add, self, other))


LEDGER_NAMES = LedgerEntry._fields[1:]
"""The ledger's counts besides ``received``, in their order everywhere."""


class ActivityKey(NamedTuple):
    """A minute of event time in a variant. ``metric_id`` '' stands for first exposures."""

    tenant_id: str
    experiment_id: str
    config_version: int
    variant_id: str
    metric_id: str
    minute_ms: int
    region: str


@dataclass(frozen=True, slots=True)
class Activity:
    """``n`` exposures or outcomes, and the sum of the outcomes' values, uncapped, in micros."""

    n: int = 0
    value_micros: int = 0

    def __add__(self, other: Activity) -> Activity:
        return Activity(self.n + other.n, self.value_micros + other.value_micros)


class Attribution(NamedTuple):
    """``rejected`` is sorted by place in the log; what is zero altogether is absent from the others."""

    slots: dict[SlotKey, Slot]
    rejected: list[Rejected]
    ledger: dict[LedgerKey, LedgerEntry]
    activity: dict[ActivityKey, Activity]


# -------------------------------------------------------------------------------------------- the rules

Versions = Mapping[int, Definition]
"""The definitions of one experiment, by version."""
Book = Mapping[tuple[str, str], Versions]
"""All definitions, by tenant and experiment."""
LoggedAssignment = tuple[Assignment, Received]
LoggedOutcome = tuple[Outcome, Received]


def attribute(
    records: Iterable[Received], definitions: Iterable[Definition], rules: Rules, now_ms: int | None = None
) -> Attribution:
    """What follows from a set of records; their order here does not matter.

    Args:
        records: A unit's records of one type lie in one partition, where the offset is their order.
        definitions: In the order of their topic; the first of each experiment and version stands.
        rules: Horizons in milliseconds, and the region that is written into the keys.
        now_ms: How far append time has come, by default to the last record: it decides what still waits.
    """
    book: defaultdict[tuple[str, str], dict[int, Definition]] = defaultdict(dict)
    for definition in definitions:
        versions = book[definition.tenant_id, definition.experiment_id]
        versions.setdefault(definition.config_version, definition)

    units: defaultdict[tuple[str, bytes], list[Received]] = defaultdict(list)
    for record in records:
        units[record.tenant_id, record.key].append(record)
    if now_ms is None:
        now_ms = max((record.append_time_ms for log in units.values() for record in log), default=0)

    slots: defaultdict[SlotKey, Slot] = defaultdict(Slot)
    rejected: list[Rejected] = []
    ledger: defaultdict[LedgerKey, LedgerEntry] = defaultdict(LedgerEntry)
    activity: defaultdict[ActivityKey, Activity] = defaultdict(Activity)
    for log in units.values():
        admitted = _admit(log, book, rules, now_ms)
        counted: set[Received] = set()
        for place in _places(admitted.assignments, book, rules):
            served = _serve(place, admitted.outcomes, rules)
            counted.update(record for metric in served for _, record in metric.after + metric.before)
            for slot_key, share in _shares(place, served, rules):
                slots[slot_key] += share
            for activity_key, happened in _activity(place, served, rules):
                activity[activity_key] += happened
        for ledger_key, entry in _ledger(admitted, counted, rules, now_ms):
            ledger[ledger_key] += entry
        for record, reason in admitted.refused:
            rejected.append(Rejected(reason, record.topic, record.partition, record.offset))
    return Attribution(
        {key: slot for key, slot in slots.items() if slot != Slot()},
        sorted(rejected, key=lambda refusal: refusal[1:]),
        dict(ledger),
        dict(activity),
    )


class _Admitted(NamedTuple):
    """One unit's records, each in one list; those that wait are assignments without a definition."""

    assignments: list[LoggedAssignment]
    outcomes: list[LoggedOutcome]
    waiting: list[Received]
    refused: list[tuple[Received, Reason]]


def _admit(log: list[Received], book: Book, rules: Rules, now_ms: int) -> _Admitted:
    """Judges the records of one unit in the order of their log.

    An event_id is taken by a record that is accepted, or that had to wait for its definition when it
    was appended, even if it is refused in the end: so nothing depends on when somebody looked.
    """
    admitted = _Admitted([], [], [], [])
    taken_at: dict[tuple[type, str], int] = {}
    for record in sorted(log, key=lambda record: (record.partition, record.offset)):
        event, appended_at = record.event, record.append_time_ms
        reason = _refusal_of_the_record_alone(record, rules)
        if reason is None and event is not None:
            event_id = (type(event), event.event_id)
            if appended_at - taken_at.get(event_id, -inf) <= rules.id_memory_ms:
                reason = Reason.DUPLICATE
            elif isinstance(event, Outcome):
                taken_at[event_id] = appended_at
                admitted.outcomes.append((event, record))
            else:
                versions = book.get((event.tenant_id, event.experiment_id), {})
                definition = versions.get(event.config_version)
                waits = definition is None and now_ms - appended_at <= rules.horizon_ms
                reason = None if waits else _refusal_by_definition(event, appended_at, versions, rules)
                if reason is None or definition is None or definition.effective_at > appended_at:
                    taken_at[event_id] = appended_at
                if waits:
                    admitted.waiting.append(record)
                elif reason is None:
                    admitted.assignments.append((event, record))
        if reason is not None:
            admitted.refused.append((record, reason))
    return admitted


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
    assignment: Assignment, appended_at: int, versions: Versions, rules: Rules
) -> Reason | None:
    """Rule 8, and the end of the experiment, if it had been published when this could be decided."""
    definition = versions.get(assignment.config_version)
    if definition is None or definition.append_time_ms - appended_at > rules.horizon_ms:
        return Reason.UNKNOWN_DEFINITION
    if assignment.variant_id not in definition.variants:
        return Reason.UNKNOWN_VARIANT
    decided_at = max(appended_at, definition.effective_at)
    endings = [version.ended_at for version in versions.values() if version.effective_at <= decided_at]
    return Reason.ENDED if min(endings) < assignment.assigned_at else None


class _Place(NamedTuple):
    """A unit's place in one experiment: all that its slots depend on, apart from its outcomes."""

    exposure: Assignment
    append_time_ms: int
    definition: Definition
    unit_class: str
    closes_at: float

    @property
    def arm(self) -> tuple[str, str, int, str]:
        """What the keys of slots and of activity begin with."""
        seen = self.exposure
        return seen.tenant_id, seen.experiment_id, seen.config_version, seen.variant_id


def _places(assignments: list[LoggedAssignment], book: Book, rules: Rules) -> Iterator[_Place]:
    """Rules 1 and 2: the first exposure decides where the unit counts, all assignments decide its class."""
    experiments: defaultdict[tuple[str, str], list[LoggedAssignment]] = defaultdict(list)
    for assignment, record in assignments:
        experiments[assignment.tenant_id, assignment.experiment_id].append((assignment, record))
    for experiment, seen in experiments.items():
        exposure, record = min(seen, key=lambda logged: (logged[0].assigned_at, logged[0].event_id))
        if any(assignment.is_bot for assignment, _ in seen):
            unit_class = "bot"
        elif any(assignment.variant_id != exposure.variant_id for assignment, _ in seen):
            unit_class = "crossed"
        else:
            unit_class = "clean"
        definition = book[experiment][exposure.config_version]
        closes_at = _closes_at(exposure, definition, book[experiment], rules)
        yield _Place(exposure, record.append_time_ms, definition, unit_class, closes_at)


def _closes_at(exposure: Assignment, definition: Definition, versions: Versions, rules: Rules) -> float:
    """Rule 9: what is appended later does not count there; only metrics without a window can notice."""
    ended_at = min(max(version.ended_at, version.effective_at) for version in versions.values())
    windows = [metric.window_end_ms for metric in definition.metrics if metric.window_end_ms < inf]
    return max(ended_at, exposure.assigned_at + max(windows, default=0)) + rules.horizon_ms


class _Served(NamedTuple):
    """The outcomes that count for a metric of a place: after the exposure (y, d) and before it (x, e)."""

    metric: Metric
    after: list[LoggedOutcome]
    before: list[LoggedOutcome]


def _serve(place: _Place, outcomes: list[LoggedOutcome], rules: Rules) -> list[_Served]:
    """Rules 3, 4, 7 and 9: which outcomes count in a place."""
    served = [_Served(metric, [], []) for metric in place.definition.metrics]
    for outcome, record in outcomes:
        # An outcome appended after its exposure has not waited: the difference is not positive.
        waited_ms = place.append_time_ms - record.append_time_ms
        if waited_ms > rules.retention_ms or record.append_time_ms > place.closes_at:
            continue
        since_exposure = outcome.occurred_at - place.exposure.assigned_at
        for metric, after, before in served:
            if metric.source != outcome.metric_id:
                continue
            if -place.definition.pre_period_ms <= since_exposure < 0:
                before.append((outcome, record))
            if metric.window_start_ms <= since_exposure < metric.window_end_ms:
                after.append((outcome, record))
    return served


def _shares(place: _Place, served: list[_Served], rules: Rules) -> Iterator[tuple[SlotKey, Slot]]:
    """What a placed unit adds to which slots: itself to an exposure slot, its totals to one per metric."""
    shares = {"": Slot(n=1)}
    for metric, after, before in served:
        totals = _totals(metric, after) + _totals(metric, before)
        products = tuple(a * b for a, b in combinations_with_replacement(totals, 2))
        shares[metric.metric_id] = Slot(sums=totals + products)
    for segment, cohort_ms in _segments(place.exposure, place.definition):
        for metric_id, share in shares.items():
            yield SlotKey(*place.arm, metric_id, segment, cohort_ms, place.unit_class, rules.region), share


def _segments(exposure: Assignment, definition: Definition) -> Iterator[tuple[str, int]]:
    """Everyone by the definition's cohorts, then each declared dimension it has, by days (section 3)."""
    yield "", _floor(exposure.assigned_at, definition.cohort_ms)
    for dimension, listed in definition.segments.items():
        value = exposure.attributes.get(dimension)
        if value is not None:
            segment = f"{dimension}={value if value in listed else OTHER}"
            yield segment, _floor(exposure.assigned_at, DAY_MS)


def _totals(metric: Metric, outcomes: list[LoggedOutcome]) -> tuple[int, int]:
    """Rule 5 and section 4.3: numerator and denominator in micros, each outcome rounded by itself."""
    numerator = sum(to_micros(outcome.value) for outcome, _ in outcomes)
    denominator = MICROS * len(outcomes)
    if metric.kind == "ratio":
        denominator = sum(to_micros(outcome.weight) for outcome, _ in outcomes)
    if metric.kind == "proportion":
        numerator = min(denominator, MICROS)
    elif metric.cap_micros is not None:
        numerator = _cut(numerator, metric.cap_micros)
    return _cut(numerator, LARGEST_TOTAL_MICROS), _cut(denominator, LARGEST_TOTAL_MICROS)


def _activity(place: _Place, served: list[_Served], rules: Rules) -> Iterator[tuple[ActivityKey, Activity]]:
    """What happened in a place, and when: its first exposure, and each outcome that counts for a y."""
    exposed_at = place.exposure.assigned_at
    yield ActivityKey(*place.arm, "", _floor(exposed_at, MINUTE_MS), rules.region), Activity(1)
    for metric, after, _ in served:
        for outcome, _ in after:
            minute_ms = _floor(outcome.occurred_at, MINUTE_MS)
            key = ActivityKey(*place.arm, metric.metric_id, minute_ms, rules.region)
            yield key, Activity(1, to_micros(outcome.value))


def _ledger(
    admitted: _Admitted, counted: set[Received], rules: Rules, now_ms: int
) -> Iterator[tuple[LedgerKey, LedgerEntry]]:
    """What has become of each record by now; an outcome counts once, however many metrics it serves."""
    fates: list[tuple[Received, str]] = [*admitted.refused]
    fates += [(record, "waiting") for record in admitted.waiting]
    fates += [(record, "counted") for _, record in admitted.assignments]
    for _, record in admitted.outcomes:
        expired = now_ms - record.append_time_ms > rules.retention_ms
        uncounted = "expired_unmatched" if expired else "waiting"
        fates.append((record, "counted" if record in counted else uncounted))
    for record, fate in fates:
        key = LedgerKey(record.tenant_id, record.topic, _floor(record.append_time_ms, MINUTE_MS))
        happened_at = record.event.happened_at if record.event else record.append_time_ms
        late = fate == "counted" and record.append_time_ms - happened_at > LATE_MS
        yield key, LedgerEntry(received=1, late=int(late), **{str(fate): 1})


def to_micros(value: float) -> int:
    """One double multiplication, then half to even: the only rounding there is (section 3)."""
    return round(value * 1e6)


def _floor(time_ms: int, width_ms: int) -> int:
    return time_ms - time_ms % width_ms


def _cut(total: int, limit: int) -> int:
    return max(-limit, min(total, limit))
