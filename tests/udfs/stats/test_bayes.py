import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from tests.udfs.stats.samples import TwoArms, two_arms
from udfs.stats import Belief, Moments, Reason, Undetermined, belief
from udfs.stats.bayes import posterior

lifts = st.floats(-2, 2)
errors = st.floats(1e-3, 1.0)


@given(lifts, errors, st.floats(-0.5, 0.5), st.floats(0.01, 1.0))
def test_the_closed_forms_are_the_integrals_they_stand_for(lift, error, prior_mean, prior_sd):
    found = posterior(lift, error, prior_mean=prior_mean, prior_sd=prior_sd)
    mean, sd = float(found.mean), float(found.standard_deviation)
    density = stats.norm(mean, sd).pdf
    grid = np.linspace(mean - 12 * sd, mean + 12 * sd, 20001)
    weights = density(grid)
    assert found.chance_to_win == pytest.approx(stats.norm.sf(0, mean, sd), abs=1e-12)
    loss = integrate.simpson(np.maximum(-grid, 0) * weights, x=grid)
    kept = integrate.simpson(np.maximum(grid, 0) * weights, x=grid)
    assert found.expected_loss == pytest.approx(loss, abs=1e-6 * sd)
    assert found.expected_loss_of_control == pytest.approx(kept, abs=1e-6 * sd)


@given(lifts, errors)
def test_the_posterior_lies_between_prior_and_estimate_and_is_surer_than_both(lift, error):
    found = posterior(lift, error)
    assert min(0.0, lift) <= found.mean <= max(0.0, lift)
    assert found.standard_deviation < min(error, 0.3)


@given(lifts, errors)
def test_a_smaller_lift_being_better_turns_chance_and_loss_over(lift, error):
    up, down = posterior(lift, error), posterior(lift, error, good=-1.0)
    assert up.chance_to_win + down.chance_to_win == pytest.approx(1.0)
    assert up.expected_loss == pytest.approx(float(down.expected_loss_of_control), rel=1e-9, abs=1e-15)


def test_nothing_known_leaves_the_prior():
    found = posterior(5.0, 1e6)
    assert found.mean == pytest.approx(0.0, abs=1e-9)
    assert found.standard_deviation == pytest.approx(0.3, rel=1e-9)


def test_hopeless_losses_are_tiny_and_not_negative():
    assert 0.0 <= posterior(0.5, 0.01).expected_loss < 1e-100


@given(two_arms())
def test_more_than_nothing_and_less_than_all_is_believed(arms: TwoArms):
    found = belief(*arms.moments)
    if isinstance(found, Belief):
        assert 0.0 <= found.chance_to_win <= 1.0
        assert found.expected_loss >= 0.0
        assert found.ci_lower < found.mean < found.ci_upper


def test_of_a_negative_metric_the_less_negative_arm_wins():
    control, treatment = Moments.from_units([-10.0, -11.0, -9.0]), Moments.from_units([-5.0, -6.0, -4.0])
    found = belief(control, treatment)
    assert isinstance(found, Belief)
    assert found.mean < 0.0
    assert found.chance_to_win > 0.99


def test_what_cannot_be_believed_says_why():
    assert belief(Moments.from_units([-1.0, 1.0]), Moments.from_units([1.0, 2.0])) == Undetermined(
        Reason.BASELINE_NEAR_ZERO
    )
    with pytest.raises(ValueError, match="prior_sd is 0"):
        belief(Moments(), Moments(), prior_sd=0)
