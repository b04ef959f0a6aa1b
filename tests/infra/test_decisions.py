"""A decision computed again from its record: it agrees, and one that was tampered with does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from config.settings import ClickHouse, Flink, Kafka, Registry, Settings
from infra import decisions
from infra.clickhouse import DatabaseError
from infra.decision_replay import disagreements
from tests.jobs.scorecard.builders import a_book, a_definition, add
from tests.jobs.scorecard.test_verdicts import SLOWER, Matured, Watched, guarded, shippable


def decided(watched: Watched) -> dict[str, Any]:
    found = [decision for _ in range(3) for decision in watched.look()]
    assert len(found) == 1
    return found[0]


def uneven() -> Watched:
    watched = Watched(a_book())
    add(watched.book, "control", [1.0, 2.0] * 300)
    add(watched.book, "treatment", [1.0, 2.0] * 150)
    return watched


def leaking() -> Watched:
    watched = Watched(a_book(a_definition(variants={"control": 0.5, "treatment": 0.5, "off": 0})))
    for variant in ("control", "treatment", "off"):
        add(watched.book, variant, [1.0, 2.0])
    return watched


SETTINGS = Settings(Kafka("k"), Registry("r"), Flink("f"), ClickHouse("c"))

MADE = {
    "stop": lambda: Watched(guarded(SLOWER)),
    "stop-adjusted-by-the-past": lambda: Watched(guarded(SLOWER, pre_period_days=7)),
    "invalid": uneven,
    "leak": leaking,
    "ship": lambda: Matured(shippable()),
}


@pytest.mark.parametrize("case", MADE)
def test_the_stored_sums_say_the_same(case: str) -> None:
    assert disagreements(decided(MADE[case]())) == []


@pytest.mark.parametrize("name", ["n_treatment", "abs_diff", "distance", "bound", "level", "log_e"])
def test_another_number_in_the_record_is_found(name: str) -> None:
    decision = decided(MADE["stop"]())
    (found,) = disagreements(decision | {name: decision[name] * 1.001})
    assert found.startswith(f"{name} is ")


def test_sums_that_call_for_no_stop_are_found() -> None:
    decision = decided(MADE["stop"]())
    inputs = json.loads(decision["inputs"])
    for stratum in inputs["comparison"]["strata"]:
        stratum["treatment"] = stratum["control"]
    found = disagreements(decision | {"inputs": json.dumps(inputs)})
    assert "the sums do not call for stop" in found


def test_a_goal_that_was_not_sure_is_found() -> None:
    decision = decided(MADE["ship"]())
    inputs = json.loads(decision["inputs"]) | {"log_p_adjusted": -1.0}
    assert disagreements(decision | {"inputs": json.dumps(inputs)}) == ["the sums do not call for ship"]


def test_those_who_follow_are_told_each_decision_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stop, ship = {"decision_id": "stop-1"}, {"decision_id": "ship-1"}
    away = DatabaseError("no ClickHouse answers")
    answers: Iterator[Any] = iter([[], [stop], away, away, [stop], [stop, ship]])

    def read(*_: Any) -> Any:
        answer = next(answers)
        if isinstance(answer, DatabaseError):
            raise answer
        return answer

    monkeypatch.setattr(decisions, "read_decisions", read)
    said: list[str] = []
    following = decisions.follow_decisions(SETTINGS, said.append, pause=lambda _: None)
    assert [next(following), next(following)] == [stop, ship]
    assert said == ["no ClickHouse answers; asking again until it does", "ClickHouse answers again"]
