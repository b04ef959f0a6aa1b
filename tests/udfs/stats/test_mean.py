import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from tests.udfs.stats.samples import MICROS, TwoArms, moments_of, two_arms
from udfs.stats import Estimate, ImpossibleSumsError, Moments, Reason, Undetermined, mean_difference

BASE = Moments.from_units([1.0, 2.0, 4.0])


def test_it_is_scipys_welch_test():
    rng = np.random.default_rng(1)
    control, treatment = rng.exponential(5, 300).round(6), rng.exponential(6, 41).round(6)
    found = mean_difference(Moments.from_units(control), Moments.from_units(treatment), alpha=0.1)
    expected = stats.ttest_ind(treatment, control, equal_var=False)
    interval = expected.confidence_interval(0.9)
    assert isinstance(found, Estimate)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-11)
    assert found.degrees_of_freedom == pytest.approx(expected.df, rel=1e-11)
    assert (found.ci_lower, found.ci_upper) == pytest.approx((interval.low, interval.high), rel=1e-11)
    assert found.log_p_value == pytest.approx(math.log(expected.pvalue), rel=1e-11)


@given(two_arms(), st.sampled_from([0.5, 0.2, 0.05, 0.001]))
def test_p_is_below_alpha_exactly_when_the_interval_excludes_zero(arms: TwoArms, alpha):
    found = mean_difference(*arms.moments, alpha=alpha)
    assert isinstance(found, Estimate)
    assume(abs(found.p_value - alpha) > 1e-9)
    assert (found.p_value < alpha) == (not found.ci_lower <= 0.0 <= found.ci_upper)


@given(two_arms())
def test_swapping_the_arms_turns_the_sign_and_nothing_else(arms: TwoArms):
    control, treatment = arms.moments
    there, back = mean_difference(control, treatment), mean_difference(treatment, control)
    assert isinstance(there, Estimate)
    assert isinstance(back, Estimate)
    assert (back.estimate, back.ci_lower, back.ci_upper) == (
        -there.estimate,
        -there.ci_upper,
        -there.ci_lower,
    )
    assert back.p_value == there.p_value


@given(two_arms(), st.integers(-(10**15), 10**15))
def test_shifting_all_users_changes_nothing_to_the_bit(arms: TwoArms, shift):
    def moved(people):
        return moments_of([(y + shift, d, x, e) for y, d, x, e in people])

    assert mean_difference(moved(arms.control), moved(arms.treatment)) == mean_difference(*arms.moments)


@given(two_arms(), st.integers(2, 10**6))
def test_scaling_all_users_scales_the_difference_and_keeps_p(arms: TwoArms, factor):
    def scaled(people):
        return moments_of([(y * factor, d, x, e) for y, d, x, e in people])

    small = mean_difference(*arms.moments)
    large = mean_difference(scaled(arms.control), scaled(arms.treatment))
    assert isinstance(small, Estimate)
    assert isinstance(large, Estimate)
    assert large.p_value == pytest.approx(small.p_value, rel=1e-12)
    assert large.ci_upper == pytest.approx(small.ci_upper * factor, rel=1e-9, abs=1e-9 * factor)


@given(two_arms(), st.sampled_from([2, 4, 8]))
def test_a_ratio_with_one_denominator_for_all_is_the_mean_over_it(arms: TwoArms, denominator):
    def with_denominator(people):
        return moments_of([(y, denominator * MICROS, x, e) for y, _, x, e in people])

    control, treatment = with_denominator(arms.control), with_denominator(arms.treatment)
    ratio = mean_difference(control, treatment, kind="ratio")
    mean = mean_difference(control, treatment)
    assert isinstance(ratio, Estimate)
    assert isinstance(mean, Estimate)
    assert ratio.p_value == pytest.approx(mean.p_value, rel=1e-12)
    assert ratio.estimate * denominator == pytest.approx(mean.estimate, rel=1e-12)
    assert ratio.standard_error * denominator == pytest.approx(mean.standard_error, rel=1e-12)


def test_the_ratio_has_the_variance_of_its_linearised_users():
    rng = np.random.default_rng(2)
    d = rng.poisson(4, 500) + 1.0
    y = (d * rng.gamma(2.0, 3.0, 500)).round(6)
    ratio = y.sum() / d.sum()
    linear = (y - ratio * d) / d.mean()
    found = mean_difference(Moments.from_units(y, d), Moments.from_units(y + d, d), kind="ratio")
    assert isinstance(found, Estimate)
    assert found.estimate == pytest.approx(1.0, rel=1e-12)
    assert found.standard_error == pytest.approx(math.sqrt(2 * linear.var(ddof=1) / 500), rel=1e-9)


def test_a_ratio_of_huge_totals_keeps_its_small_spread():
    """y = 10^9 d, plus or minus a little: in floats the terms of 10^18 would swallow the variance."""
    d = [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]
    noise = [0.5, -0.25, 1.0, -0.5, 0.25, -1.0]
    y = [10**9 * each + more for each, more in zip(d, noise, strict=True)]
    variance = sum(more**2 for more in noise) / 5 / 4
    found = mean_difference(Moments.from_units(y, d), Moments.from_units(y, d), kind="ratio")
    assert isinstance(found, Estimate)
    assert found.estimate == 0.0
    assert found.standard_error == pytest.approx(math.sqrt(2 * variance / 6), rel=1e-9)


@pytest.mark.parametrize(
    ("control", "treatment", "kind", "reason"),
    [
        (Moments(), BASE, "mean", Reason.TOO_FEW_UNITS),
        (BASE, Moments.from_units([1.0]), "mean", Reason.TOO_FEW_UNITS),
        (Moments.from_units([1.0, 1.0]), Moments.from_units([3.0, 3.0]), "mean", Reason.ZERO_VARIANCE),
        (Moments.from_units([0.0, 0.0]), Moments.from_units([0.0, 0.0]), "proportion", Reason.ZERO_VARIANCE),
        (BASE, BASE, "ratio", Reason.ZERO_DENOMINATOR),
        (Moments(), Moments(), "ratio", Reason.TOO_FEW_UNITS),
    ],
)
def test_what_cannot_be_answered_says_why(control, treatment, kind, reason):
    assert mean_difference(control, treatment, kind=kind) == Undetermined(reason)


def test_bad_input_names_the_value_and_the_rule():
    with pytest.raises(ValueError, match=r"alpha is 1\.0"):
        mean_difference(BASE, BASE, alpha=1.0)
    with pytest.raises(ImpossibleSumsError, match="sum_yy = 1"):
        mean_difference(BASE, Moments.from_sums(2, {"y": 10, "yy": 1}, check=False))
    with pytest.raises(ImpossibleSumsError, match="no proportion metric"):
        mean_difference(BASE, BASE, kind="proportion")
