import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.udfs.stats.samples import TwoArms, two_arms
from udfs.stats import (
    Comparison,
    Estimate,
    ImpossibleSumsError,
    Moments,
    Reason,
    Undetermined,
    compare,
    cuped_difference,
    mean_difference,
    relative_lift,
)
from udfs.stats.cuped import CupedEstimate

IMPOSSIBLE = Moments.from_sums(5, {"y": 10, "yy": 1}, check=False)
FINE = Moments.from_units([11.0, 12.0, 12.0, 13.0])


@settings(max_examples=50)
@given(st.lists(st.tuples(two_arms(), st.sampled_from(["mean", "ratio"])), min_size=1, max_size=5))
def test_many_at_once_are_the_single_questions(questions: list[tuple[TwoArms, str]]):
    card = compare(
        [Comparison(kind=kind, strata=(arms.moments,), has_covariate=True) for arms, kind in questions]
    )
    for row, (arms, kind) in zip(card.rows(), questions, strict=True):
        absolute = mean_difference(*arms.moments, kind=kind)
        assert isinstance(absolute, Estimate)
        assert (row["abs_diff"], row["abs_ci_lower"], row["p_value"]) == (
            absolute.estimate,
            absolute.ci_lower,
            absolute.p_value,
        )
        lift = relative_lift(*arms.moments, kind=kind)
        if isinstance(lift, Undetermined):
            assert (row["rel_ci_lower"], row["status"], row["reason"]) == (None, "ok", lift.reason)
        else:
            assert (row["rel_diff"], row["rel_ci_upper"]) == (lift.estimate, lift.ci_upper)
            assert row["reason"] is None
        cuped = cuped_difference(*arms.moments, kind=kind)
        if isinstance(cuped, CupedEstimate):
            assert row["cuped_p_value"] == cuped.difference.p_value
            assert (row["cuped_theta"], row["variance_reduction"]) == (cuped.theta, cuped.variance_reduction)
        else:
            assert row["cuped_p_value"] is None


def test_an_answer_that_cannot_be_given_is_absent_and_says_why():
    card = compare(
        [
            Comparison(kind="mean", strata=((Moments(), FINE),)),
            Comparison(kind="mean", strata=((FINE, IMPOSSIBLE),)),
            Comparison(kind="ratio", strata=((FINE, FINE),)),
            Comparison(
                kind="mean", strata=((Moments.from_units([2.0, 2.0]), Moments.from_units([3.0, 3.0])),)
            ),
        ]
    )
    rows = list(card.rows())
    assert [row["reason"] for row in rows] == [
        Reason.TOO_FEW_UNITS,
        Reason.IMPOSSIBLE_SUMS,
        Reason.ZERO_DENOMINATOR,
        Reason.ZERO_VARIANCE,
    ]
    assert {row["status"] for row in rows} == {"undetermined"}
    assert all(row[name] is None for row in rows for name in ("p_value", "abs_ci_lower", "rel_ci_lower"))
    assert (rows[0]["n_treatment"], rows[0]["mean_treatment"], rows[0]["mean_control"]) == (4, 12.0, None)
    assert (rows[1]["n_control"], rows[1]["n_treatment"]) == (4, 5)
    assert (rows[3]["mean_control"], rows[3]["abs_diff"]) == (2.0, 1.0)


def test_impossible_sums_are_refused_when_asked():
    with pytest.raises(ImpossibleSumsError, match="sum_yy = 1"):
        compare([Comparison(kind="mean", strata=((FINE, IMPOSSIBLE),))], refuse_impossible=True)


def test_without_a_pre_period_there_are_no_adjusted_columns():
    (row,) = compare([Comparison(kind="mean", strata=((FINE, FINE),))]).rows()
    assert row["cuped_abs_diff"] is None
    assert row["cuped_theta"] is None
    assert row["status"] == "ok"


def test_versions_are_combined_by_their_shares_and_never_summed():
    """50/50 with mean 1, then 20/80 with mean 2: a plain sum shows a difference of .23 that is not there."""
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 0.01, 1000).round(6)
    first = (Moments.from_units(1 + noise[:500]), Moments.from_units(1 + noise[:500]))
    second = (Moments.from_units(2 + noise[500:600]), Moments.from_units(2 + np.tile(noise[500:600], 4)))
    (combined, single) = compare(
        [
            Comparison(kind="mean", strata=(first, second)),
            Comparison(kind="mean", strata=((first[0] + second[0], first[1] + second[1]),)),
        ]
    ).rows()
    assert combined["abs_diff"] == pytest.approx(0.0, abs=1e-12)
    assert combined["mean_control"] == pytest.approx((1000 * 1 + 500 * 2) / 1500, rel=1e-3)
    assert (combined["n_control"], combined["n_treatment"]) == (600, 900)
    assert single["abs_diff"] == pytest.approx(0.278, abs=0.01)


def test_the_combination_has_the_weighted_differences_and_squared_weights():
    versions = [
        (Moments.from_units([1.0, 2.0, 4.0]), Moments.from_units([3.0, 3.0, 5.0, 9.0])),
        (Moments.from_units([0.0, 2.0]), Moments.from_units([1.0, 6.0, 2.0])),
    ]
    (row,) = compare([Comparison(kind="mean", strata=tuple(versions))]).rows()
    single = [mean_difference(*version) for version in versions]
    assert all(isinstance(each, Estimate) for each in single)
    shares = [7 / 12, 5 / 12]
    expected = sum(share * each.estimate for share, each in zip(shares, single, strict=True))
    variance = sum((share * each.standard_error) ** 2 for share, each in zip(shares, single, strict=True))
    assert row["abs_diff"] == pytest.approx(expected, rel=1e-12)
    parts = [
        (share**2 * arm.variance("y") / arm.n, arm.n - 1)
        for share, version in zip(shares, versions, strict=True)
        for arm in version
    ]
    df = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    half = stats.t.ppf(0.975, df) * np.sqrt(variance)
    assert (row["abs_ci_lower"], row["abs_ci_upper"]) == pytest.approx(
        (expected - half, expected + half), rel=1e-9
    )


def test_a_version_without_two_users_in_each_arm_waits_outside():
    version = (FINE, Moments.from_units([12.0, 13.0, 19.0]))
    with_young, without, none, broken = compare(
        [
            Comparison(kind="mean", strata=(version, (FINE, Moments.from_units([7.0])))),
            Comparison(kind="mean", strata=(version,)),
            Comparison(kind="mean", strata=((Moments(), FINE), (FINE, Moments()))),
            Comparison(kind="mean", strata=(version, (FINE, IMPOSSIBLE))),
        ]
    ).rows()
    assert with_young == without | {"reason": Reason.VERSION_LEFT_OUT}
    assert (none["status"], none["reason"], none["n_control"]) == ("undetermined", "too_few_units", 4)
    assert (broken["status"], broken["reason"]) == ("undetermined", "impossible_sums")


def test_no_comparison_gives_an_empty_scorecard():
    card = compare([])
    assert len(card) == 0
    assert list(card.rows()) == []


def test_a_malformed_question_names_its_fault():
    with pytest.raises(ValueError, match="kind is 'median'"):
        Comparison(kind="median", strata=((FINE, FINE),))
    with pytest.raises(ValueError, match="strata is empty"):
        Comparison(kind="mean", strata=())
    with pytest.raises(ValueError, match="alpha is 0"):
        Comparison(kind="mean", strata=((FINE, FINE),), alpha=0.0)
