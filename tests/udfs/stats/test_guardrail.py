import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from tests.udfs.stats.samples import TwoArms, moments_of, two_arms
from udfs.stats import (
    Comparison,
    GuardrailTest,
    Moments,
    Reason,
    Undetermined,
    compare,
    guardrail,
    planned_information,
)

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


@given(two_arms(), DIRECTIONS, MARGINS, st.sampled_from([0.2, 0.05, 0.001]), st.sampled_from([10.0, 1000.0]))
def test_p_and_bounds_agree_at_every_look_too(arms: TwoArms, good, margin, alpha, planned):
    found = guardrail(*arms.moments, good=good, margin=margin, alpha=alpha, planned=planned)
    assume(isinstance(found, GuardrailTest))
    assert isinstance(found, GuardrailTest)
    assume(min(abs(found.noninferior_p - alpha), abs(found.harm_p - alpha)) > 1e-9)
    assert (found.noninferior_p < alpha) == (found.lower > 0.0)
    assert (found.harm_p < alpha) == (found.upper < 0.0)
    once = guardrail(*arms.moments, good=good, margin=margin, alpha=alpha)
    assert isinstance(once, GuardrailTest)
    assert found.distance == once.distance


def test_a_row_of_results_and_the_scalar_form_are_the_same_look():
    rng = np.random.default_rng(3)
    x = rng.gamma(2.0, 3.0, 300)
    y = (x + rng.normal(0, 1, 300)).round(6)
    arms = [Moments.from_units(y[rows], x=x[rows].round(6)) for rows in (slice(0, 100), slice(100, 300))]
    asked = Comparison(
        kind="mean",
        strata=(tuple(arms),),
        has_covariate=True,
        planned_units=2000,
        shares=(1 / 3, 2 / 3),
        direction="decrease",
        margin=0.05,
    )
    (row,) = compare([asked]).rows()
    planned = float(planned_information(2000, 1 / 3, 2 / 3))
    alone = guardrail(*arms, good="decrease", margin=0.05, planned=planned, use_covariate=True)
    assert isinstance(alone, GuardrailTest)
    assert row["harm_p_value"] == pytest.approx(alone.harm_p, rel=1e-12)
    assert row["noninferior_p_value"] == pytest.approx(alone.noninferior_p, rel=1e-12)


def test_what_cannot_be_judged_and_what_cannot_be_asked():
    flat = Moments.from_units([1.0, 1.0])
    assert guardrail(flat, flat, good="increase") == Undetermined(Reason.ZERO_VARIANCE)
    with pytest.raises(ValueError, match=r"2 \* alpha is 1\.2"):
        guardrail(flat, flat, good="increase", alpha=0.6)
    with pytest.raises(ValueError, match="good is 'up'"):
        guardrail(flat, flat, good="up")
    with pytest.raises(ValueError, match=r"margin is -0\.1"):
        guardrail(flat, flat, good="increase", margin=-0.1)
