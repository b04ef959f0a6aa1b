"""State and moments of the scorecard, with a dictionary for Flink's state."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pyflink.common import Row

from config.settings import ClickHouse
from jobs.scorecard.operators import EMISSION_BITS, Scorecard, WriteRows
from tests.jobs.scorecard.builders import a_count, a_metric, published
from udfs.attribution.sums import encode
from udfs.stats import Moments

CHECKOUT = "acme/checkout"


class FakeState(dict[str, str]):
    put = dict.__setitem__


class FakeContext:
    """One key's view of the runtime: its state outlives the operator."""

    def __init__(self) -> None:
        self.states: dict[str, FakeState] = {}
        self.timers: list[int] = []

    def get_map_state(self, descriptor: Any) -> FakeState:
        return self.states.setdefault(descriptor.name, FakeState())

    def get_current_key(self) -> str:
        return CHECKOUT

    def timer_service(self) -> FakeContext:
        return self

    def register_processing_time_timer(self, at_ms: int) -> None:
        self.timers.append(at_ms)


class FakeMemory:
    """What ClickHouse remembers of the looks, by epoch."""

    def __init__(self, texts: dict[int, str] | None = None) -> None:
        self._texts = texts or {}

    def looks(self, tenant_id: str, experiment_id: str, epoch: int) -> str:
        assert f"{tenant_id}/{experiment_id}" == CHECKOUT
        return self._texts.get(epoch, "")


class Running:
    """The operator over one key's state; its clock stands until ``now_s`` is set."""

    def __init__(
        self, context: FakeContext, now_s: float = 1000.0, remembered: dict[int, str] | None = None
    ) -> None:
        self._context = context
        self.now_s = now_s
        memory = FakeMemory(remembered)
        self._operator = Scorecard(
            ClickHouse(url="http://localhost"), connect=lambda _: memory, now_s=lambda: self.now_s
        )
        self._operator.open(context)

        self.answered: list[tuple[str, int]] = []
        """Table and epoch of each answer to the last call."""

    def slots(self, *changes: dict[str, Any]) -> dict[str, dict[str, list[Any]]]:
        row = Row(CHECKOUT, json.dumps(changes))
        return self._answers(self._operator.process_element1(row, self._context))

    def define(self, text: str) -> dict[str, dict[str, list[Any]]]:
        return self._answers(self._operator.process_element2(Row(CHECKOUT, text), self._context))

    def wait(self) -> dict[str, dict[str, list[Any]]]:
        """Let the clock go to the next timer and fire it."""
        at_ms = min(timer for timer in self._context.timers if timer > self.now_s * 1000)
        self.now_s = at_ms / 1000
        return self._answers(self._operator.on_timer(at_ms, self._context))

    def _answers(self, emitted: Iterator[Row]) -> dict[str, dict[str, list[Any]]]:
        answers = [(table, json.loads(answered)) for table, answered in emitted]
        self.answered = [
            (table, epoch) for table, columns in answers if table in TABLES for epoch in set(columns["epoch"])
        ]
        return dict(answers)


def a_change(
    variant_id: str, values: list[float], metric_id: str = "revenue", **changes: Any
) -> dict[str, Any]:
    sums = Moments().sums if metric_id == "" else Moments.from_units(values).sums
    return {
        "epoch": 0,
        "config_version": 1,
        "variant_id": variant_id,
        "metric_id": metric_id,
        "segment": "",
        "unit_class": "clean",
        "region": "local",
        "n": 0 if metric_id else len(values),
        "sums": base64.b64encode(encode(sums)).decode(),
        "updates": len(values),
        "as_of": 5,
        "first_cohort": None if metric_id else 0,
        **changes,
    }


SLOTS = [
    a_change(variant, values, metric_id)
    for variant, values in (("control", [1, 2, 3]), ("treatment", [2, 4, 6]))
    for metric_id in ("", "revenue")
]


@pytest.fixture
def context() -> FakeContext:
    return FakeContext()


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
    found = running.slots(a_change("treatment", [2, 4, 9], updates=4))["result_rows"]
    assert found["mean_treatment"][0] == 5
    assert found["slot_updates"][0] == 3 + 3 + 3 + 4


def test_the_first_definition_of_a_version_stands(context: FakeContext) -> None:
    running = Running(context)
    running.slots(*SLOTS)
    running.define(published())
    assert running.define(published(alpha=0.5)) == {}
    assert json.loads(context.states["definitions-by-version"]["1"])["alpha"] == 0.05


def test_after_a_restart_the_answers_go_on_from_the_state(context: FakeContext) -> None:
    before = Running(context)
    before.define(published())
    before.slots(*SLOTS[:-1])
    after = Running(context)
    undisturbed = Running(FakeContext())
    undisturbed.define(published())
    assert timeless(after.slots(SLOTS[-1])) == timeless(undisturbed.slots(*SLOTS))


def test_a_replay_says_the_same_again(context: FakeContext) -> None:
    running = Running(context)
    running.define(published())
    assert timeless(running.slots(*SLOTS)) == timeless(running.slots(*SLOTS))


