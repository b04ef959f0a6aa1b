import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.udfs.stats.samples import TwoArms, moments_of, two_arms
from udfs.stats import MICROS, Estimate, Moments, Reason, Undetermined, mean_difference, relative_lift
from udfs.stats.contrast import Contrasts
from udfs.stats.mean import welch
from udfs.stats.relative import fieller


def contrasts_of(difference, control, v_c, v_t):
    values = [np.atleast_1d(np.asarray(value, dtype=float)) for value in (difference, control, v_c, v_t)]
    d, m, c, t = np.broadcast_arrays(*values)
    return Contrasts(d, m, m + d, c, t, c**2 / 99, t**2 / 99)


@given(two_arms(), st.sampled_from([0.5, 0.2, 0.05, 0.001]), st.sampled_from([-10_000, 100, 10_000]))
def test_the_lift_excludes_zero_exactly_when_the_absolute_test_rejects(arms: TwoArms, alpha, baseline):
    """Around a baseline that differs from 0, or there is no lift to speak of."""

    def raised(people):
        return moments_of([(y + baseline * MICROS, d, x, e) for y, d, x, e in people])

    control, treatment = raised(arms.control), raised(arms.treatment)
    absolute = mean_difference(control, treatment, alpha=alpha)
    lift = relative_lift(control, treatment, alpha=alpha)
    assume(isinstance(lift, Estimate))
    assert isinstance(absolute, Estimate)
    assert isinstance(lift, Estimate)
    assume(abs(absolute.p_value - alpha) > 1e-9)
    assert lift.p_value == absolute.p_value
    assert (absolute.p_value < alpha) == (not lift.ci_lower <= 0.0 <= lift.ci_upper)


@given(
    st.floats(-5, 5),
    st.one_of(st.floats(1, 10), st.floats(-10, -1)),
    st.floats(1e-6, 0.2),
    st.floats(1e-6, 0.2),
    st.floats(0.5, 3.0),
)
def test_the_ends_are_the_lifts_that_the_test_just_does_not_reject(difference, control, v_c, v_t, critical):
    found = fieller(contrasts_of(difference, control, v_c, v_t), critical)
    assume(bool(np.isfinite(found.ci_lower[0])))
    for end in (found.ci_lower[0], found.ci_upper[0]):
        distance = abs(difference - end * control)
        assert distance == pytest.approx(critical * np.sqrt(v_t + (1 + end) ** 2 * v_c), rel=1e-6)
    assert found.ci_lower[0] <= found.lift[0] <= found.ci_upper[0]


def test_a_minute_lift_of_a_huge_baseline_keeps_its_digits():
    found = fieller(contrasts_of(1e-3, 1e9, 1e-8, 1e-8), 1.96)
    assert found.lift[0] == pytest.approx(1e-12, rel=1e-12)
    assert found.ci_lower[0] == pytest.approx((1e-3 - 1.96 * np.sqrt(2e-8)) / 1e9, rel=1e-9)


@given(two_arms(), st.integers(2, 1000))
def test_the_lift_does_not_depend_on_the_unit_of_the_metric(arms: TwoArms, factor):
    def scaled(people):
        return moments_of([(y * factor, d, x, e) for y, d, x, e in people])

    small = relative_lift(*arms.moments)
    large = relative_lift(scaled(arms.control), scaled(arms.treatment))
    if isinstance(small, Undetermined):
        assert large == small
    else:
        assert isinstance(large, Estimate)
        assert large.ci_lower == pytest.approx(small.ci_lower, rel=1e-6, abs=1e-9)
        assert large.ci_upper == pytest.approx(small.ci_upper, rel=1e-6, abs=1e-9)


def test_a_baseline_that_may_be_zero_gives_no_interval_and_says_so():
    control = Moments.from_units([-1.0, 1.0, 0.5])
    treatment = Moments.from_units([1.0, 2.0, 3.0])
    assert relative_lift(control, treatment) == Undetermined(Reason.BASELINE_NEAR_ZERO)


NO_SALE = Moments.from_units([0.0] * 21, [1.0] * 21)
"""A treatment without any outcome: its own noise cannot be seen."""


def test_a_treatment_without_any_outcome_has_no_lift_interval_rather_than_one_of_width_zero():
    control = Moments.from_units([1.0, 0.0] * 10, [1.0] * 20)
    for kind, reason in (
        ("mean", Reason.ONE_ARM_CONSTANT),
        ("proportion", Reason.ALL_OR_NONE_CONVERTED),
        ("ratio", Reason.ONE_ARM_CONSTANT),
    ):
        assert relative_lift(control, NO_SALE, kind=kind) == Undetermined(reason)


def test_a_control_in_which_nobody_converted_points_to_the_small_sample_interval():
    treatment = Moments.from_units([1.0, 0.0] * 10)
    assert relative_lift(NO_SALE, treatment, kind="proportion") == Undetermined(Reason.ALL_OR_NONE_CONVERTED)
    assert relative_lift(NO_SALE, treatment) == Undetermined(Reason.BASELINE_NEAR_ZERO)


@given(
    st.floats(-10, 10),
    st.one_of(st.just(0.0), st.floats(-10, 10)),
    st.one_of(st.just(0.0), st.floats(1e-6, 0.2)),
    st.one_of(st.just(0.0), st.floats(1e-6, 0.2)),
    st.floats(0.5, 3.0),
)
def test_an_interval_that_is_given_has_a_width(control, treatment, v_c, v_t, critical):
    assume(v_c + v_t > 0.0)
    assume(treatment == 0.0 or abs(treatment) > 1e-3)
    found = fieller(contrasts_of(treatment - control, control, v_c, v_t), critical)
    assert np.isnan(found.ci_lower[0]) == np.isnan(found.ci_upper[0])
    assert np.isnan(found.ci_lower[0]) or found.ci_lower[0] < found.ci_upper[0]


def test_a_negative_baseline_divides_by_itself():
    control, treatment = Moments.from_units([-10.0, -11.0, -9.0]), Moments.from_units([-5.0, -6.0, -4.0])
    found = relative_lift(control, treatment)
    assert isinstance(found, Estimate)
    assert found.estimate == pytest.approx(-0.5)
    assert found.ci_lower < -0.5 < found.ci_upper < 0.0


def test_many_comparisons_are_each_as_if_alone():
    many = contrasts_of(np.array([0.1, -0.2, 0.0]), 2.0, np.array([0.01, 0.02, 0.03]), 0.02)
    together = fieller(many, welch(many).critical)
    for row in range(3):
        alone = contrasts_of(many.difference[row], 2.0, many.control_variance[row], 0.02)
        assert fieller(alone, welch(alone).critical).ci_upper[0] == together.ci_upper[row]
