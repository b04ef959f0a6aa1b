"""The records of the bench: as many as asked for, and for one shape always the same.

A record is a row of numbers (``Events``); ``Encoder`` makes the bytes of many at once: ids of one kind have
one length, so records of one topic are the rows of a matrix and none is encoded by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.events import HEADER, EventKind

Longs = NDArray[np.int64]
Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]
Hashes = NDArray[np.uint64]
Matrix = NDArray[np.uint8]

VARIANTS = ("control", "treated")
METRIC_KINDS = ("mean", "proportion", "ratio")
"""Of the first, second and third source's metrics, and so on in turn."""
CAP = 400
WINDOW_DAYS = 7
PRE_PERIOD_DAYS = 7
LARGEST_CENTS = 50_000
LARGEST_WEIGHT = 4
LONGEST_DELAY_MS = 3_600_000
"""How late, at most, a record comes that is out of order."""
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
CHUNK = 1 << 16
"""So many records are drawn at once; a repeated one repeats one of its chunk."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the records are like; users and events are counted over all tenants."""

    events: int = 8_000_000
    tenants: int = 4
    users: int = 400_000
    experiments: int = 10
    """Of a tenant."""
    experiments_per_user: int = 5
    """A user meets his experiments one after the other, and then again."""
    sources: int = 3
    metrics_per_source: int = 1
    assignments: float = 0.2
    duplicates: float = 0.05
    disorder: float = 0.05
    is_enrolled: bool = False
    """The records begin with each user's exposures to all his experiments; the mixture comes after them."""
    enrolment_hours: int = 0
    """How long that takes in event time; 0 is as long as at the pace of the mixture."""
    events_per_second: float = 8_000_000 / 86_400
    """The pace of event time: 8 million are a day."""
    seed: int = 1
    first: int = 0
    """The first record's number, which its id follows from: other numbers are about other events."""

    @property
    def enrolments(self) -> int:
        """How many records come before the mixture."""
        return self.users * self.met if self.is_enrolled else 0

    @property
    def met(self) -> int:
        """How many experiments a user can meet."""
        return min(self.experiments_per_user, self.experiments)

    @property
    def span_ms(self) -> int:
        """From the time of the first event to that of the last."""
        return int(self.since_start_ms(np.asarray([self.events]))[0])

    def since_start_ms(self, place: Longs) -> Longs:
        """The event times of records by their place, from that of the first event on."""
        enrolled_ms = self.enrolment_hours * HOUR_MS if self.enrolments else 0
        if not enrolled_ms:
            return (place * (1000 / self.events_per_second)).astype(np.int64)
        enrolled = np.minimum(place / self.enrolments, 1)
        mixture_s = np.maximum(place - self.enrolments, 0) / self.events_per_second
        return (enrolled * enrolled_ms + mixture_s * 1000).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Events:
    """Columns of one length."""

    number: Longs
    """A record's place in the stream; a repeated one has that of its first."""
    unit: Longs
    is_assignment: Flags
    subject: Longs
    """An assignment's experiment, an outcome's source."""
    since_start_ms: Longs
    cents: Longs
    weight: Longs

    def __len__(self) -> int:
        return len(self.number)

    def rows(self, chosen: Any) -> Events:
        """Some of the rows, by a mask, a slice or their numbers."""
        return Events(*(getattr(self, column.name)[chosen] for column in fields(self)))


