"""Which looks count: laws for any sequence of looks, and the moments that matter one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.scorecard.looks import (
    APART_MS,
    BEHIND_MS,
    SETTLED_MS,
    SILENCE_MS,
    Evidence,
    Frozen,
    Key,
    Looks,
    Minimum,
)

REVENUE: Key = ("difference", "all", 0, "revenue", "treatment")
LIMIT = math.log(0.05)
FROZEN = Frozen(0.05, 1000, 0.5, 0.5)
BEGINNING = 1_000_000
SETTLED = BEGINNING + SETTLED_MS
ONE_SECOND = 1000


def evidence(log_p: float, key: Key = REVENUE, frozen: Frozen = FROZEN) -> dict[Key, Evidence]:
    return {key: Evidence(log_p, LIMIT, frozen)}


def settled() -> Looks:
    """Looks at an experiment that is known since a while."""
    return Looks(BEGINNING, BEGINNING)


def take(looks: Looks, log_ps: Sequence[float], every_ms: int = ONE_SECOND, begin_ms: int = SETTLED) -> None:
    """One fresh look after the other."""
    for index, log_p in enumerate(log_ps):
        at_ms = begin_ms + index * every_ms
        looks.look(evidence(log_p), views=["all"], as_of_ms=at_ms - 2000, now_ms=at_ms, is_new=True)


log_ps = st.floats(-50.0, 0.0)


@given(st.lists(log_ps, min_size=2, max_size=30))
def test_the_minimum_is_the_least_of_the_weaker_of_neighbours(given_log_ps: list[float]) -> None:
    looks = settled()
    take(looks, given_log_ps)
    pairs = pairwise(given_log_ps)
    assert looks.minima[REVENUE].log_p == min(0.0, *(max(pair) for pair in pairs), 0.0)


@given(st.lists(log_ps, min_size=1, max_size=20), log_ps, st.lists(log_ps, max_size=20))
def test_a_single_wrong_look_leaves_no_trace(before: list[float], wrong: float, after: list[float]) -> None:
    """What it adds is never less than what its neighbours say themselves."""
    looks = settled()
    take(looks, [*before, wrong, *after])
    known = looks.minima.get(REVENUE, Minimum(0.0))
    assert known.log_p >= min(before + after)


@given(st.lists(st.tuples(log_ps, st.integers(0, 3000)), min_size=1, max_size=30))
def test_minima_never_rise_and_never_lie_below_what_was_seen(looks_taken: list[tuple[float, int]]) -> None:
    looks, at_ms, least = settled(), SETTLED, 0.0
    for log_p, pause_ms in looks_taken:
        at_ms += pause_ms
        looks.look(evidence(log_p), views=["all"], as_of_ms=at_ms, now_ms=at_ms, is_new=True)
        now = looks.minima.get(REVENUE, Minimum(0.0)).log_p
        assert min(each for each, _ in looks_taken) <= now <= least
        least = now


@given(st.lists(st.tuples(log_ps, st.integers(0, 3000)), min_size=1, max_size=10), st.integers(0, 9))
def test_looks_go_on_from_their_text_as_if_nothing_had_been(
    looks_taken: list[tuple[float, int]], restart: int
) -> None:
    undisturbed, restarted, at_ms = settled(), settled(), SETTLED
    for index, (log_p, pause_ms) in enumerate(looks_taken):
        at_ms += pause_ms
        if index == restart:
            restarted = Looks.decode(restarted.encode())
        for looks in (undisturbed, restarted):
            looks.look(evidence(log_p), views=["all"], as_of_ms=at_ms, now_ms=at_ms, is_new=True)
    assert restarted == undisturbed


def test_the_crossing_bears_the_moment_of_the_first_of_its_two_looks() -> None:
    looks = settled()
    take(looks, [-1.0, -4.0, -5.0, -9.0, -9.0])
    assert looks.minima[REVENUE] == Minimum(-9.0, SETTLED + ONE_SECOND - 2000, FROZEN)


def test_the_limit_itself_is_no_crossing() -> None:
    looks = settled()
    take(looks, [LIMIT, LIMIT])
    assert looks.minima[REVENUE].crossed_at_ms is None


def test_looks_within_half_a_second_are_one_and_the_weakest_speaks() -> None:
    looks = settled()
    take(looks, [-9.0, -3.0], every_ms=APART_MS - 1)
    assert looks.minima == {}
    looks.look(evidence(-9.0), views=["all"], as_of_ms=SETTLED, now_ms=SETTLED + ONE_SECOND, is_new=True)
    assert looks.minima[REVENUE].log_p == -3.0


def test_a_question_that_the_next_look_cannot_answer_is_not_confirmed() -> None:
    looks = settled()
    take(looks, [-9.0])
    looks.look({}, views=["all"], as_of_ms=SETTLED, now_ms=SETTLED + ONE_SECOND, is_new=True)
    take(looks, [-9.0], begin_ms=SETTLED + 2 * ONE_SECOND)
    assert looks.minima == {}


def test_a_look_at_other_views_leaves_what_waits_as_it_is() -> None:
    looks, matured = settled(), ("difference", "matured", 0, "revenue", "treatment")
    take(looks, [-9.0])
    looks.look(
        evidence(-5.0, matured), views=["matured"], as_of_ms=SETTLED, now_ms=SETTLED + 600, is_new=False
    )
    take(looks, [-9.0], begin_ms=SETTLED + ONE_SECOND)
    assert looks.minima.keys() == {REVENUE}
    assert looks.minima[REVENUE].log_p == -9.0


def test_the_same_sums_seen_again_confirm_nothing_before_the_silence_is_long_enough() -> None:
    looks = settled()
    take(looks, [-9.0])
    early_ms = SETTLED + SILENCE_MS - 1
    looks.look(evidence(-9.0), views=["all"], as_of_ms=SETTLED, now_ms=early_ms, is_new=False)
    assert looks.minima == {}


def test_silence_confirms_the_last_look_once() -> None:
    looks = settled()
    take(looks, [-9.0])
    due_ms = looks.next_look_ms()
    assert due_ms == SETTLED + SILENCE_MS
    looks.look(evidence(-9.0), views=["all"], as_of_ms=SETTLED, now_ms=due_ms, is_new=False)
    assert looks.minima[REVENUE].log_p == -9.0
    assert looks.next_look_ms() is None


def test_what_comes_while_the_job_stands_still_is_no_silence() -> None:
    looks = settled()
    take(looks, [-9.0])
    due_ms = looks.next_look_ms()
    assert due_ms is not None
    looks.wake(due_ms, due_ms + SILENCE_MS)
    assert looks.next_look_ms() == due_ms + 2 * SILENCE_MS
    looks.wake(due_ms, due_ms + 100)
    assert looks.next_look_ms() == due_ms + 2 * SILENCE_MS


def test_nothing_counts_before_the_experiment_is_known_for_ten_seconds() -> None:
    looks = Looks.begun(BEGINNING)
    take(looks, [-9.0] * 10, begin_ms=BEGINNING)
    assert looks.minima == {}
    assert looks.next_look_ms() == SETTLED
    take(looks, [-9.0, -9.0], begin_ms=SETTLED)
    assert looks.minima[REVENUE].log_p == -9.0


def test_nothing_counts_for_ten_seconds_after_the_job_began_again() -> None:
    looks = settled()
    take(looks, [-1.0])
    began_ms = SETTLED + ONE_SECOND
    looks.resume(began_ms)
    for seconds in range(10):
        at_ms = began_ms + seconds * ONE_SECOND
        looks.look(evidence(-9.0), views=["all"], as_of_ms=at_ms, now_ms=at_ms, is_new=True)
    assert looks.minima == {}
    assert looks.next_look_ms() == began_ms + SETTLED_MS


def test_while_history_is_caught_up_with_nothing_counts() -> None:
    looks = settled()
    for seconds in range(60):
        at_ms = SETTLED + seconds * ONE_SECOND
        looks.look(evidence(-9.0), views=["all"], as_of_ms=at_ms - BEHIND_MS - 1, now_ms=at_ms, is_new=True)
    assert looks.minima == {}


def test_what_has_not_changed_for_ten_seconds_counts_whatever_its_age() -> None:
    looks, long_ago = settled(), 0
    looks.look(evidence(-9.0), views=["all"], as_of_ms=long_ago, now_ms=SETTLED, is_new=True)
    for _ in range(2):
        due_ms = looks.next_look_ms()
        assert due_ms is not None
        looks.look(evidence(-9.0), views=["all"], as_of_ms=long_ago, now_ms=due_ms, is_new=False)
    assert due_ms == SETTLED + SETTLED_MS + SILENCE_MS
    assert looks.minima[REVENUE].log_p == -9.0


def test_a_test_keeps_what_it_was_begun_with() -> None:
    looks = settled()
    take(looks, [-1.0, -1.0])
    later = FROZEN._replace(control_share=0.9, treatment_share=0.1)
    for seconds in (2, 3):
        at_ms = SETTLED + seconds * ONE_SECOND
        looks.look(evidence(-9.0, frozen=later), views=["all"], as_of_ms=at_ms, now_ms=at_ms, is_new=True)
    assert looks.frozen(REVENUE) == FROZEN
    assert looks.frozen(("difference", "all", 0, "other", "treatment")) is None


def test_rho_and_the_planned_information_follow_from_what_is_frozen() -> None:
    assert FROZEN.planned_information == 1000
    assert FROZEN.precision == pytest.approx((-2 * math.log(0.05) + math.log(1 - 2 * math.log(0.05))) / 1000)


def test_a_limit_that_was_raised_is_crossed_by_what_was_confirmed_before() -> None:
    looks = settled()
    take(looks, [-2.0, -2.0])
    assert looks.minima[REVENUE] == Minimum(-2.0, None, FROZEN)
    raised = {REVENUE: Evidence(-1.0, math.log(0.2), FROZEN)}
    at_ms = SETTLED + 1300
    looks.look(raised, views=["all"], as_of_ms=at_ms, now_ms=at_ms, is_new=True)
    assert looks.minima[REVENUE] == Minimum(-2.0, SETTLED + ONE_SECOND - 2000, FROZEN)


def test_a_job_without_state_begins_anew_with_the_text_of_another_release(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert Looks.remembered("[99,0,0,[],[],[]]", BEGINNING) == Looks.begun(BEGINNING)
    assert "looks begin anew, running minima too: layout 99" in caplog.text
    looks = settled()
    take(looks, [-2.0, -2.0])
    assert Looks.remembered(looks.encode(), BEGINNING) == looks
    assert Looks.remembered("", BEGINNING) == Looks.begun(BEGINNING)


def test_the_text_of_another_release_is_refused_by_its_layout() -> None:
    with pytest.raises(ValueError, match="layout 99 of the looks in state is unknown"):
        Looks.decode("[99,0,0,null,[],[]]")
