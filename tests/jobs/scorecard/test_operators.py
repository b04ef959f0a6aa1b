"""State and moments of the scorecard, with a dictionary for Flink's state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from pyflink.common import Row

from config.settings import ClickHouse
from jobs.scorecard.agenda import BESIDE_ALL, VIEWS
from jobs.scorecard.kept import Kind
from jobs.scorecard.looks import SETTLED_MS, SILENCE_MS, Looks
from jobs.scorecard.operators import (
    EMISSION_BITS,
    WriteRows,
)
from jobs.scorecard.pace import QUIET_MS
from jobs.scorecard.slots import Change
from tests.jobs.scorecard.builders import a_change, a_count, a_metric, published
from tests.jobs.scorecard.running import (
    ONLY_REMEMBERED,
    SLOTS,
    TABLES,
    UNSETTLED,
    FakeContext,
    Running,
    newer,
    views,
)


def timeless(answers: dict[str, dict[str, list[Any]]]) -> dict[str, Any]:
    """Answers without the moment they were given at and the rebuild they belong to."""
    left_out = ("version", "computed_at", "epoch")
    return {
        table: {name: values for name, values in columns.items() if name not in left_out}
        for table, columns in answers.items()
    }


def test_slots_wait_for_their_definition(context: FakeContext) -> None:
    running = Running(context)
    assert running.slots(*SLOTS) == {}
    assert running.define(published())["result_rows"]["abs_diff"][0] == 2


def test_without_a_definition_no_timer_asks_again_and_again(context: FakeContext) -> None:
    running = Running(context)
    running.slots(*SLOTS)
    assert running.until(running.now_s + 60) == []


def test_a_definition_waits_for_its_slots(context: FakeContext) -> None:
    running = Running(context)
    assert running.define(published()) == {}
    assert running.slots(*SLOTS)["result_rows"]["abs_diff"][0] == 2


def test_slots_and_definitions_in_any_order_give_the_same_answers(context: FakeContext) -> None:
    first, second = Running(context), Running(FakeContext())
    first.slots(*SLOTS)
    second.define(published())
    for change in reversed(SLOTS[1:]):
        second.slots(change)
    assert timeless(first.define(published())) == timeless(second.slots(SLOTS[0]))


def test_a_newer_sum_replaces_the_one_before(context: FakeContext) -> None:
    running = Running(context)
    running.define(published())
    running.slots(*SLOTS)
    found = running.slots(a_change("treatment", [2, 4, 9], updates=4, version=2))["result_rows"]
    assert found["mean_treatment"][0] == 5
    assert found["slot_updates"][0] == 3 + 3 + 3 + 4


def test_the_first_definition_of_a_version_stands(context: FakeContext) -> None:
    running = Running(context)
    running.slots(*SLOTS)
    running.define(published())
    assert running.define(published(alpha=0.5)) == {}
    assert json.loads(context.kept(Kind.DEFINITION)["1"])["alpha"] == 0.05


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", published(metrics=[{}])])
def test_what_is_no_definition_is_passed_over(
    context: FakeContext, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    running = Running(context)
    assert running.define(text) == {}
    assert "no definition of acme/checkout" in caplog.text
    running.slots(*SLOTS)
    assert running.define(published())["result_rows"]["status"]


def test_after_a_restart_the_answers_go_on_from_the_state(context: FakeContext) -> None:
    before = Running(context)
    before.define(published())
    before.slots(*SLOTS[:-1])
    after = Running(context)
    undisturbed = Running(FakeContext())
    undisturbed.define(published())
    assert timeless(after.slots(SLOTS[-1])) == timeless(undisturbed.slots(*SLOTS))


def test_a_replay_changes_nothing_and_the_same_rows_under_a_new_version_say_the_same_again(
    context: FakeContext,
) -> None:
    running = Running(context)
    running.define(published())
    first = running.slots(*SLOTS)
    assert running.slots(*SLOTS) == {}
    assert timeless(Running(context).slots(*newer(SLOTS))) == timeless(first)


def test_versions_grow_with_every_answer_though_the_clock_stands(context: FakeContext) -> None:
    running = Running(context, now_s=1000.0)
    running.define(published())
    rebuilt = in_epoch(3, SLOTS)
    versions = [running.slots(*newer(rebuilt, step))["result_rows"]["version"][0] for step in range(3)]
    assert versions == [(3 << EMISSION_BITS) + 1_000_000_000 + step for step in range(3)]


def test_every_row_of_an_answer_has_its_version(context: FakeContext) -> None:
    running = Running(context)
    running.define(published())
    answers = running.slots(*SLOTS)
    assert len({version for columns in answers.values() for version in columns["version"]}) == 1


def in_epoch(epoch: int, changes: Sequence[Change]) -> list[Change]:
    return [change._replace(epoch=epoch) for change in changes]


def test_a_rebuild_has_a_book_of_its_own_beside_the_one_before(context: FakeContext) -> None:
    running = Running(context)
    running.define(published())
    before = running.slots(*SLOTS)
    part = running.slots(*in_epoch(1, SLOTS[:2]))
    assert running.answered == [(table, 1) for table in TABLES]
    assert part["result_rows"]["n_treatment"][0] == 0
    assert timeless(running.slots(*newer(SLOTS))) == timeless(before)
    assert running.answered == [(table, 0) for table in TABLES]
    assert timeless(running.slots(*in_epoch(1, SLOTS[2:]))) == timeless(before)


def test_after_a_restart_the_books_are_still_apart(context: FakeContext) -> None:
    before = Running(context)
    before.define(published())
    complete = before.slots(*SLOTS)
    before.slots(*in_epoch(1, SLOTS[:2]))
    after = Running(context)
    assert timeless(after.slots(*in_epoch(1, SLOTS[2:]))) == timeless(complete)


def test_only_epochs_whose_sums_changed_are_answered_again(context: FakeContext) -> None:
    running = Running(context)
    running.define(published())
    running.slots(*in_epoch(1, SLOTS), *SLOTS)
    assert running.answered == [(table, epoch) for epoch in (0, 1) for table in TABLES]
    running.slots(*in_epoch(1, newer(SLOTS[:1])))
    assert running.answered == [(table, 1) for table in TABLES]


def test_a_definition_answers_for_every_epoch(context: FakeContext) -> None:
    running = Running(context)
    running.slots(*SLOTS, *in_epoch(1, SLOTS))
    assert running.answered == []
    running.define(published())
    assert running.answered == [(table, epoch) for epoch in (0, 1) for table in TABLES]


def test_the_rows_of_a_rebuild_have_greater_versions_than_those_of_the_job_before(
    context: FakeContext,
) -> None:
    running = Running(context, now_s=2000.0)
    running.define(published())
    later = running.slots(*SLOTS)["result_rows"]["version"][0]
    earlier = Running(FakeContext(), now_s=1000.0)
    earlier.define(published())
    assert earlier.slots(*in_epoch(1, SLOTS))["result_rows"]["version"][0] > later


def users(said: Sequence[tuple[float, str, dict[str, list[Any]]]], view: str) -> list[tuple[float, int]]:
    """When the users of both arms in a view were told."""
    found = []
    for at_s, table, columns in said:
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        counts = {
            row["n_control"] + row["n_treatment"]
            for row in rows
            if table == "result_rows" and (row["view"], row["policy"]) == (view, "first_seen")
        }
        found += [(at_s, count) for count in counts]
    return found


HOUR_S = 3600


A_DAY_AFTER_S = 25 * HOUR_S
"""When users of the first hour leave the last 24 hours."""


def test_the_other_views_of_a_new_experiment_are_told_at_once(context: FakeContext) -> None:
    running = Running(context, remembered=UNSETTLED)
    running.define(published())
    running.slots(*SLOTS)
    assert views(running.until(running.now_s)) == [(1000.0, VIEWS)]


def test_later_changes_show_in_the_other_views_once_in_ten_seconds(context: FakeContext) -> None:
    running = Running(context, remembered=UNSETTLED)
    running.define(published())
    running.slots(*SLOTS)
    running.until(1000.0)
    told = []
    for second in range(60):
        running.slots(*newer(SLOTS, 1 + second))
        told += views(running.until(1001.0 + second))
    assert len(told) == 6
    gaps = [after[0] - before[0] for before, after in pairwise(told[1:])]
    assert gaps == pytest.approx([10.0] * 4)


@ONLY_REMEMBERED
def test_totals_are_told_at_once_and_their_slots_later(context: FakeContext) -> None:
    running = Running(context, remembered=UNSETTLED)
    running.define(published())
    running.slots(*SLOTS)
    running.until(1010.0)
    more = a_change("treatment", [2, 4, 9, 5], "", updates=4, version=2, as_of_ms=1_010_000)
    slot, total = context.told.changes(more)
    found = running.records([total])["result_rows"]
    assert (set(found["view"]), found["n_treatment"][0]) == ({"all"}, 4)
    assert (found["as_of"][0], found["slot_updates"][0]) == (1_010_000, 3 + 3 + 3 + 4)
    assert views(running.until(1030.0)) == []
    assert running.records([slot]) == {}
    told = running.until(1040.0)
    assert [shown for _, shown in views(told)] == [BESIDE_ALL]
    assert users(told, "rolling_7d")[-1][1] == 7


def test_when_users_came_first_is_told_of_all_when_their_slots_are_there(context: FakeContext) -> None:
    running = Running(context, remembered=UNSETTLED)
    running.define(published())
    slots = [change._replace(cohort_ms=HOUR_S * 1000) for change in SLOTS]
    changes = context.told.changes(*slots)
    assert running.records(changes[len(slots) :])["result_rows"]["covers_from"][0] is None
    assert running.records(changes[: len(slots)])["result_rows"]["covers_from"][0] == HOUR_S * 1000
    assert views(running.until(running.now_s))[-1] == (1000.0, VIEWS)


def test_nothing_is_told_again_while_nothing_changes(context: FakeContext) -> None:
    running = Running(context, remembered=UNSETTLED)
    running.define(published())
    running.slots(*SLOTS)
    running.until(1010.0)
    assert running.until(float(HOUR_S)) == []


def test_users_leave_by_time_though_nothing_arrives(context: FakeContext) -> None:
    running = Running(context, remembered=UNSETTLED)
    running.define(published())
    running.slots(*SLOTS)
    assert users(running.until(1000.0), "rolling_24h") == [(1000.0, 6)]
    leaving_s = A_DAY_AFTER_S + QUIET_MS / 1000
    told = running.until(leaving_s + 100)
    assert users(told, "rolling_24h") == [(leaving_s, 0)]
    assert users(told, "rolling_7d") == users(told, "all") == [(leaving_s, 6)]
    assert {moment for _, table, columns in told for moment in columns["as_of"]} == {A_DAY_AFTER_S * 1000}


def test_a_window_closes_by_time_though_nothing_arrives_and_view_all_is_settled(
    context: FakeContext,
) -> None:
    running = Running(context, remembered=UNSETTLED)
    running.define(published(metrics=[a_metric(window_days=2)]))
    running.slots(*SLOTS)
    assert users(running.until(1000.0), "matured") == [(1000.0, 0)]
    told = running.until(50 * HOUR_S)
    assert users(told, "matured")[-1] == (49 * HOUR_S + QUIET_MS / 1000, 6)
    *_, columns = (columns for _, table, columns in told if table == "result_rows")
    bases = set(zip(columns["view"], columns["seq_basis"], strict=True))
    assert {basis for view, basis in bases if view == "all"} == {"matured", None}


def test_after_a_restart_users_leave_as_they_would_have(context: FakeContext) -> None:
    before = Running(context, remembered=UNSETTLED)
    before.define(published())
    before.slots(*SLOTS)
    before.until(1000.0)
    after = Running(context, now_s=2000.0, remembered=UNSETTLED)
    told = users(after.until(A_DAY_AFTER_S + 2 * QUIET_MS / 1000), "rolling_24h")
    assert told == [(A_DAY_AFTER_S + QUIET_MS / 1000, 6), (A_DAY_AFTER_S + 2 * QUIET_MS / 1000, 0)]


def test_users_who_came_while_the_job_was_away_do_not_bring_others_back(context: FakeContext) -> None:
    before = Running(context, remembered=UNSETTLED)
    before.define(published())
    before.slots(*SLOTS)
    before.until(1000.0)
    after = Running(context, now_s=float(A_DAY_AFTER_S))
    new = [
        change._replace(cohort_ms=24 * HOUR_S * 1000, as_of_ms=A_DAY_AFTER_S * 1000) for change in SLOTS[:2]
    ]
    after.slots(*new)
    told = after.until(A_DAY_AFTER_S + 10.0)
    assert users(told, "rolling_24h")[-1][1] == 3
    assert users(told, "rolling_7d")[-1][1] == 9


@ONLY_REMEMBERED
def test_a_job_that_stood_still_takes_what_it_missed_for_no_silence(context: FakeContext) -> None:
    """Its timer fires late, and what was appended meanwhile may be behind it."""
    running = Running(context, remembered=UNSETTLED)
    running.define(published())
    running.slots(*SLOTS)
    running.until(1000.0)
    running.now_s = late_s = A_DAY_AFTER_S + 300.0
    assert users(running.until(late_s), "rolling_24h") == []
    last = [change._replace(as_of_ms=(A_DAY_AFTER_S - 60) * 1000) for change in newer(SLOTS)]
    running.slots(*last)
    assert users(running.until(late_s + 9.9), "rolling_24h")[-1][1] == 6
    assert users(running.until(late_s + 10.0), "rolling_24h")[-1][1] == 0


HISTORIES = ["result_history_rows", "sample_ratio_history_rows"]


def recorded(said: Sequence[tuple[float, str, dict[str, list[Any]]]]) -> list[tuple[float, str]]:
    return [(at_s, table) for at_s, table, _ in said if table in HISTORIES]


def test_history_is_written_at_once_and_then_once_a_minute_while_something_changes(
    context: FakeContext,
) -> None:
    running = Running(context, remembered=UNSETTLED)
    running.define(published())
    running.slots(*SLOTS)
    told = recorded(running.until(1000.0))
    for second in range(180):
        running.slots(a_change("treatment", [2, 4, 7 + second], version=2 + second))
        told += recorded(running.until(1001.0 + second))
    results = [at_s for at_s, table in told if table == "result_history_rows"]
    assert results[0] == 1000.0
    assert len(results) == 4
    gaps = [after - before for before, after in pairwise(results[1:])]
    assert gaps == pytest.approx([60.0] * 2)


def test_the_last_change_before_silence_is_in_history(context: FakeContext) -> None:
    running = Running(context, remembered=UNSETTLED)
    running.define(published())
    running.slots(*SLOTS)
    running.until(1000.0)
    running.slots(a_change("treatment", [2, 4, 9], version=2))
    told = running.until(1100.0)
    [means] = [columns["mean_treatment"] for _, table, columns in told if table == HISTORIES[0]]
    assert set(means) <= {5, None}
    assert recorded(running.until(3000.0)) == []


@ONLY_REMEMBERED
def test_only_rows_that_say_something_new_are_written_to_history(context: FakeContext) -> None:
    running = Running(context, remembered=UNSETTLED)
    running.define(published(metrics=[a_metric(), a_metric(id="other")]))
    running.slots(*SLOTS)
    running.until(1000.0)
    running.slots(a_change("treatment", [1, 1, 4], "other", version=2))
    told = running.until(1100.0)
    assert [table for _, table in recorded(told)] == HISTORIES[:1]
    [metrics] = [set(columns["metric_id"]) for _, table, columns in told if table == HISTORIES[0]]
    assert metrics == {"other"}


def test_a_definition_that_comes_later_counts_the_users_before_it_in_every_view(
    context: FakeContext,
) -> None:
    running = Running(context, remembered=UNSETTLED)
    running.slots(*SLOTS)
    assert running.until(1000.0) == []
    running.define(published())
    assert users(running.until(1000.0), "rolling_24h") == [(1000.0, 6)]


@ONLY_REMEMBERED
def test_the_views_of_a_change_are_those_beside_all(context: FakeContext) -> None:
    running = Running(context, remembered=UNSETTLED)
    running.define(published())
    running.slots(*SLOTS)
    running.until(1000.0)
    running.slots(*newer(SLOTS))
    assert [told for _, told in views(running.until(1010.0))] == [BESIDE_ALL]


LATENCY = a_metric(id="latency", role="guardrail", direction="decrease", margin=0.02, stop=True)


BEGAN_S = 1000.0


FIRST_LOOK_S = BEGAN_S + SETTLED_MS / 1000


CONFIRMED_S = FIRST_LOOK_S + SILENCE_MS / 1000


def harmful_slots(as_of_ms: int = 999_000) -> list[Change]:
    """A treatment that is surely slower; users and their sums of both arms."""
    return [
        a_change(variant, [1.0 + slower, 1.2 + slower] * 100, metric_id, as_of_ms=as_of_ms)
        for variant, slower in (("control", 0.0), ("treatment", 1.0))
        for metric_id in ("", "latency")
    ]


def harmed(context: FakeContext, **changes: Any) -> Running:
    """The operator with slots that show harm, before the first look that counts."""
    running = Running(context, **changes)
    running.define(published(metrics=[LATENCY]))
    running.slots(*harmful_slots())
    return running


def last(said: Sequence[tuple[float, str, Any]], at_s: float) -> dict[str, Any]:
    """What was told at a moment, by table."""
    return {table: columns for told_s, table, columns in said if told_s == at_s}


def test_silence_brings_the_look_that_decides_and_everything_that_shows_it(context: FakeContext) -> None:
    said = harmed(context).until(BEGAN_S + 60)
    told = last(said, CONFIRMED_S)
    shown = {*TABLES, "look_rows", "decision_rows", "decisions"}
    assert told.keys() == shown | {"result_history_rows", "sample_ratio_history_rows"}
    assert 999_000 in told["result_rows"]["crossed_at"]
    assert told["decision_rows"]["kind"] == ["stop"]
    assert told["decisions"]["decision_id"] == told["decision_rows"]["decision_id"][0]
    assert set(told["result_rows"]["version"]) == set(told["look_rows"]["version"])
    assert set(told["result_history_rows"]["kept"]) == {"decision"}
    assert sum(table == "decision_rows" for _, table, _ in said) == 1


def test_a_decision_is_made_once_though_the_job_restarts(context: FakeContext) -> None:
    running = harmed(context)
    assert "decision_rows" in last(running.until(BEGAN_S + 20), CONFIRMED_S)
    after = Running(context, now_s=running.now_s)
    tables = set()
    for second in range(30):
        after.now_s += 1.0
        tables |= after.slots(*newer(harmful_slots(int(after.now_s * 1000)), 1 + second)).keys()
        tables |= {table for _, table, _ in after.until(after.now_s)}
    assert "decision_rows" not in tables
    assert "result_rows" in tables


def test_a_crossing_seen_before_a_restart_is_confirmed_after_it(context: FakeContext) -> None:
    running = harmed(context)
    running.until(FIRST_LOOK_S)
    after = Running(context, now_s=running.now_s)
    again_s = running.now_s + (SETTLED_MS + SILENCE_MS) / 1000
    assert "decision_rows" in last(after.until(BEGAN_S + 60), again_s)


def test_without_state_the_looks_go_on_from_what_clickhouse_remembers(context: FakeContext) -> None:
    (text,) = last(harmed(context).until(BEGAN_S + 20), CONFIRMED_S)["look_rows"]["looks"]
    rebuilt = Running(FakeContext(), now_s=2000.0, remembered={0: text})
    rebuilt.define(published(metrics=[LATENCY]))
    assert 999_000 in rebuilt.slots(*harmful_slots())["result_rows"]["crossed_at"]
    assert "decision_rows" not in {table for _, table, _ in rebuilt.until(2100.0)}


def test_where_nothing_is_remembered_looking_begins_anew_and_says_since_when(context: FakeContext) -> None:
    told = last(harmed(context).until(BEGAN_S + 20), CONFIRMED_S)
    assert told["look_rows"]["since"] == [int(BEGAN_S * 1000)]


def test_each_epoch_has_looks_of_its_own(context: FakeContext) -> None:
    running = harmed(context)
    running.until(BEGAN_S + 20)
    running.slots(*in_epoch(1, harmful_slots()))
    minima = {epoch: Looks.decode(text).minima.keys() for epoch, text in context.kept(Kind.LOOKS).items()}
    assert minima.keys() == {"0", "1"}
    assert minima["0"]
    assert not minima["1"]


def test_a_batch_is_written_before_the_next_is_taken() -> None:
    written: list[tuple[str, Any]] = []

    class FakeWriter:
        def write(self, table: str, columns: Any) -> None:
            written.append((table, columns))

    writing = WriteRows(ClickHouse(url="http://localhost"), connect=lambda _: FakeWriter())  # type: ignore[arg-type, return-value]
    writing.open(FakeContext())
    assert writing.map(Row("result_rows", '[{"a": [1, 2]}, {"a": [3]}]')) == 1
    assert written == [("result_rows", {"a": [1, 2, 3]})]


def test_a_batch_of_counts_is_written_to_both_tables() -> None:
    written: list[str] = []

    class FakeWriter:
        def write(self, table: str, columns: Any) -> None:
            written.append(table)

    writing = WriteRows(ClickHouse(url="http://localhost"), connect=lambda _: FakeWriter())  # type: ignore[arg-type, return-value]
    writing.open(FakeContext())
    assert writing.map(Row("counts", json.dumps([a_count(), a_count("activity", metric_id="revenue")]))) == 2
    assert written == ["ledger_rows", "activity_rows"]
