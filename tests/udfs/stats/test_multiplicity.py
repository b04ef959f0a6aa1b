import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from udfs.stats import benjamini_hochberg, benjamini_yekutieli, bonferroni, e_benjamini_hochberg, holm
from udfs.stats.multiplicity import family_sizes

p_values = st.lists(
    st.one_of(st.floats(1e-12, 1.0), st.sampled_from([0.01, 0.05, 1.0])), min_size=1, max_size=12
)


@given(p_values)
def test_holm_steps_down_from_the_smallest(p):
    order = sorted(range(len(p)), key=p.__getitem__)
    expected, worst = [0.0] * len(p), 0.0
    for step, question in enumerate(order):
        worst = max(worst, min(1.0, (len(p) - step) * p[question]))
        expected[question] = worst
    assert np.exp(holm(np.log(p))) == pytest.approx(expected, rel=1e-9)


@given(p_values, st.sampled_from([0.01, 0.05, 0.2]))
def test_benjamini_hochberg_rejects_up_to_the_last_p_under_the_line(p, rate):
    under = [k for k in range(1, len(p) + 1) if sorted(p)[k - 1] <= rate * k / len(p)]
    limit = sorted(p)[max(under) - 1] if under else 0.0
    adjusted = benjamini_hochberg(np.log(p))
    assume(np.all(np.abs(adjusted - np.log(rate)) > 1e-9))
    assert (adjusted <= np.log(rate)).tolist() == [bool(under) and each <= limit for each in p]


@given(p_values)
def test_any_dependence_costs_the_harmonic_sum(p):
    factor = sum(1 / k for k in range(1, len(p) + 1))
    independent = np.exp(benjamini_hochberg(np.log(p)))
    dependent = np.exp(benjamini_yekutieli(np.log(p)))
    below = dependent < 1.0
    assert dependent[below] == pytest.approx(independent[below] * factor, rel=1e-9)


@pytest.mark.parametrize("method", [holm, bonferroni, benjamini_hochberg, benjamini_yekutieli])
@given(families=st.lists(p_values, min_size=1, max_size=5), data=st.data())
def test_families_mixed_in_one_call_are_each_as_if_alone(method, families, data):
    labels = [label for label, family in enumerate(families) for _ in family]
    order = data.draw(st.permutations(range(len(labels))))
    p = np.log(np.concatenate([np.asarray(family) for family in families]))
    together = method(p[order], np.array(labels)[order])
    alone = np.concatenate([method(np.log(family)) for family in families])
    assert together == pytest.approx(alone[order], rel=1e-12)


def test_a_question_without_an_answer_counts_as_one_and_stays_absent():
    adjusted = np.exp(holm(np.log([0.01, np.nan, 0.04])))
    assert adjusted[[0, 2]] == pytest.approx([0.03, 0.08])
    assert np.isnan(adjusted[1])


def test_p_far_below_what_a_double_holds_keep_their_rank():
    assert holm(np.array([-2000.0, -1000.0])) == pytest.approx([-2000.0 + np.log(2), -1000.0])


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=10), st.sampled_from([0.01, 0.05, 0.2]))
def test_e_bh_rejects_the_largest_k_with_e_at_least_m_over_alpha_k(e_values, alpha):
    m = len(e_values)
    ordered = sorted(e_values, reverse=True)
    k = max((k for k in range(1, m + 1) if ordered[k - 1] >= m / (alpha * k)), default=0)
    rejected = e_benjamini_hochberg(np.log(e_values)) <= np.log(alpha) + 1e-12
    assert rejected.sum() == sum(e >= ordered[k - 1] for e in e_values) if k else rejected.sum() == 0


@given(p_values)
def test_holm_never_asks_for_more_than_bonferroni(p):
    assert np.all(holm(np.log(p)) <= bonferroni(np.log(p)) + 1e-12)


def test_family_sizes_count_each_label_and_none_is_alone():
    assert family_sizes(np.array([7, -1, 7, 3, -1])).tolist() == [2.0, 1.0, 2.0, 1.0, 1.0]


def test_bad_input_is_refused_and_no_input_gives_none():
    with pytest.raises(ValueError, match="cannot be above 0"):
        holm([0.1])
    assert holm([]).shape == (0,)