class DataSet:
    """The records of a shape; ``tally`` says what must come of those taken so far."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.tally = Tally(shape)
        self._assigned = np.zeros(shape.users, np.int64)

    def chunks(self) -> Iterator[Events]:
        """All records in the order in which they are sent. Taken once: users remember what they met."""
        for begin in range(0, self.shape.events, CHUNK):
            place = np.arange(begin, min(begin + CHUNK, self.shape.events))
            chunk = self._with_duplicates(self._originals(place))
            self.tally.add(chunk)
            yield chunk

    def _originals(self, place: Longs) -> Events:
        shape = self.shape
        rng = np.random.default_rng([shape.seed, shape.first + int(place[0])])
        count = len(place)
        enrols = place < shape.enrolments
        unit = np.where(enrols, place % shape.users, rng.integers(0, shape.users, count))
        is_assignment = enrols | (rng.random(count) < shape.assignments)
        subject = rng.integers(0, shape.sources, count)
        subject[is_assignment] = self._next_experiment(unit[is_assignment])
        is_late = ~enrols & (rng.random(count) < shape.disorder)
        delay_ms = np.where(is_late, rng.integers(1, LONGEST_DELAY_MS, count), 0)
        return Events(
            number=shape.first + place,
            unit=unit,
            is_assignment=is_assignment,
            subject=subject,
            since_start_ms=shape.since_start_ms(place) - delay_ms,
            cents=rng.integers(1, LARGEST_CENTS, count),
            weight=rng.integers(1, LARGEST_WEIGHT + 1, count),
        )

    def _with_duplicates(self, events: Events) -> Events:
        rng = np.random.default_rng([self.shape.seed, int(events.number[0]), 1])
        place = np.arange(len(events))
        repeats = rng.random(len(events)) < self.shape.duplicates
        repeats[0] = False
        repeats &= events.number >= self.shape.first + self.shape.enrolments
        source = np.where(repeats, rng.integers(0, np.maximum(place, 1)), place)
        while (again := repeats[source]).any():  # one that repeats a repeated one
            source[again] = source[source[again]]
        return events.rows(source)

    def _next_experiment(self, unit: Longs) -> Longs:
        """For each assignment the experiment that is the unit's turn, and the turn counted on."""
        order = np.argsort(unit, kind="stable")
        of = unit[order]
        begins = np.flatnonzero(np.r_[True, of[1:] != of[:-1]]) if len(of) else np.zeros(0, np.int64)
        lengths = np.diff(np.r_[begins, len(of)])
        turn = np.empty_like(unit)
        turn[order] = self._assigned[of] + np.arange(len(of)) - np.repeat(begins, lengths)
        self._assigned[of[begins]] += lengths
        return experiment_of(self.shape, unit, turn)


