import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from tests.udfs.stats.samples import TwoArms, moments_of, two_arms
from udfs.stats import GuardrailTest, Moments, Reason, Undetermined, guardrail

DIRECTIONS = st.sampled_from(["increase", "decrease"])
MARGINS = st.sampled_from([0.0, 0.01, 0.2, 1.5])


def test_without_a_margin_it_is_the_one_sided_welch_test():
    rng = np.random.default_rng(1)
    control, treatment = rng.normal(10, 2, 100).round(6), rng.normal(10.5, 3, 80).round(6)
    found = guardrail(Moments.from_units(control), Moments.from_units(treatment), good="increase")
    assert isinstance(found, GuardrailTest)
    greater = stats.ttest_ind(treatment, control, equal_var=False, alternative="greater")
    assert found.noninferior_p == pytest.approx(greater.pvalue, rel=1e-9)
    assert found.harm_p == pytest.approx(1 - greater.pvalue, rel=1e-9)
    assert found.lower == pytest.approx(greater.confidence_interval(0.95).low, rel=1e-9)


@pytest.mark.parametrize(("good", "factor"), [("increase", 0.9), ("decrease", 1.1)])
def test_a_relative_margin_moves_the_control_with_its_noise(good, factor):
    rng = np.random.default_rng(2)
    control, treatment = rng.exponential(10, 300).round(6), rng.exponential(9.5, 200).round(6)
    found = guardrail(Moments.from_units(control), Moments.from_units(treatment), good=good, margin=0.1)
    assert isinstance(found, GuardrailTest)
    better = "greater" if good == "increase" else "less"
    reference = stats.ttest_ind(treatment, control * factor, equal_var=False, alternative=better)
    assert found.noninferior_p == pytest.approx(reference.pvalue, rel=1e-7)


@given(two_arms(), DIRECTIONS, MARGINS, MARGINS, st.sampled_from([0.2, 0.05, 0.001]))
def test_p_and_bounds_agree_about_harm_and_non_inferiority(arms: TwoArms, good, margin, margin_abs, alpha):
    found = guardrail(*arms.moments, good=good, margin=margin, margin_abs=margin_abs, alpha=alpha)
    assume(isinstance(found, GuardrailTest))
    assert isinstance(found, GuardrailTest)
    assume(min(abs(found.noninferior_p - alpha), abs(found.harm_p - alpha)) > 1e-9)
    assert (found.noninferior_p < alpha) == (found.lower > 0.0)
    assert (found.harm_p < alpha) == (found.upper < 0.0)
    assert found.noninferior_p + found.harm_p == pytest.approx(1.0, abs=1e-12)


@given(two_arms(), DIRECTIONS, MARGINS)
def test_turning_the_metric_over_turns_the_good_direction(arms: TwoArms, good, margin):
    negated = [
        moments_of([(-y, d, x, e) for y, d, x, e in people]) for people in (arms.control, arms.treatment)
    ]
    other = "decrease" if good == "increase" else "increase"
    assert guardrail(*negated, good=other, margin=margin) == guardrail(
        *arms.moments, good=good, margin=margin
    )


def test_what_cannot_be_judged_and_what_cannot_be_asked():
    flat = Moments.from_units([1.0, 1.0])
    assert guardrail(flat, flat, good="increase") == Undetermined(Reason.ZERO_VARIANCE)
    with pytest.raises(ValueError, match="good is 'up'"):
        guardrail(flat, flat, good="up")
    with pytest.raises(ValueError, match=r"margin is -0\.1"):
        guardrail(flat, flat, good="increase", margin=-0.1)
