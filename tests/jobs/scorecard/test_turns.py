"""Where there is more to do than time for it: turns, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count, repeat
from typing import Any

import pytest
from pyflink.common import Row

from jobs.scorecard.agenda import VIEWS
from jobs.scorecard.kept import Kind
from jobs.scorecard.looks import SILENCE_MS, Looks
from jobs.scorecard.operators import ANSWERS_SHARE, LATE_MS, LEAST_OF_SHARE, Scorecard
from jobs.scorecard.pace import Pace, Times, Turn, Turns
from jobs.scorecard.slots import Change
from tests.jobs.scorecard.builders import a_change, a_metric, published
from tests.jobs.scorecard.running import (
    CHECKOUT,
    ONLY_REMEMBERED,
    SLOTS,
    UNSETTLED,
    FakeContext,
    Running,
    newer,
    views,
)


def answered(context: FakeContext) -> Running:
    """An experiment of which everything is told, ten seconds after its slots came."""
    running = Running(context, remembered=UNSETTLED)
    running.define(published())
    running.slots(*SLOTS)
    running.until(1010.0)
    return running


def turns_come(
    monkeypatch: pytest.MonkeyPatch, turns: Turns | type[Turns], when: Callable[[int], int]
) -> None:
    """Whoever takes a turn now has it then, whatever the machine is busy with."""
    monkeypatch.setattr(turns, "take", lambda *given: Turn(when(given[-1]), 0.0))
    monkeypatch.setattr(turns, "due_ms", lambda *given: int(given[-1].at_ms))


def clear(users: int, as_of_s: float) -> list[Change]:
    """So many users in each arm; the more, the clearer the effect."""
    return [
        a_change(
            variant, [1.0 + by, 1.2 + by] * users, metric_id, as_of_ms=int(as_of_s * 1000), version=users
        )
        for variant, by in (("control", 0.0), ("treatment", 1.0))
        for metric_id in ("", "revenue")
    ]


def looks_again(running: Running, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When there are second looks from now on, in seconds."""
    looked: list[float] = []
    look_again = Scorecard._look_again

    def looking(*of: Any) -> Iterable[Row]:
        looked.append(running.now_s)
        return look_again(*of)

    monkeypatch.setattr(Scorecard, "_look_again", looking)
    return looked


def turns_of(turns: Turns, number: int, cost_ms: float) -> int:
    """So many turns one after the other; returns when the next may be."""
    at_ms = 0
    for _ in range(number):
        turn = turns.take(at_ms)
        at_ms = max(at_ms, turns.due_ms(turn))
        turns.spent(turn, cost_ms)
    return at_ms + round(cost_ms / turns.share)


def test_looks_take_turns_and_a_tenth_of_the_time() -> None:
    turns = Turns(share=0.1)
    assert [turns.due_ms(turns.take(0)) for _ in range(3)] == [0, 0, 0]
    at_ms = turns_of(turns, 200, cost_ms=20.0)
    kept = [turns.take(at_ms) for _ in range(4)]
    assert [turns.due_ms(turn) - at_ms for turn in kept] == pytest.approx([0, 200, 400, 600], abs=2)
    assert turns.due_ms(turns.take(at_ms + 9000)) == at_ms + 9000


def test_what_takes_longer_than_expected_makes_all_turns_that_wait_later() -> None:
    """Many wait on a machine that is then busy with something else: their share stays what it is."""
    turns = Turns(share=0.1)
    at_ms = turns_of(turns, 200, cost_ms=20.0)
    first, *others = [turns.take(at_ms) for _ in range(4)]
    turns.spent(first, 50.0)
    assert [turns.due_ms(turn) - at_ms for turn in others] == pytest.approx([500, 700, 900], abs=2)


