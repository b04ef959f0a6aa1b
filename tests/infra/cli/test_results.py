"""The table of results: the interval for any look first, narrow, and plain about what it does not know."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from infra.cli.results import print_csv
from infra.cli.results_table import (
    ADJUSTED_LEGEND,
    LEGEND,
    Rules,
    duration,
    number,
    probability,
    results_table,
)
from infra.definitions import DefinitionKey, Published
from infra.reasons import IN_WORDS, in_words
from infra.results import Question, Row
from udfs.stats import Reason

AS_OF = "2026-01-01T12:00:00.000Z"
NOW = datetime(2026, 1, 1, 12, 0, 4, tzinfo=UTC)


def a_result(**changes: Any) -> Row:
    return {
        "tenant_id": "acme",
        "experiment_id": "checkout-button",
        "config_version": 0,
        "metric_id": "revenue_per_session",
        "treatment_variant": "treatment",
        "mean_control": 12.3456,
        "mean_treatment": 13.1,
        "abs_diff": 0.7544,
        "abs_ci_lower": 0.2,
        "abs_ci_upper": 1.3,
        "rel_diff": 0.0611,
        "rel_ci_lower": 0.0162,
        "rel_ci_upper": 0.1053,
        "p_value": 0.0074,
        "cuped_abs_diff": None,
        "cuped_ci_lower": None,
        "cuped_ci_upper": None,
        "seq_ci_lower": -0.05,
        "seq_ci_upper": 1.55,
        "seq_rel_diff": 0.0611,
        "seq_rel_ci_lower": -0.004,
        "seq_rel_ci_upper": 0.1266,
        "seq_p_value": 0.0912,
        "status": "ok",
        "reason": "",
        "as_of": AS_OF,
    } | changes


def undetermined(reason: str) -> Row:
    """No test and no interval; a difference of means there may be."""
    numbers = ("rel_diff", "p_value", "seq_rel_diff", "seq_p_value")
    bounds = [f"{scale}_ci_{end}" for scale in ("abs", "rel", "seq", "seq_rel") for end in ("lower", "upper")]
    return a_result(status="undetermined", reason=reason, **dict.fromkeys((*numbers, *bounds)))


def without_a_lift(**changes: Any) -> Row:
    """The control's mean may be 0 at this look, so the interval for any look has no relative form."""
    return a_result(**{"seq_rel_diff": None, "seq_rel_ci_lower": None, "seq_rel_ci_upper": None, **changes})


def asked_once(**changes: Any) -> Row:
    absent = {name: None for name in a_result() if name.startswith("seq_")}
    return a_result(**{**absent, "reason": "one_look_only", **changes})


ADJUSTED = {"cuped_abs_diff": 0.6, "cuped_ci_lower": 0.5, "cuped_ci_upper": 0.7}


def a_sample_ratio(**changes: Any) -> Row:
    return {
        "tenant_id": "acme",
        "experiment_id": "checkout-button",
        "variants": ["control", "treatment"],
        "counts": [1204, 1190],
        "expected": [1197.0, 1197.0],
        "chi2_p_value": 0.7748,
        "seq_p_value": 1.0,
        "status": "ok",
        "reason": "",
        "as_of": AS_OF,
    } | changes


def rules(*metrics: Mapping[str, Any], config_version: int = 1) -> Rules:
    key = DefinitionKey("acme", "checkout-button", config_version)
    return Rules.of({key: Published({"alpha": 0.05, "metrics": metrics}, 0)})


def a_metric(**changes: Any) -> dict[str, Any]:
    ordinary = {"id": "revenue_per_session", "role": "goal", "direction": "increase"}
    return ordinary | {"margin": None, "margin_abs": None} | changes


def printed(
    rows: list[Row],
    ratios: list[Row],
    width: int = 120,
    known: Rules | None = None,
    decided: Sequence[Row] = (),
    question: Question = Question(),
) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(results_table(rows, ratios, decided, known or Rules(), NOW, question))
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def on_one_line(rows: list[Row], known: Rules | None = None) -> str:
    return " ".join(printed(rows, [], 200, known).split())


