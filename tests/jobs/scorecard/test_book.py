"""What is kept in state is read back as it was."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.scorecard.book import (
    Group,
    Shelf,
    Totals,
    decode_place,
    decode_totals,
    encode_place,
    encode_totals,
    parse_changes,
)
from tests.jobs.scorecard.builders import NOON_MS, ONE_HOUR_MS, a_metric, published
from udfs.attribution.sums import encode

TEXTS = st.text(max_size=20)
WIDE = st.integers(-(2**150), 2**150)
GROUPS = st.builds(Group, st.integers(1, 9), TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)
TOTALS = st.builds(
    Totals,
    st.integers(0, 2**60),
    st.tuples(*[WIDE] * 14),
    st.integers(0, 2**60),
    st.integers(0, 2**45),
    st.none() | st.integers(0, 2**45),
)


@given(st.integers(0, 2047), GROUPS, TOTALS)
def test_state_is_read_back_as_it_was_written(epoch: int, group: Group, totals: Totals) -> None:
    assert decode_place(encode_place(epoch, group)) == (epoch, group)
    assert decode_totals(encode_totals(totals)) == totals


def test_state_of_an_unknown_layout_is_refused_by_its_number() -> None:
    with pytest.raises(ValueError, match="layout 9"):
        decode_totals("[9, 1, [], 1, 1, 1]")


def test_changes_are_read_as_sql_writes_them() -> None:
    sums = (-(10**40), *range(13))
    change = {
        **dict(
            zip(Group._fields, (2, "treatment", "revenue", "country=DE", "crossed", "local"), strict=True)
        ),
        "epoch": 4,
        "n": 3,
        "sums": base64.b64encode(encode(sums)).decode(),
        "updates": 9,
        "as_of": NOON_MS,
        "first_cohort": NOON_MS - ONE_HOUR_MS,
    }
    [(epoch, group, totals)] = parse_changes(json.dumps([change]))
    assert epoch == 4
    assert group == Group(2, "treatment", "revenue", "country=DE", "crossed", "local")
    assert totals == Totals(3, sums, 9, NOON_MS, NOON_MS - ONE_HOUR_MS)


def test_the_books_of_an_experiment_are_its_state() -> None:
    group = Group(1, "control", "", "", "clean", "local")
    before, rebuilt = Totals(5, (0,) * 14, 6, 7), Totals(4, (0,) * 14, 4, 7)
    text = published(config_version=3, metrics=[a_metric(cap=5)])
    state = [
        (encode_place(epoch, group), encode_totals(totals)) for epoch, totals in ((0, before), (2, rebuilt))
    ]
    shelf = Shelf.from_state(state, [text])
    assert {epoch: book.totals for epoch, book in shelf.books.items()} == {
        0: {group: before},
        2: {group: rebuilt},
    }
    for epoch, book in shelf.books.items():
        assert book.epoch == epoch
        assert book.definitions[3].metrics[0].cap == 5
        assert book.definitions[3].treatments == ("treatment",)
