"""The numbers of others: 60-digit evaluations, scipy, statsmodels, tea-tasting (tests/golden/stats)."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from udfs.stats import (
    Allocation,
    Comparison,
    Moments,
    SampleRatio,
    benjamini_hochberg,
    benjamini_yekutieli,
    bonferroni,
    compare,
    crossed_balance,
    cuped_difference,
    holm,
    proportion_difference,
    sample_ratio,
    tails,
)
from udfs.stats.cuped import CupedEstimate
from udfs.stats.planning import fixed_users_needed
from udfs.stats.proportion import ProportionInterval, wilson

GOLDEN = Path(__file__).parents[2] / "golden" / "stats"
EXACT = json.loads((GOLDEN / "exact.json").read_text())
REFERENCES = json.loads((GOLDEN / "references.json").read_text())
SETTINGS = EXACT["settings"]


def arms(name):
    case = EXACT["cases"][name]
    return tuple(
        Moments.from_sums(case[arm]["n"], [int(value) for value in case[arm]["sums"]])
        for arm in ("control", "treatment")
    )


def row_of(name):
    (row,) = compare(
        [
            Comparison(
                kind=EXACT["cases"][name]["kind"],
                strata=(arms(name),),
                has_covariate=True,
                alpha=SETTINGS["alpha"],
                planned_units=SETTINGS["planned_units"],
                shares=tuple(SETTINGS["shares"]),
                margin=SETTINGS["margin"],
            )
        ],
        refuse_impossible=True,
    ).rows()
    return row


@pytest.mark.parametrize("name", EXACT["cases"])
def test_every_column_is_the_formula_in_sixty_digits(name):
    row = row_of(name)
    for column, text in EXACT["cases"][name]["expected"].items():
        expected = float(text)
        if column == "seq_p_value" or 0.0 < expected < 1e-300:
            continue
        assert row[column] == pytest.approx(expected, rel=1e-9, abs=1e-13), column


def test_columns_that_have_no_formula_are_absent():
    row = row_of("one_outlier")
    assert (row["rel_ci_lower"], row["mde"], row["chance_to_win"]) == (None, None, None)
    assert row["reason"] == "baseline_near_zero"
    assert not {"rel_ci_lower", "mde", "chance_to_win"} & EXACT["cases"]["one_outlier"]["expected"].keys()


def test_p_below_what_a_double_holds_lives_on_as_its_logarithm():
    row = row_of("farther_apart")
    assert row["p_value"] == 0.0
    assert row["log_p_value"] == pytest.approx(
        float(EXACT["cases"]["farther_apart"]["expected"]["log_p_value"]), rel=1e-12
    )


@pytest.mark.parametrize("case", EXACT["tails"], ids=lambda case: f"t={case['t']},df={case['df']}")
def test_tails_are_those_in_sixty_digits(case):
    df, t, p, log_p = (float(case[name]) for name in ("df", "t", "p", "log_p"))
    if p > 1e-300:
        assert tails.two_sided_p(t, df) == pytest.approx(p, rel=1e-11)
        assert tails.critical_value(p, df) == pytest.approx(t, rel=1e-9)
    assert tails.log_two_sided_p(t, df) == pytest.approx(log_p, rel=1e-11, abs=1e-13)
    assert tails.two_sided_p(-t, df) == tails.two_sided_p(t, df)


@pytest.mark.parametrize("name", REFERENCES["scipy_welch"])
def test_scipy_finds_the_same_where_floats_allow_it_to(name):
    """scipy works from single users in doubles and loses digits with the offset; sums lose none."""
    lost = {"around_1e9": 1e-4, "epoch_milliseconds": 2e-2}.get(name, 1e-9)
    row = row_of(name)
    for column, expected in REFERENCES["scipy_welch"][name].items():
        assert row[column] == pytest.approx(expected, rel=lost, abs=1e-300), column


@pytest.mark.parametrize("name", REFERENCES["tea_tasting"])
def test_tea_tasting_finds_the_same_differences_and_adjusted_differences(name):
    theirs, row = REFERENCES["tea_tasting"][name], row_of(name)
    for ours, column in (
        ("abs_diff", "abs_diff"),
        ("p_value", "p_value"),
        ("abs_ci_lower", "ci_lower"),
        ("abs_ci_upper", "ci_upper"),
        ("cuped_abs_diff", "cuped_abs_diff"),
        ("cuped_p_value", "cuped_p_value"),
        ("cuped_ci_lower", "cuped_ci_lower"),
        ("cuped_ci_upper", "cuped_ci_upper"),
    ):
        assert row[ours] == pytest.approx(theirs[column], rel=1e-9, abs=1e-300), ours


def test_tea_tastings_log_interval_is_not_fiellers():
    """A known difference: the log interval is not the set of lifts that the test does not reject."""
    theirs, row = REFERENCES["tea_tasting"]["revenue"], row_of("revenue")
    assert abs(row["rel_ci_upper"] - theirs["log_interval_upper"]) > 0.005


@pytest.mark.parametrize("case", REFERENCES["adjusted_p"], ids=lambda case: f"{len(case['p'])} questions")
def test_statsmodels_adjusts_p_the_same_way(case):
    log_p = np.log(case["p"])
    for name, method in (
        ("holm", holm),
        ("bonferroni", bonferroni),
        ("bh", benjamini_hochberg),
        ("by", benjamini_yekutieli),
    ):
        assert np.exp(method(log_p)) == pytest.approx(case[name], rel=1e-9), name


@pytest.mark.parametrize(
    "case", REFERENCES["proportions"], ids=lambda case: f"{case['control']}, {case['treatment']}"
)
def test_statsmodels_finds_the_same_newcombe_and_wilson_intervals(case):
    def converted(successes, n):
        return Moments.from_sums(n, {"y": successes * 10**6, "yy": successes * 10**12})

    found = proportion_difference(converted(*case["control"]), converted(*case["treatment"]))
    assert isinstance(found, ProportionInterval)
    assert (found.ci_lower, found.ci_upper) == pytest.approx(case["newcombe"], abs=1e-12)
    successes, n = case["control"]
    assert wilson(successes / n, n, 1.959963984540054) == pytest.approx(case["wilson"], abs=1e-12)


@pytest.mark.parametrize("case", REFERENCES["users_needed"], ids=lambda case: f"effect {case['effect']}")
def test_statsmodels_needs_as_many_users(case):
    share = 1 / (1 + case["ratio"])
    users = fixed_users_needed(case["effect"], 1 / share + 1 / (1 - share), case["alpha"], case["power"])
    assert users == pytest.approx(case["users"], rel=1e-3)


@pytest.mark.parametrize("case", REFERENCES["chi_square"], ids=lambda case: str(case["counts"]))
def test_scipy_finds_the_same_chi_square(case):
    names = [f"arm{number}" for number in range(len(case["counts"]))]
    allocation = Allocation(
        dict(zip(names, case["counts"], strict=True)), dict(zip(names, case["weights"], strict=True))
    )
    found = sample_ratio([allocation])
    assert isinstance(found, SampleRatio)
    assert found.p_value == pytest.approx(case["p"], rel=1e-9)


@pytest.mark.parametrize("case", REFERENCES["homogeneity"], ids=lambda case: str(case["crossed"]))
def test_scipy_finds_the_same_test_of_equal_shares(case):
    crossed, users = (dict(enumerate(case[name])) for name in ("crossed", "users"))
    assert crossed_balance([crossed], [users]) == pytest.approx(case["p"], rel=1e-9)


def test_scalar_and_row_are_one_and_the_same():
    found = cuped_difference(*arms("revenue"))
    assert isinstance(found, CupedEstimate)
    assert found.difference.p_value == row_of("revenue")["cuped_p_value"]
    assert math.isclose(
        found.theta, float(EXACT["cases"]["revenue"]["expected"]["cuped_theta"]), rel_tol=1e-12
    )
