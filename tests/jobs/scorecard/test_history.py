"""What is remembered of answers: what changed, by minutes and hours, and what a decision was made of."""

from __future__ import annotations

import json
from typing import Any

from jobs.scorecard.history import HISTORY, HOUR_MS, MINUTE_MS, Recorded, behind_a_decision
from jobs.scorecard.rows import answers
from jobs.scorecard.tables import gathered, inserts
from tests.jobs.scorecard.builders import NOON_MS, NOW, a_book, add


def written(*answers: list[Any]) -> list[tuple[int, str, int]]:
    """Users, kind and moment of the rows of history that a batch of answers makes."""
    batch = ",".join(map(gathered, answers))
    [(table, columns)] = inserts(HISTORY["result_rows"], f"[{batch}]")
    assert table == "result_history_rows"
    return list(zip(columns["n_control"], columns["kept"], columns["kept_at"], strict=True))


def a_row(users: int, at_ms: int) -> dict[str, Any]:
    return {"n_control": users, "computed_at": at_ms, "kept": ""}


def test_a_row_is_kept_for_its_minute_and_for_its_hour() -> None:
    at_ms = NOON_MS + 3 * MINUTE_MS + 7
    assert written([a_row(5, at_ms)]) == [(5, "minute", NOON_MS + 3 * MINUTE_MS), (5, "hour", NOON_MS)]
    assert written([a_row(6, at_ms + HOUR_MS)])[1] == (6, "hour", NOON_MS + HOUR_MS)


def test_a_row_behind_a_decision_is_kept_for_its_own_moment() -> None:
    assert written(behind_a_decision([a_row(5, NOON_MS + 7)])) == [(5, "decision", NOON_MS + 7)]


def test_rows_behind_a_decision_and_others_may_be_in_one_batch() -> None:
    rows, at_ms = [a_row(5, NOON_MS)], NOON_MS + 7
    decided = behind_a_decision([a_row(6, at_ms)])
    others = [(5, "minute", NOON_MS), (5, "hour", NOON_MS)]
    assert written(decided, rows) == [(6, "decision", at_ms), *others]
    assert written(rows, decided) == [*others, (6, "decision", at_ms)]


def test_a_row_is_remembered_when_it_says_something_new() -> None:
    book, recorded = a_book(), Recorded()
    add(book, "control", [1, 2, 3])
    add(book, "treatment", [2, 4, 6])

    def changed(version: int) -> list[Any]:
        moment = NOW._replace(version=version, now_ms=NOW.now_ms + version, as_of_ms=NOW.as_of_ms + version)
        return recorded.changed("result_rows", answers(book, moment)["result_rows"])

    first = changed(1)
    told = answers(book, NOW._replace(version=1, now_ms=NOW.now_ms + 1, as_of_ms=NOON_MS + 1))
    assert first == [{**row, "kept": ""} for row in told["result_rows"]]
    assert changed(2) == []
    add(book, "treatment", [2, 4, 9])
    assert [row["abs_diff"] for row in changed(3)] == [3.0] * len(first)


def test_every_question_is_remembered_apart() -> None:
    recorded = Recorded()
    rows = [
        {**dict.fromkeys(names, "a"), name: "b", "n": 1}
        for names in [("config_version", "view", "policy", "segment", "metric_id", "treatment_variant")]
        for name in names
    ]
    assert recorded.changed("result_rows", rows) == [{**row, "kept": ""} for row in rows]
    assert recorded.changed("result_rows", json.loads(json.dumps(rows))) == []
