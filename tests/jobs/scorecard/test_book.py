"""What is kept in state is read back as it was, and the sums of all users follow the slots."""

from __future__ import annotations

import base64
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.scorecard.book import (
    Book,
    Shelf,
    Spread,
    Spreads,
    Waiting,
    decode_spreads,
    encode_spreads,
    parts,
)
from jobs.scorecard.slots import (
    Amount,
    Cohort,
    Group,
    Slot,
    Slots,
    decode_cohort,
    decode_slots,
    encode_cohort,
    encode_slots,
    parse_changes,
)
from tests.jobs.scorecard.builders import NOON_MS, ONE_HOUR_MS, a_change, a_metric, published
from udfs.attribution.sums import encode

TEXTS = st.text(max_size=20)
WIDE = st.integers(-(2**150), 2**150)
MOMENTS_MS = st.integers(0, 2**45)
GROUPS = st.builds(Group, st.integers(1, 9), TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)
COHORTS = st.builds(Cohort, st.integers(0, 2047), st.integers(1, 9), TEXTS, st.integers(0, 2**45))
COUNTS = st.integers(0, 2**60)
SLOTS = st.builds(Slot, st.integers(0, 2**63), COUNTS, TEXTS, COUNTS, MOMENTS_MS)
AMOUNTS = st.builds(Amount, COUNTS, st.tuples(*[WIDE] * 14), COUNTS)
MAYBE = st.none() | MOMENTS_MS
SPREADS = st.builds(Spread, COUNTS, MOMENTS_MS, MAYBE, MAYBE)


@given(COHORTS, st.dictionaries(GROUPS, SPREADS, max_size=3))
def test_spreads_are_read_back_as_they_were_written(cohort: Cohort, spreads: Spreads) -> None:
    own = {
        group._replace(config_version=cohort.config_version, segment=cohort.segment): spread
        for group, spread in spreads.items()
    }
    assert decode_spreads(cohort, encode_spreads(own)) == own


@given(AMOUNTS)
def test_a_row_says_the_amount_it_was_made_of(amount: Amount) -> None:
    assert Slot.of(amount, NOON_MS).amount == amount


@given(COHORTS, st.dictionaries(GROUPS, SLOTS, max_size=3))
def test_slots_are_read_back_as_they_were_written(cohort: Cohort, slots: Slots) -> None:
    own = {
        group._replace(config_version=cohort.config_version, segment=cohort.segment): slot
        for group, slot in slots.items()
    }
    assert decode_cohort(encode_cohort(cohort)) == cohort
    assert decode_slots(cohort, encode_slots(own)) == own


def test_state_of_an_unknown_layout_is_refused_by_its_number() -> None:
    with pytest.raises(ValueError, match="layout 9 of the spreads"):
        decode_spreads(Cohort(0, 1, "", 0), "[9, []]")
    with pytest.raises(ValueError, match="layout 2 of the slots"):
        decode_slots(Cohort(0, 1, "", 0), "[2, []]")


def test_changes_are_read_as_sql_writes_them() -> None:
    sums = (-(10**40), *range(13))
    text = base64.b64encode(encode(sums)).decode()
    place = ["slot", 4, 2, "treatment", "revenue", "country=DE", NOON_MS, "crossed", "local"]
    [change] = parse_changes(json.dumps([[*place, 3, text, NOON_MS + 1, 9, 77]]))
    assert change.cohort == Cohort(4, 2, "country=DE", NOON_MS)
    assert change.group == Group(2, "treatment", "revenue", "country=DE", "crossed", "local")
    assert change.slot == Slot(77, 3, text, 9, NOON_MS + 1)
    assert change.slot.amount == (3, sums, 9)


def test_of_a_slot_that_changed_often_meanwhile_the_newest_row_is_read() -> None:
    """A job that catches up gets many rows of a slot at once, and must not pay for each."""
    rows = [a_change("control", [1] * users, "", version=users) for users in range(1, 30)]
    other = a_change("control", [1], "", cohort_ms=ONE_HOUR_MS)
    random.Random(1).shuffle(rows)
    assert set(parse_changes(json.dumps([*rows, other]))) == {max(rows, key=lambda row: row.n), other}


def test_the_books_of_an_experiment_are_its_state() -> None:
    group = Group(1, "control", "", "", "clean", "local")
    before, rebuilt = Slot(1, 5, "", 6, 7), Slot(1, 4, "", 4, 7)
    text = published(config_version=3, metrics=[a_metric(cap=5)])
    state = [(Cohort(epoch, 1, "", 0), {group: total}) for epoch, total in ((0, before), (2, rebuilt))]
    cohorts = {epoch: Cohort(epoch, 1, "", NOON_MS + epoch) for epoch in (0, 2)}
    spread = Spread(6, 7, NOON_MS, NOON_MS)
    spreads = [(Cohort(2, 1, "", 0), {group: spread})]
    shelf = Shelf.from_state(Waiting(), state, [text], spreads, cohorts.values())
    assert [book.spreads for book in shelf.books.values()] == [{}, {group: spread}]
    assert {epoch: book.totals for epoch, book in shelf.books.items()} == {
        0: {group: before},
        2: {group: rebuilt},
    }
    for epoch, book in shelf.books.items():
        assert book.epoch == epoch
        place = Cohort(epoch, 1, "", 0)
        assert parts(book.totals, [place]) == {place: book.totals}
        assert book.cohorts == {cohorts[epoch]}
        assert book.definitions[3].metrics[0].cap == 5
        assert book.definitions[3].treatments == ("treatment",)


class Kept:
    """A book and the slots it is a book of."""

    def __init__(self) -> None:
        self.book = Book()
        self.slots: dict[Cohort, Slots] = {}

    def change(self, users: int, version: int, hour: int = 0, **changes: int) -> Spread:
        """So many users of one variant in one cohort, and what is known of the variant then."""
        place = {"cohort_ms": hour * ONE_HOUR_MS, "n": users, "version": version}
        change = a_change("control", [], "", **place, **changes)
        self.book.count(change, self.slots.setdefault(change.cohort, {}))
        self.book.find_first_cohorts(lambda cohort: self.slots.get(cohort, {}))
        return self.book.spreads[change.group]


def test_of_a_slot_and_a_total_the_row_that_was_emitted_last_counts_however_late_the_others_arrive() -> None:
    rows = [(users, version) for version, users in enumerate([3, 5, 4, 9])]
    random.Random(1).shuffle(rows)
    kept = Kept()
    for users, version in rows:
        found = kept.change(users, version, updates=version + 1)
        total = a_change("control", [], "", kind="total", n=users, version=version)
        kept.book.count_total(total)
    assert found.updates == 4
    assert [slot.n for slots in kept.slots.values() for slot in slots.values()] == [9]
    assert kept.book.totals[total.group].n == 9


def test_users_begin_with_the_earliest_cohort_that_has_any() -> None:
    kept = Kept()
    for hour in (5, 3, 4, 9):
        kept.change(1, version=1, hour=hour)
    found = kept.change(0, version=2, hour=9)
    assert (found.first_cohort_ms, found.last_cohort_ms) == (3 * ONE_HOUR_MS, 9 * ONE_HOUR_MS)
    kept.change(0, version=2, hour=4)
    assert kept.change(0, version=2, hour=3).first_cohort_ms == 5 * ONE_HOUR_MS
    assert kept.change(0, version=2, hour=5).first_cohort_ms is None
    assert kept.change(1, version=2, hour=7).first_cohort_ms == 7 * ONE_HOUR_MS