def test_a_look_whose_turn_is_later_is_made_then(
    context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Running(context)
    running.define(published())
    running.slots(*SLOTS)
    turns_come(monkeypatch, Turns, lambda now_ms: now_ms + 4000)
    assert views(running.until(1003.9)) == []
    assert views(running.until(1004.0)) == [(1004.0, VIEWS)]


def test_many_changes_have_one_answer_where_there_is_no_time_for_more(
    context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = answered(context)
    turns_come(monkeypatch, Turns, lambda now_ms: now_ms + 4000)
    for step in range(1, 4):
        assert running.slots(*newer(SLOTS[:-1], step), SLOTS[-1]._replace(n=step, version=step)) == {}
        running.now_s += 1.0
    assert views(running.until(1013.9)) == []
    told = running.until(1014.0)
    assert views(told) == [(1014.0, ("all",))]
    assert views(running.until(1015.0)) == []
    assert context.answers == 2


def test_what_waits_for_its_turn_has_one_timer_however_much_comes_meanwhile(
    context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = answered(context)
    turns_come(monkeypatch, Turns, lambda now_ms: now_ms + 4000)
    later_ms: Iterator[int] = count()
    monkeypatch.setattr(Turns, "due_ms", lambda _, turn: int(turn.at_ms) + next(later_ms))
    running.slots(*newer(SLOTS))
    timers = len(context.timers_ms)
    for step in range(2, 5):
        running.slots(*newer(SLOTS, step))
    assert len(context.timers_ms) == timers
    later_ms = chain([5], repeat(0))
    assert views(running.until(1014.1)) == [(1014.005, ("all",))]


@ONLY_REMEMBERED
def test_a_second_look_waits_for_its_turn_too(context: FakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running(context, now_s=2000.0)
    running.define(published())
    running.slots(*clear(100, running.now_s))
    running.until(2020.0)
    running.slots(*clear(101, running.now_s))
    looked = looks_again(running, monkeypatch)
    free_s = running.now_s + SILENCE_MS / 1000 + 5
    turns = running._operator._answer_turns
    turns_come(monkeypatch, turns, lambda now_ms: max(now_ms, int(free_s * 1000)))
    running.until(free_s - 0.1)
    assert looked == []
    running.until(free_s)
    assert looked == [free_s]


@ONLY_REMEMBERED
def test_while_what_comes_is_late_a_second_look_is_left_to_the_next_change(
    context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Running(context, now_s=2000.0)
    running.define(published())
    running.slots(*clear(100, running.now_s))
    running.until(2020.0)
    looked = looks_again(running, monkeypatch)
    late_s = 8
    for step in range(1, 6):
        changed_s = running.now_s
        running.slots(*clear(100 + step, changed_s - late_s))
        running.until(changed_s + 5)
    assert looked == []
    running.until(changed_s + 30)
    assert looked == [changed_s + SILENCE_MS / 1000 + late_s]


def test_a_turn_that_is_not_needed_any_more_keeps_no_later_look_away(
    context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second look waits for its turn; history comes first and is the second look. Then nothing comes."""

    running = Running(context)
    running.define(published(metrics=[a_metric(window_days=14)]))
    running.slots(*clear(100, 999.0))
    running.until(1010.5)
    running.slots(*clear(110, 1010.5))
    history_s = next(Times().next_history_ms(CHECKOUT, Pace(recorded_ms=1_000_000))) / 1000
    running.until(history_s - 3)
    running.slots(*clear(120, running.now_s))
    others_s = history_s + 1
    turns_come(monkeypatch, running._operator._answer_turns, lambda now_ms: max(now_ms, int(others_s * 1000)))
    running.until(15 * 24 * 3600.0)
    minima = Looks.decode(context.kept(Kind.LOOKS)["0"]).minima
    assert {view for _, view, *_ in minima} >= {"all", "matured"}


def test_a_stall_in_a_turn_is_nobodys_debt() -> None:
    """As where ClickHouse is away while a job without state asks for earlier looks."""
    turns = Turns(share=0.5)
    at_ms = turns_of(turns, 200, cost_ms=5.0)
    turns.spent(turns.take(at_ms), 180_000.0)
    assert turns.due_ms(turns.take(at_ms + 180_000)) == at_ms + 180_000
    assert turns.due_ms(turns.take(at_ms + 180_000)) < at_ms + 181_000


def test_a_turn_that_is_given_back_is_the_next_ones() -> None:
    turns = Turns(share=0.1)
    at_ms = turns_of(turns, 200, cost_ms=20.0)
    first, *others = [turns.take(at_ms) for _ in range(3)]
    turns.give_back(first)
    assert [turns.due_ms(turn) - at_ms for turn in others] == pytest.approx([0, 200], abs=2)


def test_history_that_is_due_waits_for_the_views_turn_without_asking_again_and_again(
    context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = answered(context)
    running.slots(*newer(SLOTS))
    turns, free_s = running._operator._view_turns, 1100.0
    turns_come(monkeypatch, turns, lambda now_ms: max(now_ms, int(free_s * 1000)))
    assert views(running.until(free_s - 1)) == []
    assert views(running.until(free_s)) == [(free_s, VIEWS)]


def test_the_later_what_comes_is_the_more_time_answers_leave_to_counting(
    context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = []
    monkeypatch.setattr(Turns, "take", lambda turns, now_ms: shares.append(turns.share) or Turn(0.0, 0.0))
    running = Running(context)
    running.define(published())
    for step, age_s in enumerate([100 * LATE_MS / 1000, 2 * LATE_MS / 1000, 1.0]):
        at_ms = int((running.now_s - age_s) * 1000)
        running.slots(*(change._replace(as_of_ms=at_ms) for change in newer(SLOTS, step)))
    wanted = (LEAST_OF_SHARE * ANSWERS_SHARE, ANSWERS_SHARE / 2, ANSWERS_SHARE)
    assert shares == pytest.approx(wanted)


def test_slots_that_were_held_back_do_not_make_it_late(context: FakeContext) -> None:
    running = Running(context)
    running.define(published())
    running.slots(*(change._replace(as_of_ms=int(running.now_s * 1000)) for change in SLOTS))
    long_ago_ms = int(running.now_s * 1000) - 100 * LATE_MS
    running.records([change._replace(as_of_ms=long_ago_ms) for change in newer(SLOTS)])
    assert running._operator._answer_turns.share == ANSWERS_SHARE


def test_work_that_was_saved_up_is_done_at_once() -> None:
    turns = Turns(share=0.5, ahead_ms=300)
    at_ms = turns_of(turns, 200, cost_ms=50.0) + 10_000
    waiting_ms = [turns.due_ms(turns.take(at_ms)) - at_ms for _ in range(6)]
    assert waiting_ms == pytest.approx([-300, -200, -100, 0, 100, 200], abs=2)
