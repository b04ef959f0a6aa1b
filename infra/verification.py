"""Views ``slots``, ``totals``, ``ledger`` and ``activity`` against the executable specification, row by row.

Everything the tenants sent is read again from Kafka and attributed by ``udfs.attribution.reference``;
what ClickHouse shows must be the same, to the last bit.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Message

from config.settings import Settings
from infra.broker import Broker, Progress, TenantTopic
from infra.clickhouse import connect
from infra.definitions import read_published
from infra.registry import Registry
from infra.views import (
    ActivityRows,
    Ledger,
    Slots,
    activity_in_view,
    ledger_in_view,
    slots_in_view,
    totals_in_view,
)
from jobs.wiring.kafka import HEARTBEAT_TOPIC
from schemas.events import SchemaLookup, UnreadableError, decode_event
from udfs.attribution.reference import (
    MINUTE_MS,
    SUM_NAMES,
    Activity,
    Definition,
    LedgerEntry,
    LedgerKey,
    Received,
    Rules,
    Slot,
    attribute,
)

RECORDS_AT_A_TIME = 5_000
"""About so many are attributed between two reports of progress."""

TIMERS_WITHIN_MS = 2 * MINUTE_MS
"""So long after a record has waited enough the views say so, for certain."""

Row = Slot | LedgerEntry | Activity


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not what it must be; a side on which it is absent is None. ``key`` names it."""

    key: Any
    expected: Row | None
    found: Row | None

    @property
    def fields(self) -> Iterator[tuple[str, int, int]]:
        """Name, expected and found number of everything that differs; an absent row counts as zeros."""
        expected, found = _numbers(self.expected), _numbers(self.found)
        for name in expected or found:
            want, have = expected.get(name, 0), found.get(name, 0)
            if want != have:
                yield name, want, have


@dataclass(frozen=True, slots=True)
class Comparison:
    """``equal`` of ``total`` rows of a view are as they must be; ``total`` counts those on either side."""

    total: int
    differences: list[Difference]

    @property
    def equal(self) -> int:
        return self.total - len(self.differences)


@dataclass(frozen=True, slots=True)
class Verification:
    """Each view compared with what must be in it."""

    slots: Comparison
    totals: Comparison
    ledger: Comparison
    activity: Comparison

    @property
    def total(self) -> int:
        return sum(each.total for each in self._all)

    @property
    def differences(self) -> list[Difference]:
        return [difference for each in self._all for difference in each.differences]

    @property
    def _all(self) -> tuple[Comparison, ...]:
        return self.slots, self.totals, self.ledger, self.activity


@dataclass(frozen=True, slots=True)
class Expected:
    """What must be in the views when append time has come to ``now_ms``."""

    slots: Slots
    ledger: Ledger
    activity: ActivityRows
    now_ms: int


def verify(
    settings: Settings, *, reading: Progress | None = None, computing: Progress | None = None
) -> Verification:
    """Compares every row; what is still on its way through the jobs shows as a difference.

    Raises:
        BrokerError, RegistryError, DatabaseError: One of them does not answer.
    """
    connect(settings).close()  # better to learn now than after minutes of computing that nobody answers
    wanted = expected(settings, reading=reading, computing=computing)
    rules = rules_of(settings)
    return Verification(
        slots=compare(wanted.slots, slots_in_view(settings)),
        totals=compare(over_cohorts(wanted.slots), totals_in_view(settings)),
        ledger=compare(
            settled(wanted.ledger, wanted.now_ms, rules),
            settled(ledger_in_view(settings), wanted.now_ms, rules),
        ),
        activity=compare(wanted.activity, activity_in_view(settings)),
    )


def compare(expected: Mapping[Any, Row], found: Mapping[Any, Row]) -> Comparison:
    """Every difference between two sets of rows, in the order of their keys."""
    keys = sorted(expected.keys() | found.keys())
    differences = [
        Difference(key, expected.get(key), found.get(key))
        for key in keys
        if expected.get(key) != found.get(key)
    ]
    return Comparison(len(keys), differences)


def over_cohorts(slots: Slots) -> Slots:
    """The sums of slots that differ in their cohort alone, under cohort 0; none of sums that are nothing."""
    totals: Slots = defaultdict(Slot)
    for key, slot in slots.items():
        totals[key._replace(cohort_ms=0)] += slot
    return {key: total for key, total in totals.items() if total != Slot()}