def test_a_result_is_one_line_under_its_experiment_its_age_and_its_users() -> None:
    lines = printed([a_result()], [a_sample_ratio()], 200, rules(a_metric(role="secondary"))).splitlines()
    assert lines[0] == (
        "acme/checkout-button  counted up to 2026-01-01T12:00:00Z, 4 s ago; intervals of 95 %"
    )
    assert "control 1,204 (expected 1,197), treatment 1,190 (expected 1,197); spread as declared" in lines[1]
    expected = "revenue_per_session treatment 12.35 13.1 +6.11 % -0.40 … +12.66 % +1.62 … +10.53 %"
    assert " ".join(lines[3].split()) == expected


def test_a_look_at_other_users_or_another_moment_is_named_and_whose_users_these_are() -> None:
    question = Question("acme", view="rolling_24h", as_of_ms=1_767_269_100_000)
    lines = printed([a_result()], [a_sample_ratio()], 200, question=question).splitlines()
    assert lines[0] == (
        "acme/checkout-button, view rolling_24h  "
        "as of 2026-01-01T12:05:00Z, counted up to 2026-01-01T12:00:00Z"
    )
    assert lines[1].startswith("users of view all: control 1,204")


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (1.0, "spread as declared"),
        (0.2, "spread as declared (p 0.2000 at any look, doubtful below 0.001)"),
    ],
)
def test_a_p_value_is_told_only_where_something_speaks_against_the_spread(p: float, said: str) -> None:
    assert printed([], [a_sample_ratio(seq_p_value=p)], 200).splitlines()[1].endswith(f"; {said}")


def test_without_a_lift_for_any_look_the_line_is_in_the_metrics_unit() -> None:
    assert "13.1 +0.7544 abs (+6.11 %) -0.05 … +1.55 abs +0.2 … +1.3 abs" in on_one_line([without_a_lift()])
    nothing_relative = without_a_lift(rel_ci_lower=None, rel_ci_upper=None)
    assert "13.1 +0.7544 abs -0.05 … +1.55 abs +0.2 … +1.3 abs" in on_one_line([nothing_relative])


def test_the_table_says_what_each_interval_is_and_shows_no_p_value_of_a_metric() -> None:
    text = printed([a_result(p_value=0.0074, seq_p_value=0.0912)], [])
    assert " ".join(LEGEND.split()) in " ".join(text.split())
    assert "0.0074" not in text
    assert "0.0912" not in text


def test_with_a_covariate_lift_and_both_intervals_are_the_adjusted_ones() -> None:
    row = a_result(seq_rel_diff=0.0484, mean_control=12.5, **ADJUSTED)
    assert "13.1 +4.84 % -0.40 … +12.66 % +4.00 … +5.60 %" in on_one_line([row])
    assert " ".join(ADJUSTED_LEGEND.split()) in on_one_line([row])
    assert "pre-period" not in on_one_line([a_result()])
    assert "13.1 +0.6 abs -0.05 … +1.55 abs +0.5 … +0.7 abs" in on_one_line([without_a_lift(**ADJUSTED)])


@pytest.mark.parametrize("width", [80, 100])
def test_the_table_fits_a_terminal(width: int) -> None:
    long = a_result(metric_id="a_metric_whose_name_is_long", treatment_variant="a_variant_with_a_long_name")
    rows = [a_result(), long, undetermined("too_few_units")]
    guardrail = rules(a_metric(role="guardrail", margin=0.02))
    lines = printed(rows, [a_sample_ratio()], width, guardrail).splitlines()
    assert max(map(len, lines)) <= width


def test_what_is_undetermined_is_said_in_words_in_the_place_of_the_interval() -> None:
    text = on_one_line([undetermined("too_few_units")])
    assert "treatment 12.35 13.1 undetermined: fewer than two users in an arm at any look:" in text


def test_every_reason_has_its_words() -> None:
    assert IN_WORDS.keys() == set(Reason)
    assert in_words("of_a_newer_release") == "of a newer release"


def test_what_limits_an_answer_is_said_beside_it() -> None:
    assert "-0.40 … +12.66 % (a config version" in on_one_line([a_result(reason="version_left_out")])