def test_versions_grow_with_every_answer_though_the_clock_stands(context: FakeContext) -> None:
    running = Running(context, now_s=1000.0)
    running.define(published())
    rebuilt = in_epoch(3, SLOTS)
    versions = [running.slots(*rebuilt)["result_rows"]["version"][0] for _ in range(3)]
    assert versions == [(3 << EMISSION_BITS) + 1_000_000_000 + step for step in range(3)]


def test_every_row_of_an_answer_has_its_version(context: FakeContext) -> None:
    running = Running(context)
    running.define(published())
    answers = running.slots(*SLOTS)
    assert len({version for columns in answers.values() for version in columns["version"]}) == 1


def in_epoch(epoch: int, changes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**change, "epoch": epoch} for change in changes]


TABLES = ("result_rows", "sample_ratio_rows")


def test_a_rebuild_has_a_book_of_its_own_beside_the_one_before(context: FakeContext) -> None:
    running = Running(context)
    running.define(published())
    before = running.slots(*SLOTS)
    part = running.slots(*in_epoch(1, SLOTS[:2]))
    assert running.answered == [(table, 1) for table in TABLES]
    assert part["result_rows"]["n_treatment"][0] == 0
    assert timeless(running.slots(*SLOTS)) == timeless(before)
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
    running.slots(*in_epoch(1, SLOTS[:1]))
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


LATENCY = a_metric(id="latency", role="guardrail", direction="decrease", margin=0.02, stop=True)
RECENTLY_MS = 999_000
"""A second before the clock of ``Running`` stands."""


def harmful_slots() -> list[dict[str, Any]]:
    """A treatment that is surely slower; users and their sums of both arms."""
    return [
        a_change(variant, [1.0 + slower, 1.2 + slower] * 100, metric_id, as_of=RECENTLY_MS)
        for variant, slower in (("control", 0.0), ("treatment", 1.0))
        for metric_id in ("", "latency")
    ]


def watched(context: FakeContext, **changes: Any) -> Running:
    """The operator with slots that show harm, at the first look that counts."""
    running = Running(context, **changes)
    running.define(published(metrics=[LATENCY]))
    running.slots(*harmful_slots())
    running.now_s += 9.0
    assert running.slots(a_change("control", [1.0], "", n=201, as_of=RECENTLY_MS + 9_000)).keys() == {*TABLES}
    assert running.wait() == {}, "the first look that counts changes nothing"
    return running


def test_silence_brings_the_look_that_decides_and_everything_that_shows_it(context: FakeContext) -> None:
    told = watched(context).wait()
    assert list(told) == [*TABLES, "look_rows", "decision_rows", "decisions"]
    crossed_at = told["result_rows"]["crossed_at"]
    assert RECENTLY_MS + 9_000 in crossed_at
    assert told["decision_rows"]["kind"] == ["stop"]
    assert told["decisions"]["decision_id"] == told["decision_rows"]["decision_id"][0]
    assert set(told["result_rows"]["version"]) == set(told["look_rows"]["version"])


def test_a_decision_is_made_once_though_the_job_restarts(context: FakeContext) -> None:
    running = watched(context)
    assert "decision_rows" in running.wait()
    after = Running(context, now_s=running.now_s)
    for seconds in range(20):
        after.now_s += 1.0
        told = after.slots(
            a_change("control", [1.0], "", n=300 + seconds, as_of=int(after.now_s * 1000) - 1000)
        )
        assert "decision_rows" not in told


def test_a_crossing_seen_before_a_restart_is_confirmed_after_it(context: FakeContext) -> None:
    running = watched(context)
    after = Running(context, now_s=running.now_s)
    told = [after.wait() for _ in range(3)]
    assert ["decision_rows" in each for each in told] == [False, False, True]


def test_without_state_the_looks_go_on_from_what_clickhouse_remembers(context: FakeContext) -> None:
    (text,) = watched(context).wait()["look_rows"]["looks"]
    rebuilt = Running(FakeContext(), now_s=2000.0, remembered={0: text})
    rebuilt.define(published(metrics=[LATENCY]))
    told = rebuilt.slots(*harmful_slots())["result_rows"]
    assert RECENTLY_MS + 9_000 in told["crossed_at"]
    assert all("decision_rows" not in rebuilt.wait() for _ in range(2))


def test_where_nothing_is_remembered_looking_begins_anew_and_says_since_when(context: FakeContext) -> None:
    told = watched(context, now_s=1000.0).wait()
    assert told["look_rows"]["since"] == [1_000_000]


def test_each_epoch_has_looks_of_its_own(context: FakeContext) -> None:
    running = watched(context)
    running.wait()
    running.slots(*in_epoch(1, harmful_slots()))
    assert context.states["looks-by-epoch"].keys() == {"0", "1"}
    assert json.loads(context.states["looks-by-epoch"]["1"])[4] == []


def test_a_batch_is_written_before_the_next_is_taken() -> None:
    written: list[tuple[str, Any]] = []

    class FakeWriter:
        def write(self, table: str, columns: Any) -> None:
            written.append((table, columns))

    writing = WriteRows(ClickHouse(url="http://localhost"), connect=lambda _: FakeWriter())  # type: ignore[arg-type, return-value]
    writing.open(FakeContext())
    assert writing.map(Row("result_rows", '[{"a": [1, 2]}, {"a": [3]}]')) == 3
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
