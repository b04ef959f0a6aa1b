"""The view ``slots`` against the executable specification, slot by slot.

Everything the tenants sent is read again from Kafka and attributed by ``udfs.attribution.reference``;
what ClickHouse shows must be the same, to the last bit.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from confluent_kafka import Message

from config.settings import Settings
from infra.broker import Broker, Progress, TenantTopic
from infra.clickhouse import connect, one_line_errors
from infra.definitions import read_published
from infra.registry import Registry
from schemas.events import SchemaLookup, UnreadableError, decode_event
from udfs.attribution.reference import (
    SUM_NAMES,
    Definition,
    Received,
    Rules,
    Slot,
    SlotKey,
    attribute,
)

RECORDS_AT_A_TIME = 5_000
"""About so many are attributed between two reports of progress."""

Slots = dict[SlotKey, Slot]


@dataclass(frozen=True, slots=True)
class Difference:
    """A slot that is not what it must be; a side on which it is absent is None."""

    key: SlotKey
    expected: Slot | None
    found: Slot | None

    @property
    def fields(self) -> Iterator[tuple[str, int, int]]:
        """Name, expected and found number of everything that differs; an absent slot counts as zeros."""
        expected, found = self.expected or Slot(), self.found or Slot()
        names = ("n", *(f"sum_{name}" for name in SUM_NAMES))
        for name, want, have in zip(names, (expected.n, *expected.sums), (found.n, *found.sums), strict=True):
            if want != have:
                yield name, want, have


@dataclass(frozen=True, slots=True)
class Verification:
    """``equal`` of ``total`` slots are as they must be; ``total`` counts those on either side."""

    total: int
    differences: list[Difference]

    @property
    def equal(self) -> int:
        return self.total - len(self.differences)


def verify(
    settings: Settings, *, reading: Progress | None = None, computing: Progress | None = None
) -> Verification:
    """Compares every slot; what is still on its way through the jobs shows as a difference.

    Raises:
        BrokerError, RegistryError, DatabaseError: One of them does not answer.
    """
    connect(settings).close()  # better to learn now than after minutes of computing that nobody answers
    expected = expected_slots(settings, reading=reading, computing=computing)
    return compare(expected, slots_in_view(settings))


def compare(expected: Mapping[SlotKey, Slot], found: Mapping[SlotKey, Slot]) -> Verification:
    """Every difference between two sets of slots, in the order of their keys."""
    keys = sorted(expected.keys() | found.keys())
    differences = [
        Difference(key, expected.get(key), found.get(key))
        for key in keys
        if expected.get(key) != found.get(key)
    ]
    return Verification(len(keys), differences)


def expected_slots(
    settings: Settings, *, reading: Progress | None = None, computing: Progress | None = None
) -> Slots:
    """The slots that follow from all the tenants' topics hold now.

    Raises:
        BrokerError, RegistryError: One of them does not answer.
    """
    definitions = [
        Definition.from_json(published.content, published.append_time_ms)
        for published in read_published(settings).values()
    ]
    records = read_received(settings, reading)
    return attributed(records, definitions, rules_of(settings), computing)


def rules_of(settings: Settings) -> Rules:
    """The rules the attribution job of a deployment works by."""
    return Rules(
        horizon_ms=settings.attribution.horizon_ms,
        future_ms=settings.attribution.future_ms,
        retention_ms=settings.attribution.retention_ms,
        region=settings.region,
    )


def attributed(
    records: Iterable[Received], definitions: list[Definition], rules: Rules, progress: Progress | None = None
) -> Slots:
    """The reference's slots, computed for a part of the units after the other: slots of parts add up."""
    received = list(records)
    parts = max(1, len(received) // RECORDS_AT_A_TIME)
    by_part: list[list[Received]] = [[] for _ in range(parts)]
    for record in received:
        by_part[zlib.crc32(record.key) % parts].append(record)
    slots: defaultdict[SlotKey, Slot] = defaultdict(Slot)
    done = 0
    for part in by_part:
        for key, slot in attribute(part, definitions, rules).slots.items():
            slots[key] += slot
        done += len(part)
        if progress is not None:
            progress(done, len(received))
    return {key: slot for key, slot in slots.items() if slot != Slot()}


def read_received(settings: Settings, progress: Progress | None = None) -> Iterator[Received]:
    """Every record of the tenants' topics, as the reference wants it.

    Raises:
        BrokerError, RegistryError: One of them does not answer.
    """
    broker, registry = Broker(settings), Registry(settings)
    topics = {topic.topic: topic for topic in broker.tenant_topics()}
    for message in broker.read_to_end(list(topics), progress):
        yield _received(message, topics[str(message.topic())], registry.writer_schema)


def slots_in_view(settings: Settings) -> Slots:
    """What ClickHouse shows.

    Raises:
        DatabaseError: It does not answer.
    """
    sums = ", ".join(f"sum_{name}" for name in SUM_NAMES)
    query = (
        "SELECT tenant_id, experiment_id, config_version, variant_id, metric_id, segment, "
        f"toUnixTimestamp(cohort) * 1000 AS cohort_ms, unit_class, region, n, {sums} FROM slots"
    )
    client = connect(settings)
    width = len(SlotKey._fields)
    with one_line_errors(settings), client.query_rows_stream(query) as rows:
        return {SlotKey(*row[:width]): Slot(row[width], tuple(row[width + 1 :])) for row in rows}


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
