"""The table of results: readable, narrow, and plain about what it does not know."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from rich.console import Console

from infra.cli.results import number, print_csv, probability, results_table
from infra.results import Row

AS_OF = "2026-01-01T12:00:00.000Z"


def a_result(**changes: Any) -> Row:
    return {
        "tenant_id": "acme",
        "experiment_id": "checkout-button",
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
        "status": "ok",
        "reason": "",
        "as_of": AS_OF,
    } | changes


def a_sample_ratio(**changes: Any) -> Row:
    return {
        "tenant_id": "acme",
        "experiment_id": "checkout-button",
        "variants": ["control", "treatment"],
        "counts": [1204, 1190],
        "expected": [1197.0, 1197.0],
        "chi2_p_value": 0.7748,
        "status": "ok",
        "reason": "",
        "as_of": AS_OF,
    } | changes


def printed(rows: list[Row], ratios: list[Row], width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(results_table(rows, ratios))
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_a_result_is_one_line_under_its_experiment() -> None:
    lines = printed([a_result()], [a_sample_ratio()]).splitlines()
    assert lines[0].split() == ["acme/checkout-button", "as", "of", "2026-01-01T12:00:00Z"]
    assert (
        "control 1,204 (expected 1,197), treatment 1,190 (expected 1,197); sample ratio p 0.7748" in lines[1]
    )
    expected = "revenue_per_session treatment 12.35 13.1 +6.11 % +1.62 … +10.53 % 0.0074"
    assert " ".join(lines[3].split()) == expected


@pytest.mark.parametrize("width", [80, 100])
def test_the_table_fits_a_terminal(width: int) -> None:
    long = a_result(metric_id="a_metric_whose_name_is_long", treatment_variant="a_variant_with_a_long_name")
    undetermined = a_result(
        status="undetermined", reason="baseline_near_zero", rel_diff=None, rel_ci_lower=None
    )
    lines = printed([a_result(), long, undetermined], [a_sample_ratio()], width).splitlines()
    assert max(map(len, lines)) <= width


def test_what_is_undetermined_is_said_in_words() -> None:
    nothing = dict.fromkeys(("abs_diff", "abs_ci_lower", "rel_diff", "rel_ci_lower", "p_value"))
    row = a_result(status="undetermined", reason="too_few_units", **nothing)
    assert "undetermined: too few units" in " ".join(printed([row], []).split())


def test_without_a_relative_interval_the_difference_is_shown_in_the_metrics_unit() -> None:
    row = a_result(status="undetermined", reason="baseline_near_zero", rel_diff=None, rel_ci_lower=None)
    text = " ".join(printed([row], []).split())
    assert "+0.7544 abs" in text
    assert "undetermined: baseline near zero" in text


def test_a_sample_ratio_without_an_answer_says_why() -> None:
    ratio = a_sample_ratio(chi2_p_value=None, status="undetermined", reason="no_units")
    assert "sample ratio undetermined: no units" in " ".join(printed([], [ratio]).split())


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


def test_csv_has_a_header_and_empty_cells_for_what_is_absent(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv([{"metric_id": "revenue", "p_value": None}])
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row == {"metric_id": "revenue", "p_value": ""}
