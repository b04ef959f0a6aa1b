import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from udfs.stats import (
    Comparison,
    ImpossibleSumsError,
    Moments,
    ProportionInterval,
    Reason,
    Undetermined,
    compare,
    proportion_difference,
)
from udfs.stats.proportion import wilson


def converted(successes: int, n: int) -> Moments:
    return Moments.from_sums(n, {"y": successes * 10**6, "yy": successes * 10**12})


@given(st.integers(1, 200), st.integers(1, 200), st.data())
def test_it_is_statsmodels_newcombe(n_c, n_t, data):
    c, t = data.draw(st.integers(0, n_c)), data.draw(st.integers(0, n_t))
    found = proportion_difference(converted(c, n_c), converted(t, n_t))
    assert isinstance(found, ProportionInterval)
    expected = confint_proportions_2indep(t, n_t, c, n_c, method="newcomb")
    assert (found.ci_lower, found.ci_upper) == pytest.approx(expected, abs=1e-12)
    assert -1.0 <= found.ci_lower <= found.estimate <= found.ci_upper <= 1.0


@given(st.integers(1, 1000), st.data())
def test_one_arm_has_wilsons_interval(n, data):
    k = data.draw(st.integers(0, n))
    lower, upper = wilson(k / n, n, 1.959963984540054)
    assert (lower, upper) == pytest.approx(proportion_confint(k, n, method="wilson"), abs=1e-12)


def test_it_answers_where_welch_cannot():
    (row,) = compare([Comparison(kind="proportion", strata=((converted(0, 30), converted(0, 40)),))]).rows()
    assert (row["status"], row["reason"], row["p_value"]) == ("undetermined", "zero_variance", None)
    alone = proportion_difference(converted(0, 30), converted(0, 40))
    assert isinstance(alone, ProportionInterval)
    assert (row["small_ci_lower"], row["small_ci_upper"]) == pytest.approx((alone.ci_lower, alone.ci_upper))
    assert alone.ci_lower < 0.0 < alone.ci_upper


def test_two_equal_versions_have_the_interval_of_independent_halves():
    half = (converted(3, 50), converted(6, 50))
    (one, two) = compare(
        [Comparison(kind="proportion", strata=(half,)), Comparison(kind="proportion", strata=(half, half))]
    ).rows()
    reach = (one["small_ci_upper"] - one["abs_diff"]) / 2**0.5
    assert two["small_ci_upper"] - two["abs_diff"] == pytest.approx(reach, rel=1e-12)


def test_other_kinds_have_no_such_column():
    moments = Moments.from_units([1.0, 2.0, 3.0])
    (row,) = compare([Comparison(kind="mean", strata=((moments, moments),))]).rows()
    assert row["small_ci_lower"] is None


def test_empty_arms_and_other_values_than_zero_and_one():
    assert proportion_difference(Moments(), converted(1, 2)) == Undetermined(Reason.NO_UNITS)
    with pytest.raises(ImpossibleSumsError, match="no proportion metric"):
        proportion_difference(converted(1, 2), Moments.from_units([2.0, 0.0]))
