"""What a row of results says: the always-valid interval decides, against zero or against the margin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infra.console.reading import REASONS, Colour, Kind, Metric, days_to_plan, read, why_absent
from tests.infra.console.worlds import (
    A_DAY_LATER,
    LATENCY,
    REFUNDED,
    REVENUE,
    a_result,
    a_segment,
    moved,
    open_result,
    undetermined,
    written,
)
from udfs.stats import Reason


def latency(share: float, half: float = 0.01) -> dict[str, Any]:
    return moved(share, half, mean=310.0, metric_id="latency_ms", p_adjusted=None)


def test_differences_are_shares_of_the_controls_mean() -> None:
    reading = read(a_result(), REVENUE)
    assert reading.always is not None
    assert reading.once is not None
    assert reading.always == pytest.approx((0.009, 0.053))
    assert reading.once == pytest.approx((0.016, 0.046))
    assert reading.estimate == pytest.approx(0.031)


def test_a_negative_mean_does_not_turn_the_direction_round() -> None:
    lifts = {"rel_diff": -0.031, "rel_ci_lower": -0.046, "rel_ci_upper": -0.016}
    at_any_look = {"seq_rel_diff": -0.031, "seq_rel_ci_lower": -0.053, "seq_rel_ci_upper": -0.009}
    reading = read(a_result(mean_control=-4.8, **lifts, **at_any_look), REVENUE)
    assert reading.always == pytest.approx((0.009, 0.053))
    assert reading.once == pytest.approx((0.016, 0.046))
    assert reading.estimate == pytest.approx(0.031)
    assert reading.kind is Kind.BETTER


def test_the_one_look_interval_is_that_of_the_same_estimate() -> None:
    cuped = {"cuped_abs_diff": 0.12, "cuped_ci_lower": 0.096, "cuped_ci_upper": 0.144}
    reading = read(a_result(seq_rel_diff=0.025, **cuped), REVENUE)
    assert reading.once == pytest.approx((0.02, 0.03))
    assert reading.estimate == pytest.approx(0.025)


@pytest.mark.parametrize(
    ("row", "metric", "kind", "colour"),
    [
        (a_result(), REVENUE, Kind.BETTER, Colour.GOOD),
        (a_result(), replace(REVENUE, direction="decrease"), Kind.WORSE, Colour.BAD),
        (a_result(), Metric("revenue"), Kind.CHANGED, Colour.OPEN),
        (open_result(), REVENUE, Kind.OPEN, Colour.OPEN),
        (latency(0.05), LATENCY, Kind.HARMED, Colour.BAD),
        (latency(0.015), LATENCY, Kind.WATCHING, Colour.OPEN),
        (latency(-0.01), LATENCY, Kind.HOLDS, Colour.GOOD),
        (latency(-0.05), replace(LATENCY, direction="increase"), Kind.HARMED, Colour.BAD),
        (latency(0.0), replace(LATENCY, margin=None, margin_abs=6.2), Kind.HOLDS, Colour.GOOD),
        (latency(0.05), replace(LATENCY, margin=None, margin_abs=6.2), Kind.HARMED, Colour.BAD),
        (latency(0.05), replace(LATENCY, margin=None), Kind.HARMED, Colour.BAD),
        (a_segment("country=DE", 0.05, 0.01, 100), REVENUE, Kind.ONE_LOOK, Colour.OPEN),
        (undetermined("zero_variance"), REVENUE, Kind.UNDETERMINED, Colour.OPEN),
    ],
)
def test_what_a_row_says(row: dict[str, Any], metric: Metric, kind: Kind, colour: Colour) -> None:
    reading = read(row, metric)
    assert (reading.kind, reading.colour) == (kind, colour)


@pytest.mark.parametrize(
    ("segment", "value"), [("country=DE", "DE"), ("note=a=b", "a=b"), ("country=__other__", "all others")]
)
def test_a_segment_is_called_by_its_value(segment: str, value: str) -> None:
    assert read(a_segment(segment, 0.05, 0.01, 100), REVENUE).segment_value == value


def test_a_goal_that_is_clear_alone_waits_for_its_family() -> None:
    reading = read(a_result(p_adjusted=0.08), REVENUE)
    assert reading.kind is Kind.OPEN
    assert reading.detail == "clear alone, not yet among all goals"


def test_a_goal_that_was_clear_and_is_no_longer_says_when() -> None:
    reading = read(open_result(crossed_at=A_DAY_LATER, p_adjusted=0.01), REVENUE)
    assert reading.kind is Kind.OPEN
    assert reading.detail == "was clear at 21 Nov 2026 12:00:00 UTC, is no longer"


def test_an_absent_answer_says_why_in_its_place() -> None:
    row = undetermined("too_few_units", n_control=1, n_treatment=0, days_left=11.2)
    reading = read(row, REFUNDED)
    assert written(reading.words) == "too few users to say (1 in `control`, 0 in `treatment`)"
    assert reading.detail == "", "the time that remains is the experiment's, told once on a page"
    assert reading.evidence == ""


def test_the_planned_users_are_the_experiments_so_the_fullest_rows_tell_when_they_come() -> None:
    whole, later = read(a_result(days_left=4.0), REVENUE), read(undetermined("", n_control=9), REFUNDED)
    later = replace(later, days_left=31.0)
    assert days_to_plan([later, whole]) == days_to_plan([whole, later]) == 4.0
    popular = read(a_result(treatment_variant="popular", days_left=6.0), REVENUE)
    assert days_to_plan([whole, later, popular]) == 6.0, "the last of several treatments"
    assert days_to_plan([whole, replace(popular, days_left=None)]) is None, "of one it cannot be told"
    assert days_to_plan([]) is None


def test_an_end_below_minus_100_percent_is_kept_and_explained() -> None:
    wide = moved(0.2, 1.0)
    reading = read(wide, REVENUE)
    assert reading.always == pytest.approx((-1.3, 1.7))
    assert written(reading.beyond) == "below −100 % the treatment's mean would be negative"
    assert "arithmetic only" in read(wide, replace(REVENUE, kind="proportion")).beyond
    assert read(a_result(), REVENUE).beyond == ""
    assert read(moved(-1.2, 0.1, mean=-4.8), REVENUE).beyond == "", "a lift of a negative mean"


def test_few_conversions_still_have_their_interval_in_points() -> None:
    row = undetermined("all_or_none_converted", small_ci_lower=-0.0001, small_ci_upper=0.0004)
    words = read(row, REFUNDED).words.replace("\u00a0", " ")
    assert words == (
        "in one arm nobody, or everybody, has converted so far; at one look −0.01 points … +0.04 points"
    )


NO_LIFT = {"seq_rel_diff": None, "seq_rel_ci_lower": None, "seq_rel_ci_upper": None}


def test_without_a_baseline_the_interval_is_told_in_the_metrics_unit() -> None:
    """Even where one look has a percentage: two scales in one row cannot be compared."""
    reading = read(a_result(**NO_LIFT, reason="baseline_near_zero"), REVENUE)
    assert (reading.shown, reading.estimate) == (None, None)
    assert reading.kind is Kind.BETTER
    assert reading.words.startswith(
        "0.04320 … 0.2544 in the metric's unit: the control's mean cannot be told"
    )


def test_a_margin_in_the_metrics_unit_needs_no_percentage_and_a_share_does() -> None:
    for share, kind in ((0.0, Kind.HOLDS), (0.05, Kind.HARMED)):
        row = latency(share) | NO_LIFT
        assert read(row, replace(LATENCY, margin=None, margin_abs=6.2)).kind is kind
        assert read(row, LATENCY).kind is Kind.WATCHING


def test_every_reason_of_the_statistics_has_words() -> None:
    assert set(REASONS) >= set(Reason)
    assert why_absent(a_result()) == ""


def test_a_p_value_is_never_bare() -> None:
    assert read(a_result(), REVENUE).evidence == ("by chance alone in 1 of 240 experiments")
    assert read(open_result(), REVENUE).evidence == "chance alone gives this often"
    assert read(latency(0.05), LATENCY).evidence == ""


def test_a_metric_is_described_in_a_line() -> None:
    assert REVENUE.description == "mean · capped at 500.0 · 7-day window"
    assert LATENCY.description.replace("\u00a0", " ") == (
        "mean · lower is better · margin 2.0 % · stops the experiment"
    )