class Tally:
    """What any correct engine makes of the records, in two numbers."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._met = np.zeros((shape.users, shape.met), np.bool_)
        self._weights = np.zeros(shape.users, np.int64)
        self.records = 0

    @property
    def exposures(self) -> int:
        """Pairs of a user and an experiment he met."""
        return int(self._met.sum())

    @property
    def denominators(self) -> int:
        """Sum of d and e over all metric slots, in whole units: an outcome counts once in each experiment
        that its user meets, before the exposure or after it."""
        met = self._met.sum(axis=1, dtype=np.int64)
        return int((self._weights * met).sum()) * self._shape.metrics_per_source

    def add(self, events: Events) -> None:
        """Count a chunk."""
        self.records += len(events)
        _, firsts = np.unique(events.number, return_index=True)
        once = events.rows(firsts)
        exposed = once.rows(once.is_assignment)
        turn = (
            exposed.subject - experiment_of(self._shape, exposed.unit, np.int64(0))
        ) % self._shape.experiments
        self._met[exposed.unit, turn] = True
        outcomes = once.rows(~once.is_assignment)
        is_ratio = outcomes.subject % len(METRIC_KINDS) == METRIC_KINDS.index("ratio")
        np.add.at(self._weights, outcomes.unit, np.where(is_ratio, outcomes.weight, 1))


class Batch(NamedTuple):
    """Records of one topic in their order, a row of bytes each."""

    tenant_id: str
    kind: EventKind
    keys: Matrix
    values: Matrix


class Encoder:
    """Records as the producers of ``schemas/avro`` write them.

    Args:
        schema_ids: By the Avro record's name, as the registry gave them.
        start_ms: The moment that event times begin at, epoch milliseconds.
    """

    def __init__(self, shape: Shape, schema_ids: dict[str, int], start_ms: int) -> None:
        self._shape = shape
        self._headers = {kind: HEADER.pack(0, schema_ids[kind.record]) for kind in EventKind}
        self._start_ms = start_ms

    def batches(self, events: Events) -> Iterator[Batch]:
        """The records of each topic; together they are the events."""
        tenants = events.unit % self._shape.tenants
        for tenant in range(self._shape.tenants):
            for kind in EventKind:
                wanted = events.is_assignment == (kind is EventKind.ASSIGNMENTS)
                chosen = events.rows((tenants == tenant) & wanted)
                if len(chosen):
                    keys = unit_ids(chosen.unit)
                    yield Batch(tenant_id(tenant), kind, keys, self._values(kind, tenant, keys, chosen))

    def _values(self, kind: EventKind, tenant: int, keys: Matrix, events: Events) -> Matrix:
        ids: list[bytes | Matrix] = [
            self._headers[kind],
            _text(tenant_id(tenant)),
            _length(keys),
            keys,
            _length(made := event_ids(events.number)),
            made,
        ]
        at = _time_varint(events.since_start_ms + self._start_ms)
        if kind is EventKind.OUTCOMES:
            source = _chosen(
                [_text(source_id(number)) for number in range(self._shape.sources)], events.subject
            )
            return _joined(
                len(events), [*ids, source, _double(events.cents / 100), _double(events.weight), at]
            )
        experiments = [_text(experiment_id(number)) for number in range(self._shape.experiments)]
        variants = [_text(name) for name in VARIANTS]
        return _joined(
            len(events),
            [
                *ids,
                _chosen(experiments, events.subject),
                bytes([2]),  # config_version 1
                _chosen(variants, variant_of(events.unit, events.subject)),
                at,
                bytes([0, 0]),  # no attributes, no bot
            ],
        )


def definitions(shape: Shape) -> Iterator[dict[str, Any]]:
    """The experiments of all tenants, as people would write them."""
    metrics = []
    for source in range(shape.sources):
        kind = METRIC_KINDS[source % len(METRIC_KINDS)]
        for number in range(shape.metrics_per_source):
            metric = {"id": metric_id(source, number), "source": source_id(source), "kind": kind}
            metrics.append(metric | ({"cap": CAP, "window_days": WINDOW_DAYS} if kind == "mean" else {}))
    for tenant in range(shape.tenants):
        for experiment in range(shape.experiments):
            yield {
                "tenant_id": tenant_id(tenant),
                "experiment_id": experiment_id(experiment),
                "config_version": 1,
                "variants": dict.fromkeys(VARIANTS, 0.5),
                "pre_period_days": PRE_PERIOD_DAYS,
                "planned_units": 200_000,
                "metrics": metrics,
            }


def tenant_id(number: int) -> str:
    return f"bench-{number:03}"


def experiment_id(number: int) -> str:
    return f"experiment-{number:04}"


def source_id(number: int) -> str:
    return f"source-{number:02}"


def metric_id(source: int, number: int) -> str:
    return f"metric-{source:02}-{number:02}"


def unit_ids(unit: Longs) -> Matrix:
    """Sixteen characters each, in no order."""
    return _hex(_mixed(unit))


def event_ids(number: Longs) -> Matrix:
    """Thirty-two characters each, as a UUID without dashes has."""
    return np.hstack([_hex(_mixed(number, 1)), _hex(_mixed(number, 2))])


def experiment_of(shape: Shape, unit: Longs, turn: Longs | np.int64) -> Longs:
    """The experiment that a unit meets at its so-manieth assignment."""
    first = (_mixed(unit, 3) % np.uint64(shape.experiments)).astype(np.int64)
    return (first + turn % shape.met) % shape.experiments


def variant_of(unit: Longs, experiment: Longs) -> Longs:
    """Which of ``VARIANTS``; a unit has one for ever."""
    return (_mixed(unit, 4 + experiment) & np.uint64(1)).astype(np.int64)


# ------------------------------------------------------------------------------------------ bytes of many


def _mixed(number: Longs, salt: int | Longs = 0) -> Hashes:
    """Random-looking 64 bits of each number, different ones for different numbers (splitmix64)."""
    mixed: Hashes = number.astype(np.uint64) + (np.asarray(salt).astype(np.uint64) << np.uint64(48))
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed


HEX = np.array([list(f"{byte:02x}".encode()) for byte in range(256)], np.uint8)


def _hex(numbers: Hashes) -> Matrix:
    digits: Matrix = HEX[numbers.astype(">u8").view(np.uint8).reshape(-1, 8)].reshape(-1, 16)
    return digits


def _text(text: str) -> bytes:
    """An Avro string of at most 63 bytes."""
    return bytes([2 * len(text)]) + text.encode()


def _length(texts: Matrix) -> bytes:
    return bytes([2 * texts.shape[1]])


def _chosen(texts: list[bytes], which: Longs) -> Matrix:
    """One of some texts of one length for each row."""
    return np.frombuffer(b"".join(texts), np.uint8).reshape(len(texts), -1)[which]


def _double(numbers: NDArray[Any]) -> Matrix:
    return numbers.astype("<f8").view(np.uint8).reshape(-1, 8)


def _time_varint(at_ms: Longs) -> Matrix:
    """An Avro long; the times of 1970 to 2039 that are beyond the first months have six bytes."""
    zigzag = (at_ms << 1).astype(np.uint64)
    shifts = np.arange(0, 42, 7, dtype=np.uint64)
    digits = ((zigzag[:, None] >> shifts) & np.uint64(0x7F)).astype(np.uint8)
    digits[:, :-1] |= 0x80
    return digits


def _joined(count: int, parts: list[bytes | Matrix]) -> Matrix:
    """The parts of each row behind each other; bytes are the same in every row."""
    columns = [
        np.broadcast_to(np.frombuffer(part, np.uint8), (count, len(part)))
        if isinstance(part, bytes)
        else part
        for part in parts
    ]
    return np.hstack(columns)
