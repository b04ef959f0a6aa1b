import pytest
from hypothesis import given
from hypothesis import strategies as st

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
def test_the_interval_stays_between_minus_one_and_one_and_turns_with_the_arms(n_c, n_t, data):
    c, t = data.draw(st.integers(0, n_c)), data.draw(st.integers(0, n_t))
    found = proportion_difference(converted(c, n_c), converted(t, n_t))
    turned = proportion_difference(converted(t, n_t), converted(c, n_c))
    assert isinstance(found, ProportionInterval)
    assert isinstance(turned, ProportionInterval)
    assert -1.0 <= found.ci_lower <= found.estimate <= found.ci_upper <= 1.0
    assert found.ci_lower < found.ci_upper
    assert (turned.ci_lower, turned.ci_upper) == pytest.approx((-found.ci_upper, -found.ci_lower), abs=1e-15)


@given(st.integers(1, 1000), st.data())
def test_the_ends_of_wilsons_interval_are_the_shares_that_the_score_test_just_does_not_reject(n, data):
    k = data.draw(st.integers(0, n))
    for end in wilson(k / n, n, 1.96):
        assert abs(k / n - end) == pytest.approx(1.96 * (max(end * (1 - end), 0) / n) ** 0.5, abs=1e-7)


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
