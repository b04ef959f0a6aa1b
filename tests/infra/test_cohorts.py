"""Which days and hours people mean, and which of them can be told apart by cohorts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from infra.cohorts import Cohorts, SliceError


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("2026-11-20..2026-11-22", "2026-11-20", "2026-11-23"),
        ("2026-11-20..2026-11-20", "2026-11-20", "2026-11-21"),
        ("2026-11-20", "2026-11-20", "2026-11-21"),
        ("2026-11-20T14", "2026-11-20T14:00", "2026-11-20T15:00"),
        ("2026-11-20T14..2026-11-20T14", "2026-11-20T14:00", "2026-11-20T15:00"),
        ("2026-11-20T14..2026-11-22", "2026-11-20T14:00", "2026-11-23"),
        ("2026-12-31T23..2026-12-31T23", "2026-12-31T23:00", "2027-01-01"),
    ],
)
def test_both_bounds_are_inclusive(text: str, begin: str, end: str) -> None:
    assert Cohorts.parse(text) == Cohorts(text, ms(begin), ms(end))


def test_an_absent_bound_is_open() -> None:
    assert Cohorts.parse("2026-11-20..") == Cohorts("2026-11-20..", ms("2026-11-20"), None)
    assert Cohorts.parse("..2026-11-20") == Cohorts("..2026-11-20", None, ms("2026-11-21"))
    assert Cohorts.parse("..").is_whole
    assert not Cohorts.parse("2026-11-20..").is_whole


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("yesterday", "'yesterday' is neither a day"),
        ("2026-11-20 14..", "'2026-11-20 14' is neither"),
        ("2026-02-30", "'2026-02-30' is neither"),
        ("2026-11-20T24", "'2026-11-20T24' is neither"),
        ("2026-11-20T14:30", "'2026-11-20T14:30' is neither"),
        ("2026-11-20..2026-11-21..2026-11-22", "'2026-11-21..2026-11-22' is neither"),
        ("2026-11-22..2026-11-20", "end before they begin"),
    ],
)
def test_what_is_no_range_is_refused_with_what_is_wrong(text: str, named: str) -> None:
    with pytest.raises(SliceError, match=named):
        Cohorts.parse(text)


def test_bounds_between_cohorts_are_fine_whatever_their_precision() -> None:
    Cohorts.parse("2026-11-20T14..2026-11-20T15").check_between(1, "acme/checkout/1")
    Cohorts.parse("2026-11-20T00..2026-11-22T23").check_between(24, "every segment")
    Cohorts.parse("..").check_between(168, "acme/checkout/1")


@pytest.mark.parametrize(
    ("text", "width_hours", "inside"),
    [
        ("2026-11-20T14..", 24, "2026-11-20T14 is inside the one that begins 2026-11-20T00"),
        ("2026-11-20..2026-11-22T10", 24, "2026-11-22T11 is inside the one that begins 2026-11-22T00"),
        # Weeks are counted from 1970, whose first day was a Thursday.
        ("2026-11-20", 168, "2026-11-20T00 is inside the one that begins 2026-11-19T00"),
    ],
)
def test_a_bound_inside_a_cohort_is_refused_with_its_place(text: str, width_hours: int, inside: str) -> None:
    with pytest.raises(SliceError, match=f"{width_hours} h wide, and {inside}"):
        Cohorts.parse(text).check_between(width_hours, "acme/checkout/1")
