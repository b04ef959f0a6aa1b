"""Engine = reference through everything: producers, Kafka, the running job at parallelism 2, ClickHouse.

The same generated histories as in ``test_function_parity``, each as a tenant of its own with two partitions
a topic, moved to now and sent in a random order, all at once. Definitions come in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random
from time import time

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from config.settings import Settings
from infra.definitions import TOPIC as DEFINITIONS_TOPIC
from infra.definitions import read_published
from infra.producer import EventProducer
from infra.rejected import read_rejected
from infra.topics import register_schemas
from infra.verification import read_received, rules_of
from infra.views import activity_in_view, ledger_in_view, slots_in_view
from infra.waiting import wait
from schemas.events import EventKind, encode_event
from tests.builders import BEGINNING, DAY, Published, Written
from tests.running_stack import RunningStack
from tests.strategies import TENANTS, History, histories, moved
from udfs.attribution.reference import (
    Attribution,
    Definition,
    LedgerEntry,
    attribute,
)

pytestmark = pytest.mark.stack(turn=2)

STREAMS = 36
SIZES = (30, 80, 150)
WAIT_S = 180.0


def some_histories(most_events: int, count: int) -> list[History]:
    found: list[History] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(histories(most_events=most_events))
    def collect(history: History) -> None:
        found.append(history)

    collect()
    return found[:count]


@dataclass(frozen=True)
class Sent:
    """What went out, and what must have come of it."""

    tenants: frozenset[str]
    expected: Attribution


@pytest.fixture(scope="module")
def sent(stack: RunningStack) -> Sent:
    random = Random(20261122)
    streams = [
        history for most_events in SIZES for history in some_histories(most_events, STREAMS // len(SIZES))
    ]
    tenants = {
        (number, tenant): f"parity-{number}-{tenant}" for number in range(STREAMS) for tenant in TENANTS
    }
    beginning = int(time() * 1000) - DAY
    schema_ids = register_schemas(stack.settings)
    with EventProducer(stack.settings) as producer:
        for number, history in enumerate(streams):
            steps: list[Published | Written] = [*history.definitions, *history.records]
            random.shuffle(steps)
            for step in steps:
                if isinstance(step, Published):
                    tenant_id = tenants[number, step.json["tenant_id"]]
                    published = moved_definition(step, tenant_id, beginning - BEGINNING)
                    producer.delivery.send(DEFINITIONS_TOPIC, published.key(), published.value())
                else:
                    tenant_id = tenants[number, step.received.tenant_id]
                    payload = moved_payload(step, tenant_id, beginning - BEGINNING, schema_ids)
                    kind = EventKind(step.received.topic.rpartition(".")[2])
                    producer.send_bytes(tenant_id, kind, step.received.key, payload)
    producer.delivery.raise_for_failures()
    wait(stack.settings, WAIT_S)
    ours = frozenset(tenants.values())
    return Sent(ours, from_the_log(stack.settings, ours))


def moved_definition(published: Published, tenant_id: str, by_ms: int) -> Published:
    """The definition as somebody else's, of an experiment that ends at another time."""
    ended_at = published.json["ended_at"]
    ends_at = None if ended_at is None else max(0, ended_at + by_ms)
    return replace(published, json=published.json | {"tenant_id": tenant_id, "ended_at": ends_at})


def moved_payload(
    written: Written, tenant_id: str, by_ms: int, schema_ids: Mapping[str, int]
) -> bytes | None:
    """The record as somebody else's and at another time; what was unreadable stays as it is."""
    received = written.received
    if received.event is None:
        return written.value
    event = received.event
    if abs(event.happened_at) < 2**60:
        event = moved(event, by_ms)
    if event.tenant_id == received.tenant_id:  # otherwise the mismatch stays one
        event = replace(event, tenant_id=tenant_id)
    return encode_event(event, schema_ids[type(event).__name__])


def from_the_log(stack_settings: Settings, tenants: frozenset[str]) -> Attribution:
    """What the reference makes of the log the broker has now."""
    definitions: Iterator[Definition] = (
        Definition.from_json(published.content, published.append_time_ms)
        for published in read_published(stack_settings).values()
    )
    records = (record for record in read_received(stack_settings) if record.tenant_id in tenants)
    return attribute(records, definitions, rules_of(stack_settings))


def test_at_least_twenty_streams_have_slots_and_every_reason_occurs(sent: Sent) -> None:
    assert len({key.tenant_id for key in sent.expected.slots}) >= 20
    reasons = {refused.reason.value for refused in sent.expected.rejected}
    assert reasons >= {
        "unreadable",
        "mismatch",
        "bad_value",
        "from_future",
        "too_late",
        "duplicate",
        "unknown_variant",
        "ended",
    }
    fates = sum(sent.expected.ledger.values(), start=LedgerEntry())
    assert min(fates.counted, fates.waiting, fates.late) > 0


def test_every_slot_equals_the_reference_to_the_last_bit(stack: RunningStack, sent: Sent) -> None:
    found = {
        key: slot for key, slot in slots_in_view(stack.settings).items() if key.tenant_id in sent.tenants
    }
    assert found == sent.expected.slots


def test_the_ledger_equals_the_reference(stack: RunningStack, sent: Sent) -> None:
    found = {
        key: entry for key, entry in ledger_in_view(stack.settings).items() if key.tenant_id in sent.tenants
    }
    assert found == sent.expected.ledger


def test_the_activity_equals_the_reference(stack: RunningStack, sent: Sent) -> None:
    found = {
        key: each for key, each in activity_in_view(stack.settings).items() if key.tenant_id in sent.tenants
    }
    assert found == sent.expected.activity


def test_the_refused_records_are_those_of_the_reference(stack: RunningStack, sent: Sent) -> None:
    found = {
        (record.reason, record.topic, record.partition, record.offset)
        for record in read_rejected(stack.settings)
        if record.tenant_id in sent.tenants
    }
    assert found == {tuple(refused) for refused in sent.expected.rejected}


def test_the_refused_bytes_are_kept(stack: RunningStack, sent: Sent) -> None:
    unreadable = [
        record
        for record in read_rejected(stack.settings, reason="unreadable")
        if record.tenant_id in sent.tenants
    ]
    assert unreadable
    assert all(record.record_key is not None and record.detail for record in unreadable)
