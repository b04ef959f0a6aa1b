import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from udfs.stats import (
    Allocation,
    Reason,
    SampleRatio,
    Undetermined,
    crossed_balance,
    leaked_users,
    sample_ratio,
)


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=5), st.data())
def test_one_version_is_scipys_chi_square(counts, data):
    weights = data.draw(st.lists(st.floats(0.1, 10.0), min_size=len(counts), max_size=len(counts)))
    arms = [f"arm{number}" for number in range(len(counts))]
    found = sample_ratio(
        [Allocation(dict(zip(arms, counts, strict=True)), dict(zip(arms, weights, strict=True)))]
    )
    expected = [sum(counts) * weight / sum(weights) for weight in weights]
    reference = stats.chisquare(counts, expected, sum_check=False)
    assert isinstance(found, SampleRatio)
    assert found.p_value == pytest.approx(reference.pvalue, rel=1e-9, abs=1e-300)
    assert list(found.expected.values()) == pytest.approx(expected)


def test_an_arm_of_weight_zero_takes_no_part_and_its_users_are_a_leak():
    found = sample_ratio([Allocation({"a": 1000, "b": 1200, "old": 900}, {"a": 0.5, "b": 0.5, "old": 0.0})])
    assert isinstance(found, SampleRatio)
    assert found.p_value == pytest.approx(stats.chisquare([1000, 1200]).pvalue, rel=1e-12)
    assert (found.leaked, found.reason) == ({"old": 900}, Reason.LEAK)
    assert found.counts["old"] == 900
    assert "old" not in found.expected


def test_opposite_imbalances_of_two_versions_do_not_cancel():
    equal = {"a": 1.0, "b": 1.0}
    found = sample_ratio(
        [Allocation({"a": 5300, "b": 4700}, equal), Allocation({"a": 4700, "b": 5300}, equal)]
    )
    assert isinstance(found, SampleRatio)
    assert found.expected == {"a": 10000.0, "b": 10000.0}
    assert found.degrees_of_freedom == 2
    assert found.p_value < 1e-12


def test_a_changed_allocation_is_expected_version_by_version():
    found = sample_ratio(
        [
            Allocation({"a": 500, "b": 500}, {"a": 0.5, "b": 0.5}),
            Allocation({"a": 200, "b": 800}, {"a": 1, "b": 4}),
        ]
    )
    assert isinstance(found, SampleRatio)
    assert found.expected == {"a": 700.0, "b": 1300.0}
    assert (found.chi2, found.p_value) == (0.0, 1.0)


def test_an_arm_without_any_user_counts_as_zero():
    found = sample_ratio([Allocation({"a": 100}, {"a": 1, "b": 1})])
    assert isinstance(found, SampleRatio)
    assert found.chi2 == pytest.approx(100.0)


def test_what_cannot_be_judged_says_why():
    assert sample_ratio([Allocation({}, {"a": 1, "b": 1})]) == Undetermined(Reason.NO_UNITS)
    assert sample_ratio([Allocation({"a": 9}, {"a": 1})]) == Undetermined(Reason.NO_ALLOCATION)
    assert sample_ratio([Allocation({"a": 9, "b": 2}, {"a": 1})]) == Undetermined(Reason.LEAK)
    assert Allocation({"a": 9, "b": 2}, {"a": 1}).leaked == {"b": 2}


def test_leaked_users_are_those_of_all_variants_and_versions():
    without_b = Allocation({"a": 9, "b": 2, "c": 1}, {"a": 1, "b": 0})
    assert leaked_users([]) == 0
    assert leaked_users([without_b, Allocation({"a": 5, "b": 5}, {"a": 1, "b": 1}), without_b]) == 6


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_bad_counts_and_weights_are_refused_by_name(weight):
    with pytest.raises(ValueError, match="weight of 'b'"):
        Allocation({"a": 1}, {"a": 1.0, "b": weight})
    with pytest.raises(ValueError, match="count of 'a' is -1"):
        Allocation({"a": -1}, {"a": 1.0})


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=3)
)
def test_evidence_of_versions_multiplies(versions):
    weights = {"a": 0.5, "b": 0.3, "c": 0.2}
    allocations = [Allocation(dict(zip("abc", counts, strict=True)), weights) for counts in versions]
    single = [sample_ratio([allocation]) for allocation in allocations]
    together = sample_ratio(allocations)
    total = sum(found.log_e_value for found in single if isinstance(found, SampleRatio))
    if isinstance(together, SampleRatio):
        assert together.log_e_value == pytest.approx(total, abs=1e-9)


def test_the_sequential_evidence_is_the_chance_of_the_next_user_multiplied_up():
    """The e-value is a product of predictions over users in any order (Lindon and Malek 2020, eq. 3)."""
    order = "aababbbaab" * 3
    shares, concentration = {"a": 0.6, "b": 0.4}, 50.0
    seen = {"a": 0, "b": 0}
    log_e = 0.0
    for variant in order:
        predicted = (concentration * shares[variant] + seen[variant]) / (concentration + sum(seen.values()))
        log_e += math.log(predicted / shares[variant])
        seen[variant] += 1
    found = sample_ratio([Allocation(seen, shares)], concentration=concentration)
    assert isinstance(found, SampleRatio)
    assert found.log_e_value == pytest.approx(log_e, rel=1e-9)
    assert found.sequential_p_value == pytest.approx(min(1.0, math.exp(-log_e)))


def test_huge_imbalances_do_not_overflow():
    found = sample_ratio([Allocation({"a": 10**9, "b": 10**6}, {"a": 1, "b": 1})])
    assert isinstance(found, SampleRatio)
    assert found.log_e_value > 1e8
    assert found.sequential_p_value == 0.0


def test_equal_shares_of_crossed_users_are_judged_version_by_version():
    """10 of 100 and 40 of 400, then 1 of 100 and 1 of 100: equal in each, though not in the sum."""
    p = crossed_balance([{"a": 10, "b": 40}, {"a": 1, "b": 1}], [{"a": 100, "b": 400}, {"a": 100, "b": 100}])
    assert p == 1.0
    assert crossed_balance([{"a": 10, "b": 40}], [{"a": 100, "b": 100}]) < 1e-5


def test_without_crossed_users_there_is_nothing_to_judge():
    assert crossed_balance([{}], [{"a": 100, "b": 90}]) == Undetermined(Reason.NO_UNITS)
    assert crossed_balance([], []) == Undetermined(Reason.NO_UNITS)
    with pytest.raises(ValueError, match="at most all"):
        crossed_balance([{"a": 5}], [{"a": 4, "b": 4}])