def test_a_question_asked_once_has_no_interval_for_any_look_and_no_covariate() -> None:
    for row in (asked_once(), asked_once(**ADJUSTED)):
        assert "+6.11 % none: this question is asked once +1.62 … +10.53 %" in on_one_line([row])


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"role": "goal"}, "goal"),
        ({"role": "guardrail", "margin": 0.02}, "guardrail ≥ -2 %"),
        ({"role": "guardrail", "margin": 0.025, "direction": "decrease"}, "guardrail ≤ +2.5 %"),
        ({"role": "guardrail", "margin_abs": 15, "direction": "decrease"}, "guardrail ≤ +15 abs"),
        ({"role": "guardrail"}, "guardrail ≥ 0"),
    ],
)
def test_goals_and_guardrails_are_named_and_guardrails_show_their_margin(
    changes: dict[str, Any], shown: str
) -> None:
    for config_version in (0, 3):
        row = a_result(config_version=config_version)
        known = rules(a_metric(**changes), config_version=3)
        assert f"revenue_per_session ({shown}) treatment" in on_one_line([row], known)


def a_decision(kind: str, **changes: Any) -> Row:
    place = {"tenant_id": "acme", "experiment_id": "checkout-button", "config_version": 0}
    about = {"metric_id": "latency_ms", "treatment_variant": "treatment"}
    return {**place, **about, "kind": kind, "decided_at": "2026-01-01T11:58:03.250Z"} | changes


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("stop", "STOP treatment: latency_ms is surely beyond its margin (decided 2026-01-01T11:58:03Z)"),
        ("invalid", "INVALID: users did not come as declared, so no number here can be trusted"),
        ("ship", "SHIP treatment: latency_ms is surely better, and every guardrail within its margin"),
    ],
)
def test_what_was_decided_stands_above_the_numbers(kind: str, said: str) -> None:
    lines = printed([a_result()], [a_sample_ratio()], 200, decided=[a_decision(kind)]).splitlines()
    assert said in lines[2]


def test_a_decision_about_an_earlier_version_or_another_experiment_is_not_told() -> None:
    known = rules(a_metric(), config_version=2)
    for changes in ({"config_version": 1}, {"experiment_id": "another"}):
        assert "STOP" not in printed([a_result()], [], 200, known, [a_decision("stop", **changes)])
    assert "STOP" in printed([a_result()], [], 200, known, [a_decision("stop", config_version=2)])


def test_users_spread_otherwise_than_declared_are_told_loudly() -> None:
    ratio = a_sample_ratio(seq_p_value=3e-9)
    assert "NOT spread as declared (p 3.0e-09 at any look): do not trust" in printed([], [ratio], 200)
    ratio = a_sample_ratio(reason="leak")
    assert "NOT as declared: users are in a variant that should get nobody" in printed([], [ratio], 200)


def test_a_sample_ratio_without_an_answer_says_why() -> None:
    ratio = a_sample_ratio(chi2_p_value=None, seq_p_value=None, status="undetermined", reason="no_units")
    assert "undetermined: no users yet" in printed([], [ratio], 200)


def test_names_are_shown_as_they_are() -> None:
    assert "[red]x" in printed([a_result(experiment_id="[red]x", metric_id="[red]x")], [])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0.0, "0"),
        (12345.6, "12,346"),
        (12.3456, "12.35"),
        (0.0123456, "0.01235"),
        (1e-7, "1.00e-07"),
    ],
)
def test_numbers_have_about_four_digits(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("p", "text"), [(None, ""), (1.0, "1.0000"), (0.03714, "0.0371"), (3e-9, "3.0e-09")])
def test_a_small_p_is_not_rounded_to_zero(p: float | None, text: str) -> None:
    assert probability(p) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (90, "2 min"), (7200, "2 h"), (3e5, "3 d")]
)
def test_an_age_is_told_in_its_largest_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_csv_has_a_header_and_empty_cells_for_what_is_absent(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv([{"metric_id": "revenue", "p_value": None}])
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row == {"metric_id": "revenue", "p_value": ""}
