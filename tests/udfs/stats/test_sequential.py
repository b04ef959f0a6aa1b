import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.udfs.stats.samples import MICROS, TwoArms, moments_of, two_arms
from udfs.stats import (
    Moments,
    Reason,
    SequentialEstimate,
    Undetermined,
    planned_information,
    sequential_difference,
)
from udfs.stats import sequential as seq

sizes = st.floats(4, 1e7)
alphas = st.sampled_from([0.2, 0.05, 0.01, 1e-6])


def test_the_multiplier_is_the_published_curve():
    """Waudby-Smith et al. eq. (9) in its own notation, per unit of standard deviation."""
    t, rho, alpha = 700.0, 0.05, 0.05
    radius = math.sqrt(2 * (t * rho**2 + 1) / (t**2 * rho**2) * math.log(math.sqrt(t * rho**2 + 1) / alpha))
    assert seq.multiplier(t, rho**2, alpha) / math.sqrt(t) == pytest.approx(radius, rel=1e-14)


@given(sizes, sizes, alphas)
def test_at_the_multiplier_the_e_value_is_one_over_alpha(t, planned, alpha):
    precision = seq.mixture_precision(alpha, planned)
    edge = seq.multiplier(t, precision, alpha)
    assert seq.log_e_value(edge, t, precision) == pytest.approx(-math.log(alpha), rel=1e-9)


@given(sizes, sizes, alphas)
def test_at_the_one_sided_multiplier_the_one_sided_e_value_is_one_over_alpha(t, planned, alpha):
    precision = seq.mixture_precision(min(2 * alpha, 0.999), planned)
    edge = seq.one_sided_multiplier(t, precision, alpha)
    assert seq.one_sided_log_e_value(edge, t, precision) == pytest.approx(-math.log(alpha), rel=1e-9)
    closed_form = math.sqrt(
        2 * (t * precision + 1) / (t * precision) * math.log1p(math.sqrt(t * precision + 1) / (2 * alpha))
    )
    assert edge <= closed_form


@given(sizes)
def test_the_interval_is_narrowest_for_its_size_near_the_planned_one(planned):
    best = seq.multiplier(planned, seq.mixture_precision(0.05, planned), 0.05)
    for other in (0.5, 0.8, 1.25, 2.0):
        assert best <= seq.multiplier(planned, seq.mixture_precision(0.05, planned * other), 0.05) * 1.001


def test_the_e_value_stays_finite_where_it_overflows_itself():
    assert 700 < seq.log_e_value(40.0, 1e6, 1e-4) < 800
    assert seq.log_e_value(1e6, 1e6, 1e-4) > 4e11
    assert seq.one_sided_log_e_value(40.0, 1e6, 1e-4) == pytest.approx(
        seq.log_e_value(40.0, 1e6, 1e-4) + math.log(2), rel=1e-12
    )
    assert np.isfinite(seq.one_sided_log_e_value(-1e4, 1e6, 1e-4))


def test_information_is_the_number_of_users_when_arms_are_equal():
    assert seq.information(500, 500) == 1000.0
    assert seq.information(900, 100) == pytest.approx(360.0)
    assert seq.information(0, 100) == seq.information(0, 0) == 0.0
    assert planned_information(200_000, 0.5, 0.25) == pytest.approx(4 * 200_000 * 0.5 * 0.25 / 0.75)


@given(two_arms(), st.sampled_from([10.0, 1000.0]), st.sampled_from([0.5, 0.2, 0.05]))
def test_absolute_relative_and_p_agree_at_every_look(arms: TwoArms, planned, alpha):
    found = sequential_difference(*arms.moments, planned=planned, alpha=alpha)
    assert isinstance(found, SequentialEstimate)
    assume(abs(found.log_p_value - math.log(alpha)) > 1e-9)
    rejects = found.log_p_value < math.log(alpha)
    assert rejects == (not found.ci_lower <= 0.0 <= found.ci_upper)
    if found.relative_interval is not None:
        assert rejects == (not found.relative_interval[0] <= 0.0 <= found.relative_interval[1])


@given(two_arms())
def test_swapping_the_arms_turns_the_sequence_over(arms: TwoArms):
    control, treatment = arms.moments
    there = sequential_difference(control, treatment, planned=100.0)
    back = sequential_difference(treatment, control, planned=100.0)
    assert isinstance(there, SequentialEstimate)
    assert isinstance(back, SequentialEstimate)
    assert (back.ci_lower, back.ci_upper) == (-there.ci_upper, -there.ci_lower)
    assert back.log_e_value == pytest.approx(there.log_e_value, rel=1e-12)


@given(two_arms(), st.integers(-(10**15), 10**15), st.integers(1, 1000))
def test_shift_and_scale_of_the_metric_do_not_change_the_evidence(arms: TwoArms, shift, factor):
    def moved(people):
        return moments_of([(y * factor + shift, d, x, e) for y, d, x, e in people])

    here = sequential_difference(*arms.moments, planned=100.0)
    there = sequential_difference(moved(arms.control), moved(arms.treatment), planned=100.0)
    assert isinstance(here, SequentialEstimate)
    assert isinstance(there, SequentialEstimate)
    assert there.log_e_value == pytest.approx(here.log_e_value, rel=1e-9, abs=1e-12)


def test_a_small_arm_that_has_seen_nothing_yet_does_not_look_certain():
    """1 of 1000 in control, 0 of 20 in treatment: by Welch the empty arm adds no variance at all."""
    control = Moments.from_units([1.0] * 10 + [0.0] * 990)
    treatment = Moments.from_units([0.0] * 20)
    found = sequential_difference(control, treatment, planned=1000.0)
    assert isinstance(found, SequentialEstimate)
    share = 10 / 1020
    pooled = math.sqrt(share * (1 - share) * 1020 / 1019 * (1 / 1000 + 1 / 20))
    t = 4 / (1 / 1000 + 1 / 20)
    expected = seq.multiplier(t, seq.mixture_precision(0.05, 1000.0), 0.05) * pooled
    assert found.ci_upper - found.estimate == pytest.approx(float(expected), rel=1e-9)


def test_the_adjusted_difference_has_the_shorter_sequence():
    rng = np.random.default_rng(5)
    x = rng.gamma(2.0, 3.0, 400)
    y = x + rng.normal(0, 1, 400)
    control, treatment = (Moments.from_units(y[half], x=x[half]) for half in (slice(0, 200), slice(200, 400)))
    raw = sequential_difference(control, treatment, planned=400.0)
    adjusted = sequential_difference(control, treatment, planned=400.0, use_covariate=True)
    assert isinstance(raw, SequentialEstimate)
    assert isinstance(adjusted, SequentialEstimate)
    assert adjusted.ci_upper - adjusted.ci_lower < 0.4 * (raw.ci_upper - raw.ci_lower)


def test_bad_input_and_impossible_questions_are_named():
    flat = Moments.from_units([1.0, 1.0])
    assert sequential_difference(flat, flat, planned=10.0) == Undetermined(Reason.ZERO_VARIANCE)
    assert sequential_difference(flat, Moments(), planned=10.0) == Undetermined(Reason.TOO_FEW_UNITS)
    with pytest.raises(ValueError, match="planned is 0"):
        sequential_difference(flat, flat, planned=0)
    assert MICROS == 1_000_000
