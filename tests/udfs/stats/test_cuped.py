import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.udfs.stats.samples import TwoArms, moments_of, two_arms
from udfs.stats import Estimate, Moments, Reason, Undetermined, cuped_difference, mean_difference
from udfs.stats.cuped import CupedEstimate


def people(seed: int, n: int, shift: float = 0.0):
    rng = np.random.default_rng(seed)
    x = rng.gamma(2.0, 3.0, n).round(6)
    return (0.8 * x + shift + rng.normal(0, 1, n)).round(6), x


def test_it_is_welch_on_the_outcome_less_theta_times_the_covariate():
    (y_c, x_c), (y_t, x_t) = people(1, 200), people(2, 150, 0.1)
    both_x = np.concatenate([x_c, x_t])
    theta = np.cov(np.concatenate([y_c, y_t]), both_x)[0, 1] / both_x.var(ddof=1)
    found = cuped_difference(Moments.from_units(y_c, x=x_c), Moments.from_units(y_t, x=x_t))
    adjusted = [Moments.from_units(y - theta * (x - both_x.mean())) for y, x in ((y_c, x_c), (y_t, x_t))]
    expected = mean_difference(*adjusted)
    assert isinstance(found, CupedEstimate)
    assert isinstance(expected, Estimate)
    assert found.theta == pytest.approx(theta, rel=1e-11)
    assert found.difference.estimate == pytest.approx(expected.estimate, rel=1e-5)
    assert found.difference.p_value == pytest.approx(expected.p_value, rel=1e-4)
    assert found.difference.degrees_of_freedom == pytest.approx(expected.degrees_of_freedom, rel=1e-5)
    raw = mean_difference(Moments.from_units(y_c), Moments.from_units(y_t))
    assert isinstance(raw, Estimate)
    assert found.variance_reduction == pytest.approx(
        1 - (expected.standard_error / raw.standard_error) ** 2, rel=1e-5
    )


@given(two_arms())
def test_a_constant_covariate_changes_nothing(arms: TwoArms):
    flat = [moments_of([(y, d, 7, e) for y, d, _, e in people]) for people in (arms.control, arms.treatment)]
    found = cuped_difference(*flat)
    assert isinstance(found, CupedEstimate)
    assert found.difference == mean_difference(*flat)
    assert (found.theta, found.variance_reduction) == (0.0, 0.0)


@given(two_arms(), st.integers(-(10**12), 10**12))
def test_where_the_covariate_starts_counting_does_not_matter(arms: TwoArms, shift):
    moved = [
        moments_of([(y, d, x + shift, e) for y, d, x, e in people])
        for people in (arms.control, arms.treatment)
    ]
    here, there = cuped_difference(*arms.moments), cuped_difference(*moved)
    if isinstance(here, Undetermined):
        assert there == here
    else:
        assert isinstance(there, CupedEstimate)
        assert there.theta == here.theta
        assert there.difference.p_value == pytest.approx(here.difference.p_value, rel=1e-9)


def test_a_covariate_that_explains_everything_leaves_nothing_to_judge_by():
    y = [1.0, 2.0, 3.0, 5.0]
    same = Moments.from_units(y, x=y)
    assert cuped_difference(same, same) == Undetermined(Reason.ZERO_VARIANCE)


def test_a_ratio_is_adjusted_by_the_ratio_before_exposure():
    rng = np.random.default_rng(4)

    def arm(n, lift):
        taste = rng.gamma(5.0, 1.0, n)
        d, e = rng.poisson(5, n) + 1.0, rng.poisson(5, n) + 1.0
        y = (d * taste * (1 + lift)).round(6)
        x = (e * taste).round(6)
        return y, d, x, e

    control, treatment = arm(400, 0.0), arm(500, 0.05)
    y, d, x, e = (np.concatenate(pair) for pair in zip(control, treatment, strict=True))
    post, pre = (y - y.sum() / d.sum() * d) / d.mean(), (x - x.sum() / e.sum() * e) / e.mean()
    theta = np.cov(post, pre)[0, 1] / pre.var(ddof=1)
    found = cuped_difference(Moments.from_units(*control), Moments.from_units(*treatment), kind="ratio")
    assert isinstance(found, CupedEstimate)
    assert found.theta == pytest.approx(theta, rel=1e-9)
    r = [each[0].sum() / each[1].sum() for each in (control, treatment)]
    p = [each[2].sum() / each[3].sum() for each in (control, treatment)]
    assert found.difference.estimate == pytest.approx(r[1] - r[0] - theta * (p[1] - p[0]), rel=1e-9)
    assert found.variance_reduction > 0.5
