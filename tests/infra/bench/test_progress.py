"""Rates are those between two points of progress, whatever happened before and after."""

from __future__ import annotations

import pytest

from infra.bench.progress import Look, NoProgressError, between, steady

START_UP = [Look(0, 0, 0), Look(10, 0, 8), Look(12, 100, 11)]
WORKING = [Look(14, 1100, 15), Look(16, 2100, 19), Look(18, 3100, 23), Look(20, 4100, 27)]
IDLE = [Look(25, 4100, 28)]


def test_start_up_and_idle_time_do_not_count() -> None:
    measured = steady(START_UP + WORKING + IDLE)
    assert measured.events_per_s == pytest.approx(500)
    assert measured.cpu_us_per_event == pytest.approx(4000)
    assert measured.records == pytest.approx(0.6 * 4100)


def test_points_between_two_looks_are_found_by_the_share_of_the_way() -> None:
    measured = between(WORKING, 1600, 2600)
    assert measured.seconds == pytest.approx(2)
    assert measured.cpu_s == pytest.approx(4)


def test_a_job_first_seen_late_is_measured_from_there() -> None:
    assert steady([START_UP[0], *WORKING[2:]]).seconds == pytest.approx(2)
    with pytest.raises(NoProgressError):
        steady([START_UP[0], WORKING[3]])


def test_with_the_start_up_only_if_that_is_asked_for() -> None:
    assert steady([START_UP[0], WORKING[3]], since=0.0).events_per_s == pytest.approx(4100 / 20)


def test_the_point_to_measure_from_can_be_given() -> None:
    assert steady(START_UP + WORKING, since=3100).records == 1000


def test_more_looks_at_the_same_run_change_nothing() -> None:
    more = sorted([*WORKING, Look(15, 1600, 17), Look(19, 3600, 25)])
    assert between(more, 1300, 3900) == pytest.approx(between(WORKING, 1300, 3900))


@pytest.mark.parametrize(
    "looks", [[], START_UP[:2], [Look(1, 100, 1)], [Look(1, 100, 1), Look(2, 100, 2)]], ids=len
)
def test_a_job_that_was_not_seen_working_has_no_rate(looks: list[Look]) -> None:
    with pytest.raises(NoProgressError):
        steady(looks)


def test_a_point_that_was_not_reached_is_named() -> None:
    with pytest.raises(NoProgressError, match="9,000 records were not reached"):
        between(WORKING, 1000, 9000)
