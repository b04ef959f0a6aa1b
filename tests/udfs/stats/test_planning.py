import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.stats import (
    DaysLeft,
    Moments,
    Plan,
    Reason,
    Undetermined,
    days_left,
    plan,
    planned_information,
    tails,
)
from udfs.stats import sequential as seq
from udfs.stats.planning import (
    detectable_effect,
    fixed_users_needed,
    power_at,
    sequential_users_needed,
)

RNG = np.random.default_rng(8)
CONTROL = Moments.from_units(RNG.normal(10, 2, 400).round(6))
TREATMENT = Moments.from_units(RNG.normal(10, 3, 600).round(6))


@given(st.floats(0.01, 1.0), st.floats(0.1, 100.0), st.sampled_from([0.1, 0.05, 0.001]), st.floats(0.5, 0.99))
def test_at_the_users_needed_one_look_has_the_power(effect, variance, alpha, power):
    users = fixed_users_needed(effect, variance, alpha, power)
    critical = tails.critical_value(alpha, math.inf)
    assert detectable_effect(np.sqrt(variance / users), critical, power) == pytest.approx(effect, rel=1e-9)


@given(
    st.floats(1e-3, 10.0),
    st.floats(0.1, 100.0),
    st.floats(0.05, 1.0),
    st.floats(100, 1e7),
    st.floats(0.5, 0.99),
)
def test_at_the_users_needed_the_sequential_test_has_the_power(effect, variance, balance, planned, power):
    precision = float(seq.mixture_precision(0.05, planned))
    users = sequential_users_needed(effect, variance, balance, precision, 0.05, power)
    critical = seq.multiplier(balance * users, precision, 0.05)
    assert detectable_effect(np.sqrt(variance / users), critical, power) == pytest.approx(effect, rel=1e-9)


def test_the_detectable_effect_is_detected_with_its_power():
    effect = detectable_effect(0.5, 1.96, 0.8)
    assert power_at(effect, 0.5, 1.96) == pytest.approx(0.8, abs=1e-4)
    assert power_at(0.0, 0.5, 1.959963984540054) == pytest.approx(0.05, rel=1e-9)


@pytest.mark.parametrize("planned", [None, 1000.0])
def test_a_plan_is_consistent_with_itself(planned):
    first = plan(CONTROL, TREATMENT, lift=0.05, planned=planned)
    assert isinstance(first, Plan)
    again = plan(CONTROL, TREATMENT, lift=first.relative_mde, planned=planned)
    assert isinstance(again, Plan)
    assert again.power == pytest.approx(0.8, abs=1e-4)
    assert again.users_needed == pytest.approx(again.users, rel=0.01)
    assert first.users == 1000


def test_more_goals_and_continuous_looking_each_cost_users():
    def users(**more):
        found = plan(CONTROL, TREATMENT, lift=0.05, **more)
        assert isinstance(found, Plan)
        return found.users_needed

    information = float(planned_information(5000, 0.4, 0.6))
    assert users() < users(goals=4) < users(goals=4, planned=information)
    assert users() < users(planned=information) < users(goals=4, planned=information)
    assert users(power=0.9) > users()


def test_days_are_counted_at_the_median_day_with_the_best_and_worst_beside():
    assert days_left(1000.5, [100, 90, 110, 100, 400, 20, 100]) == DaysLeft(11, 3, 51)
    assert days_left(-5, [10]) == DaysLeft(0, 0, 0)
    assert days_left(100, [10, 10, 0]) == DaysLeft(10, 10, math.inf)
    assert days_left(100, [0, 0, 500]) == Undetermined(Reason.NO_ARRIVALS)
    with pytest.raises(ValueError, match="at least one day"):
        days_left(1, [])


def test_what_cannot_be_planned_says_why():
    flat = Moments.from_units([1.0, 1.0])
    centred = Moments.from_units([-1.0, 1.0])
    assert plan(flat, flat, lift=0.1) == Undetermined(Reason.ZERO_VARIANCE)
    assert plan(centred, flat, lift=0.1) == Undetermined(Reason.BASELINE_NEAR_ZERO)
    assert plan(Moments(), flat, lift=0.1) == Undetermined(Reason.TOO_FEW_UNITS)
    with pytest.raises(ValueError, match=r"abs\(lift\) is 0"):
        plan(flat, flat, lift=0)
    with pytest.raises(ValueError, match="power is 1"):
        plan(flat, flat, lift=0.1, power=1)