def settled(ledger: Ledger, now_ms: int, rules: Rules) -> Ledger:
    """The ledger without what depends on the very moment it is read at.

    In the minutes whose records stop waiting just now, what waits and what it becomes is one number.
    """

    def is_moving(key: LedgerKey) -> bool:
        ends = (key.minute_ms + rules.horizon_ms, key.minute_ms + rules.retention_ms)
        return any(-TIMERS_WITHIN_MS - MINUTE_MS < end - now_ms < TIMERS_WITHIN_MS for end in ends)

    return {key: _together(entry) if is_moving(key) else entry for key, entry in ledger.items()}


def expected(
    settings: Settings, *, reading: Progress | None = None, computing: Progress | None = None
) -> Expected:
    """What follows from all the tenants' topics hold now.

    Time has come as far as the newest record says, which may be one of the heartbeat.

    Raises:
        BrokerError, RegistryError: One of them does not answer.
    """
    definitions = [
        Definition.from_json(published.content, published.append_time_ms)
        for published in read_published(settings).values()
    ]
    records = list(read_received(settings, reading))
    broker = Broker(settings)
    now_ms = broker.newest_time([HEARTBEAT_TOPIC, *(topic.topic for topic in broker.tenant_topics())])
    return attributed(records, definitions, rules_of(settings), now_ms, computing)


def rules_of(settings: Settings) -> Rules:
    """The rules the attribution job of a deployment works by."""
    return Rules(
        horizon_ms=settings.attribution.horizon_ms,
        future_ms=settings.attribution.future_ms,
        retention_ms=settings.attribution.retention_ms,
        region=settings.region,
    )


def attributed(
    records: Iterable[Received],
    definitions: list[Definition],
    rules: Rules,
    now_ms: int,
    progress: Progress | None = None,
) -> Expected:
    """What the reference says, computed for a part of the units after the other: parts add up."""
    received = list(records)
    parts = max(1, len(received) // RECORDS_AT_A_TIME)
    by_part: list[list[Received]] = [[] for _ in range(parts)]
    for record in received:
        by_part[zlib.crc32(record.key) % parts].append(record)
    slots: Slots = defaultdict(Slot)
    ledger: Ledger = defaultdict(LedgerEntry)
    activity: ActivityRows = defaultdict(Activity)
    done = 0
    for part in by_part:
        answer = attribute(part, definitions, rules, now_ms)
        for slot_key, slot in answer.slots.items():
            slots[slot_key] += slot
        for ledger_key, entry in answer.ledger.items():
            ledger[ledger_key] += entry
        for activity_key, happened in answer.activity.items():
            activity[activity_key] += happened
        done += len(part)
        if progress is not None:
            progress(done, len(received))
    return Expected(
        {key: slot for key, slot in slots.items() if slot != Slot()}, dict(ledger), dict(activity), now_ms
    )


def read_received(settings: Settings, progress: Progress | None = None) -> Iterator[Received]:
    """Every record of the tenants' topics, as the reference wants it.

    Raises:
        BrokerError, RegistryError: One of them does not answer.
    """
    broker, registry = Broker(settings), Registry(settings)
    topics = {topic.topic: topic for topic in broker.tenant_topics()}
    for message in broker.read_to_end(list(topics), progress):
        yield _received(message, topics[str(message.topic())], registry.writer_schema)


def _received(message: Message, topic: TenantTopic, schemas: SchemaLookup) -> Received:
    try:
        event = decode_event(topic.kind, message.value(), schemas)
    except UnreadableError:
        event = None
    return Received(
        tenant_id=topic.tenant_id,
        topic=topic.topic,
        partition=int(message.partition() or 0),
        offset=int(message.offset() or 0),
        append_time_ms=int(message.timestamp()[1]),
        key=bytes(message.key() or b""),
        event=event,
    )


def _numbers(row: Row | None) -> dict[str, int]:
    """What a row counts, by name."""
    if row is None:
        return {}
    if isinstance(row, Slot):
        return {"n": row.n} | {f"sum_{name}": value for name, value in zip(SUM_NAMES, row.sums, strict=True)}
    if isinstance(row, Activity):
        return {"n": row.n, "value_micros": row.value_micros}
    return row._asdict()


def _together(entry: LedgerEntry) -> LedgerEntry:
    waited = entry.waiting + entry.expired_unmatched + entry.unknown_definition
    return entry._replace(waiting=waited, expired_unmatched=0, unknown_definition=0)
