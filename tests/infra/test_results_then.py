"""What was known at a moment, from history."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.settings import Settings
from infra.migrations import apply
from infra.results import HistoryError, Question, read_results, read_sample_ratios
from tests.infra.clickhouse_process import clickhouse, connect

pytestmark = pytest.mark.clickhouse

TWO_OCLOCK = (datetime.now(UTC) - timedelta(hours=5)).replace(minute=0, second=0, microsecond=0)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Two experiments, one of which changed at ten and at twenty past two."""
    with clickhouse(tmp_path_factory.mktemp("clickhouse")) as settings:
        apply(settings)
        for minutes, users in ((10, 5), (20, 6)):
            remember(settings, minutes, "checkout", n_control=users, seq_rel_ci_lower=users / 100)
        remember(settings, 15, "search", n_control=9)
        yield settings


def remember(settings: Settings, minutes: int, experiment_id: str, **changes: Any) -> None:
    at = TWO_OCLOCK + timedelta(minutes=minutes)
    kept = {"kept": "minute", "kept_at": at, "computed_at": at, "as_of": at, "version": minutes}
    place = {"tenant_id": "acme", "experiment_id": experiment_id, "segment": ""}
    question = {
        "view": "all",
        "policy": "first_seen",
        "metric_id": "revenue",
        "treatment_variant": "treatment",
    }
    rows = {
        "result_history_rows": {**place, **question, **kept, **changes},
        "sample_ratio_history_rows": {**place, "bots": "excluded", "counts": [changes["n_control"]], **kept},
    }
    with connect(settings) as client:
        for table, row in rows.items():
            client.insert(table, [list(row.values())], list(row))


def at(minutes: float, experiment_id: str = "") -> Question:
    moment = TWO_OCLOCK + timedelta(minutes=minutes)
    return Question("acme", experiment_id, as_of_ms=int(moment.timestamp() * 1000))


def test_the_newest_rows_up_to_the_moment_are_what_was_known(settings: Settings) -> None:
    known = {
        minutes: {row["experiment_id"]: row["n_control"] for row in read_results(settings, at(minutes))}
        for minutes in (10, 14.9, 15, 19.9, 20, 300)
    }
    assert known == {
        10: {"checkout": 5},
        14.9: {"checkout": 5},
        15: {"checkout": 5, "search": 9},
        19.9: {"checkout": 5, "search": 9},
        20: {"checkout": 6, "search": 9},
        300: {"checkout": 6, "search": 9},
    }


def test_the_lift_for_any_look_is_the_one_of_the_moment(settings: Settings) -> None:
    [row] = read_results(settings, at(19.9, "checkout"))
    assert (row["seq_rel_ci_lower"], row["seq_rel_ci_upper"]) == (0.05, None)


def test_the_sample_ratio_is_the_one_of_the_moment(settings: Settings) -> None:
    [row] = read_sample_ratios(settings, at(19.9, "checkout"))
    assert row["counts"] == [5]


def test_a_moment_before_history_is_refused_with_its_beginning(settings: Settings) -> None:
    began = f"{TWO_OCLOCK + timedelta(minutes=15):%Y-%m-%dT%H:%M:%S.000Z}"
    with pytest.raises(
        HistoryError, match=f"the history of acme/search begins at {began}, after "
    ) as refused:
        read_results(settings, at(14.9, "search"))
    assert "\n" not in str(refused.value)


def test_an_experiment_without_history_is_refused(settings: Settings) -> None:
    with pytest.raises(HistoryError, match="there is no history of acme/nothing yet"):
        read_results(settings, at(20, "nothing"))


def test_a_question_nobody_asked_then_has_no_rows(settings: Settings) -> None:
    question = Question("acme", "checkout", segment="country=DE", as_of_ms=at(20).as_of_ms)
    assert read_results(settings, question) == []
