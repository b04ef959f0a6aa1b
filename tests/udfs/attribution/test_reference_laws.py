"""What holds for every history: laws of the reference alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import MINUTE, read
from tests.strategies import History, histories, interleaved
from tests.udfs.attribution.answers import together
from udfs.attribution.reference import Attribution, Reason, Received, attribute

HISTORIES = 50


def attributed(history: History, now: int | None = None) -> Attribution:
    return attribute(received_in(history), read(history.definitions), history.rules, now)


def received_in(history: History) -> list[Received]:
    return [record.received for record in history.records]


def moments_of(history: History) -> list[int]:
    """Of its records, and just before and after what waits has waited too long."""
    rules = history.rules
    return [
        record.append_time_ms + waited
        for record in received_in(history)
        for waited in (0, rules.horizon_ms, rules.horizon_ms + 1, rules.retention_ms, rules.retention_ms + 1)
    ]


@settings(max_examples=HISTORIES, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_the_order_in_which_records_are_given_does_not_matter(history: History, random: Random) -> None:
    records = received_in(history)
    random.shuffle(records)
    assert attribute(records, read(history.definitions), history.rules) == attributed(history)


@settings(max_examples=HISTORIES, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_any_split_of_the_units_adds_up_to_the_whole(history: History, random: Random) -> None:
    now = random.choice(moments_of(history))
    side_of: defaultdict[tuple[str, bytes], int] = defaultdict(lambda: random.randrange(2))
    sides: tuple[list[Received], list[Received]] = ([], [])
    for record in received_in(history):
        sides[side_of[record.tenant_id, record.key]].append(record)
    definitions = read(history.definitions)
    parts = [attribute(side, definitions, history.rules, now) for side in sides]
    assert together(parts) == attributed(history, now)


@settings(max_examples=HISTORIES, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_the_ledger_balances_and_has_every_record(history: History, random: Random) -> None:
    result = attributed(history, random.choice(moments_of(history)))
    for entry in result.ledger.values():
        assert 0 < entry.received == sum(entry[1:]) - entry.late
        assert 0 <= entry.late <= entry.counted
    received = Counter(
        (record.tenant_id, record.topic, record.append_time_ms // MINUTE) for record in received_in(history)
    )
    assert {
        (key.tenant_id, key.topic, key.minute_ms // MINUTE): entry.received
        for key, entry in result.ledger.items()
    } == received
    whole = together([result]).ledger.values()
    for reason in Reason:
        in_ledger = sum(getattr(entry, reason) for entry in whole)
        assert in_ledger == sum(refusal.reason == reason for refusal in result.rejected)


@settings(max_examples=HISTORIES, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_as_time_passes_only_what_waits_changes(history: History, random: Random) -> None:
    earlier, later = sorted(random.choices(moments_of(history), k=2))
    before, after = attributed(history, earlier), attributed(history, later)
    assert (after.slots, after.activity) == (before.slots, before.activity)
    assert set(after.rejected) >= set(before.rejected)
    assert {refusal.reason for refusal in set(after.rejected) - set(before.rejected)} <= {
        Reason.UNKNOWN_DEFINITION
    }
    for key, entry in before.ledger.items():
        now = after.ledger[key]
        no_longer = entry.waiting - now.waiting
        given_up = now.expired_unmatched - entry.expired_unmatched
        refused = now.unknown_definition - entry.unknown_definition
        assert no_longer == given_up + refused
        assert min(no_longer, given_up, refused) >= 0
        assert now == entry._replace(
            waiting=now.waiting,
            expired_unmatched=now.expired_unmatched,
            unknown_definition=now.unknown_definition,
        )


@settings(max_examples=HISTORIES, deadline=None)
@given(histories())
def test_activity_has_as_many_exposures_as_the_slots(history: History) -> None:
    result = attributed(history)
    slots: Counter[tuple[object, ...]] = Counter()
    for slot_key, slot in result.slots.items():
        if slot_key.metric_id == "" and slot_key.segment == "":
            slots[slot_key[:4]] += slot.n
    activity: Counter[tuple[object, ...]] = Counter()
    for key, happened in result.activity.items():
        if key.metric_id == "":
            activity[key[:4]] += happened.n
    assert activity == slots


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
