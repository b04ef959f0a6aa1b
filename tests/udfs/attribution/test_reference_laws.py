"""What holds for every history: laws of the reference alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import read
from tests.strategies import History, histories, interleaved
from udfs.attribution.reference import Attribution, Received, Slot, SlotKey, attribute

HISTORIES = 50


def attributed(history: History) -> Attribution:
    return attribute(received_in(history), read(history.definitions), history.rules)


def received_in(history: History) -> list[Received]:
    return [record.received for record in history.records]


@settings(max_examples=HISTORIES, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_the_order_in_which_records_are_given_does_not_matter(history: History, random: Random) -> None:
    records = received_in(history)
    random.shuffle(records)
    assert attribute(records, read(history.definitions), history.rules) == attributed(history)


@settings(max_examples=HISTORIES, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_any_split_of_the_units_adds_up_to_the_whole(history: History, random: Random) -> None:
    side_of: defaultdict[tuple[str, bytes], int] = defaultdict(lambda: random.randrange(2))
    sides: tuple[list[Received], list[Received]] = ([], [])
    for record in received_in(history):
        sides[side_of[record.tenant_id, record.key]].append(record)
    slots: defaultdict[SlotKey, Slot] = defaultdict(Slot)
    rejected = []
    for side in sides:
        part = attribute(side, read(history.definitions), history.rules)
        rejected += part.rejected
        for key, slot in part.slots.items():
            slots[key] += slot
    assert Attribution(dict(slots), sorted(rejected, key=lambda refusal: refusal[1:])) == attributed(history)


@settings(max_examples=HISTORIES, deadline=None)
@given(histories())
def test_everything_sent_twice_gives_the_same_slots(history: History) -> None:
    """Each copy comes right behind: what was accepted is now a duplicate, the refused is refused again."""
    doubled = [
        replace(record, offset=2 * record.offset + copy) for record in received_in(history) for copy in (0, 1)
    ]
    once, twice = attributed(history), attribute(doubled, read(history.definitions), history.rules)
    assert twice.slots == once.slots
    assert len(twice.rejected) == len(doubled) - (len(history.records) - len(once.rejected))


@settings(max_examples=HISTORIES, deadline=None)
@given(histories())
def test_refused_records_take_no_part(history: History) -> None:
    """Without those that were refused for themselves or as duplicates, nothing changes.

    A refused record that has waited is another matter: its event id stays taken.
    """
    whole = attributed(history)
    may_have_waited = {"unknown_definition", "unknown_variant"}
    refused = {refusal[1:] for refusal in whole.rejected if refusal.reason not in may_have_waited}
    rest = [each for each in received_in(history) if (each.topic, each.partition, each.offset) not in refused]
    again = attribute(rest, read(history.definitions), history.rules)
    assert again.slots == whole.slots
    assert {refusal.reason for refusal in again.rejected} <= may_have_waited


@settings(max_examples=HISTORIES, deadline=None)
@given(histories())
def test_every_unit_is_in_one_place_of_each_metric_and_dimension(history: History) -> None:
    """So sums of slots never count a unit twice: n over everyone bounds n over any one dimension."""
    everyone: defaultdict[tuple[str, str], int] = defaultdict(int)
    by_dimension: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for key, slot in attributed(history).slots.items():
        if key.segment == "":
            everyone[key.tenant_id, key.experiment_id] += slot.n
        else:
            dimension = key.segment.split("=")[0]
            by_dimension[key.tenant_id, key.experiment_id, dimension] += slot.n
    units = {(record.tenant_id, record.key) for record in received_in(history)}
    assert all(n <= len(units) for n in everyone.values())
    assert all(n <= everyone[key[:2]] for key, n in by_dimension.items())


@settings(max_examples=HISTORIES, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_an_interleaving_loses_nothing_and_keeps_each_units_log(history: History, random: Random) -> None:
    steps = interleaved(history, random)
    assert [step for step in steps if step in history.definitions] == list(history.definitions)
    seen = [step.received for step in steps if step in history.records]
    assert sorted(map(_place, seen)) == sorted(map(_place, received_in(history)))
    logs: defaultdict[tuple[str, bytes], list[int]] = defaultdict(list)
    for record in seen:
        logs[record.topic, record.key].append(record.offset)
    assert all(offsets == sorted(offsets) for offsets in logs.values())


def _place(record: Received) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset
