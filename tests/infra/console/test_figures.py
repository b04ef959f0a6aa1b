"""Numbers read the way people write them, and never say more or less than they are."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.console import figures
from infra.console.figures import Interval

SPACE = figures.SPACE


def plain(text: str) -> str:
    """With the spaces that a keyboard has."""
    return text.replace(SPACE, " ")


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.031, "+3.1 %"),
        (-0.019, "−1.9 %"),
        (0.0, "0.0 %"),
        (0.0002, "+0.02 %"),
        (1.5, "+150 %"),
        (0.000001, "+0.0001 %"),
    ],
)
def test_a_share_is_a_percentage_with_its_sign(share: float, words: str) -> None:
    assert plain(figures.percent(share, signed=True)) == words


def test_both_ends_of_an_interval_have_the_same_decimals() -> None:
    assert plain(figures.span(Interval(0.009, 0.053))) == "+0.9 % … +5.3 %"
    assert plain(figures.span(Interval(-0.0000049, 0.053))) == "−0.0005 % … +5.3000 %"


@given(st.floats(-2, 2).filter(lambda share: abs(share) > 1e-6), st.floats(-2, 2))
def test_an_end_that_is_not_zero_never_looks_like_zero(end: float, other: float) -> None:
    decimals = figures.decimals_for(end, other)
    assert figures.percent(end, decimals).strip(f"{figures.MINUS}0.,{SPACE}%")


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "–"), (0, "0"), (4.8, "4.800"), (312.0, "312.0"), (1234.5, "1,234"), (-0.00012, "−1.2e-04")],
)
def test_a_value_has_four_digits(value: float | None, words: str) -> None:
    assert figures.number(value) == words


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (0.0021, "1 of 480 experiments"),
        (0.05, "1 of 20 experiments"),
        (0.3, "1 of 3 experiments"),
        (0.9, "most experiments"),
        (0.0, "fewer than 1 of a million experiments"),
    ],
)
def test_a_probability_is_told_in_experiments(p: float, words: str) -> None:
    assert figures.one_in(p) == words


def test_a_probability_below_what_is_told_apart_says_so() -> None:
    assert [plain(figures.probability(p)) for p in (None, 0.412, 0.0042, 1e-9)] == [
        "–",
        "0.41",
        "0.0042",
        "below 0.0001",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(-3, "0 s"), (2.9, "2 s"), (119, "119 s"), (840, "14 min"), (2e5, "2 days")]
)
def test_a_length_of_time_is_in_its_greatest_unit(seconds: float, words: str) -> None:
    assert plain(figures.duration(seconds)) == words


@pytest.mark.parametrize(
    ("left", "words"), [(0.2, "less than a day"), (1.0, "about a day"), (11.2, "about 12 days")]
)
def test_days_to_come_are_rounded_up(left: float, words: str) -> None:
    assert figures.days(left) == words


def test_a_moment_is_told_in_utc() -> None:
    assert figures.moment(datetime(2026, 11, 2, 14, 5, 3, tzinfo=UTC)) == "2 Nov 2026 14:05:03 UTC"


def test_an_interval_turned_round_keeps_its_order() -> None:
    assert Interval(1.0, 2.0).scaled(-1) == Interval(-2.0, -1.0)
    assert Interval(1.0, 2.0).excludes(0)
    assert not Interval(-1.0, 2.0).excludes(0)


def test_an_id_is_set_apart_from_its_sentence_and_nothing_in_it_is_markup() -> None:
    sentence = f"{figures.apart('a<b')} is < {figures.apart('c_d')}"
    assert figures.told(sentence) == "<code>a&lt;b</code> is &lt; <code>c_d</code>"
    assert figures.plain(sentence) == "a<b is < c_d"
    assert figures.told(figures.apart(f"x{figures.END}y{figures.BEGIN}")) == "<code>xy</code>"
    assert figures.told(f"{figures.END}<i>{figures.BEGIN}").count("<") == 0


def test_codes_are_read_as_words_and_lists_as_sentences() -> None:
    assert figures.words("unknown_variant") == "unknown variant"
    assert figures.words("_") == "_"
    assert figures.listed(["a"]) == "a"
    assert figures.listed(["a", "b", "c"]) == "a, b and c"
