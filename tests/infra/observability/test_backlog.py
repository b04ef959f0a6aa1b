"""How long the oldest record that is not counted has waited is told from the log's length over time."""

from __future__ import annotations

import pytest

from infra.observability.exporter.backlog import MOST_POINTS, Backlog


def test_nothing_waits_where_all_are_counted() -> None:
    backlog = Backlog(100, 0.0)
    for second in range(0, 60, 5):
        backlog.grown(second, 100 + second)
        assert backlog.delay_s(second, 100 + second) == 0.0


def test_a_flow_that_is_counted_three_seconds_later_has_a_delay_of_three_seconds() -> None:
    backlog = Backlog(0, 0.0)
    for second in range(5, 100, 5):
        backlog.grown(second, 1000 * second)
        delay_s = backlog.delay_s(second, 1000 * (second - 3))
        assert delay_s == pytest.approx(3.0, abs=0.01)


def test_when_nothing_is_counted_any_more_the_delay_grows_with_the_clock() -> None:
    backlog = Backlog(0, 0.0)
    backlog.grown(5, 500)
    assert backlog.delay_s(5, 500) == 0.0
    for second in range(10, 500, 5):
        backlog.grown(second, 100 * second)
        assert backlog.delay_s(second, 500) == pytest.approx(second - 5, abs=0.1)


def test_one_record_after_an_hour_of_silence_is_as_old_as_the_look_that_found_it() -> None:
    backlog = Backlog(7, 0.0)
    for second in range(0, 3600, 5):
        backlog.grown(second, 7)
    backlog.grown(3600, 8)
    assert backlog.delay_s(3600, 7) == 0.0
    backlog.grown(3605, 8)
    assert backlog.delay_s(3605, 7) == 5.0


def test_what_waited_when_the_first_look_was_taken_counts_from_the_first_record() -> None:
    backlog = Backlog(40, 100.0, waiting_since_s=10.0)
    backlog.grown(100, 41)
    assert backlog.delay_s(100, 40) == 90.0
    backlog.grown(105, 41)
    assert backlog.delay_s(105, 40) == 95.0
    assert backlog.delay_s(105, 41) == 0.0


def test_counts_that_step_back_are_behind_since_the_oldest_moment_known() -> None:
    backlog = Backlog(40, 10.0)
    backlog.grown(15, 35)
    assert backlog.delay_s(15, 30) == 5.0
    assert backlog.delay_s(15, 50) == 0.0


def test_a_delay_longer_than_what_is_remembered_does_not_shrink() -> None:
    backlog = Backlog(0, 0.0)
    delays = []
    for look in range(1, 2 * MOST_POINTS):
        backlog.grown(5 * look, 10 * look)
        delays.append(backlog.delay_s(5 * look, 0))
    assert delays[MOST_POINTS] > 0.99 * 5 * MOST_POINTS
    assert min(delays[MOST_POINTS:]) >= 0.99 * 5 * (MOST_POINTS - 2)
