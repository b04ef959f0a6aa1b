"""The bench's records have the shares they are said to have, and the bytes that any producer would write."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from infra.bench.dataset import CHUNK, Encoder, Events, Shape, experiment_id, source_id, tenant_id
from schemas.events import EventKind
from tests.builders import BEGINNING
from tests.infra.bench.worlds import SCHEMA_IDS, decoded, expected, taken
from udfs.attribution.reference import Assignment, Outcome

SHAPE = Shape(events=CHUNK + 5000, users=4000)
ALL_KINDS = Shape(events=2000, users=60, tenants=3, experiments=7, sources=4, metrics_per_source=2)


def test_the_same_shape_gives_the_same_records_and_another_seed_others() -> None:
    (first, _), (second, _) = taken(SHAPE), taken(SHAPE)
    other, _ = taken(replace(SHAPE, seed=2))
    assert all(np.array_equal(getattr(first, name), getattr(second, name)) for name in Events.__slots__)
    assert not np.array_equal(first.unit, other.unit)


def test_a_shorter_stream_is_the_beginning_of_a_longer_one() -> None:
    short, _ = taken(replace(SHAPE, events=CHUNK))
    long, _ = taken(SHAPE)
    assert all(np.array_equal(getattr(short, name), getattr(long, name)[:CHUNK]) for name in Events.__slots__)


def test_a_stream_that_begins_at_another_number_is_about_other_events_of_the_same_users() -> None:
    first, _ = taken(SHAPE)
    later, _ = taken(replace(SHAPE, first=SHAPE.events))
    assert not set(first.number.tolist()) & set(later.number.tolist())
    assert set(later.unit.tolist()) == set(first.unit.tolist())
    assert later.since_start_ms[later.since_start_ms >= 0].min() < 60_000


def test_the_shares_are_those_of_the_shape() -> None:
    events, data = taken(SHAPE)
    assert len(events) == data.tally.records == SHAPE.events
    assert events.is_assignment.mean() == pytest.approx(SHAPE.assignments, abs=0.01)
    assert 1 - len(np.unique(events.number)) / len(events) == pytest.approx(SHAPE.duplicates, abs=0.005)
    _, firsts = np.unique(events.number, return_index=True)
    on_time = (events.number * (1000 / SHAPE.events_per_second)).astype(np.int64) == events.since_start_ms
    assert 1 - on_time[firsts].mean() == pytest.approx(SHAPE.disorder, abs=0.005)
    assert events.unit.max() == SHAPE.users - 1


def test_a_repeated_record_is_the_same_to_the_last_byte_and_comes_after_its_first() -> None:
    events, _ = taken(ALL_KINDS)
    by_id: dict[str, set[Assignment | Outcome]] = {}
    for event in decoded(ALL_KINDS, events):
        if isinstance(event, Outcome):
            by_id.setdefault(event.event_id, set()).add(event)
    assert all(len(same) == 1 for same in by_id.values())
    assert (events.number <= np.arange(len(events))).all()


def test_every_record_is_what_the_producers_own_encoder_writes() -> None:
    events, _ = taken(ALL_KINDS)
    found = decoded(ALL_KINDS, events)
    assert len(found) == ALL_KINDS.events
    assignments = [event for event in found if isinstance(event, Assignment)]
    outcomes = [event for event in found if isinstance(event, Outcome)]
    assert {event.tenant_id for event in found} == {tenant_id(number) for number in range(3)}
    assert {event.experiment_id for event in assignments} == {experiment_id(number) for number in range(7)}
    assert {event.metric_id for event in outcomes} == {source_id(number) for number in range(4)}
    assert all(0 < outcome.value < 500 and outcome.weight in (1, 2, 3, 4) for outcome in outcomes)
    assert len({event.unit_id for event in found}) == ALL_KINDS.users


def test_a_user_meets_five_experiments_one_after_the_other_and_one_variant_in_each() -> None:
    shape = replace(ALL_KINDS, events=20_000, duplicates=0.0, disorder=0.0)
    events, data = taken(shape)
    met: dict[str, list[tuple[str, str]]] = {}
    for event in decoded(shape, events):
        if isinstance(event, Assignment):
            met.setdefault(event.unit_id, []).append((event.experiment_id, event.variant_id))
    assert all(len(set(places[:5])) == 5 == len(set(places)) for places in met.values())
    variants = Counter(variant for places in met.values() for _, variant in set(places))
    assert 0.35 < variants["control"] / variants.total() < 0.65
    assert data.tally.exposures == 5 * shape.users


def test_the_enrolled_begin_with_each_users_experiments() -> None:
    shape = replace(ALL_KINDS, is_enrolled=True)
    events, _ = taken(shape)
    first = events.rows(slice(shape.enrolments))
    assert shape.enrolments == 5 * shape.users
    assert first.is_assignment.all()
    assert len(set(zip(first.unit.tolist(), first.subject.tolist(), strict=True))) == shape.enrolments


@pytest.mark.parametrize("shape", [ALL_KINDS, replace(ALL_KINDS, is_enrolled=True, experiments=3)])
def test_the_tally_is_what_the_reference_makes_of_the_records(shape: Shape) -> None:
    _, data = taken(shape)
    slots = expected(shape).values()
    assert sum(slot.n for slot in slots) == data.tally.exposures
    assert sum(slot.sums[1] + slot.sums[3] for slot in slots) == data.tally.denominators * 1_000_000


def test_both_kinds_of_records_have_one_length_each() -> None:
    events, _ = taken(ALL_KINDS)
    widths = {kind: set[int]() for kind in EventKind}
    for batch in Encoder(ALL_KINDS, SCHEMA_IDS, BEGINNING).batches(events):
        widths[batch.kind].add(batch.values.shape[1])
    assert all(len(found) == 1 for found in widths.values())
