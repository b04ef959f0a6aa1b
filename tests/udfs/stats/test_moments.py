import random
import statistics
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.udfs.stats.samples import moments_of, users
from udfs.stats import SUM_NAMES, ImpossibleSumsError, Moments


@given(st.lists(users, max_size=12), st.lists(users, max_size=12), st.randoms(use_true_random=False))
def test_any_order_and_split_of_the_users_gives_the_same_sums(left, right, shuffler: random.Random):
    everyone = left + right
    shuffled = shuffler.sample(everyone, len(everyone))
    assert (
        moments_of(left) + moments_of(right) == moments_of(shuffled) == moments_of(right) + moments_of(left)
    )


@given(st.lists(users, max_size=8), st.lists(users, max_size=8))
def test_what_was_added_can_be_taken_out_again(stays, leaves):
    assert moments_of(stays + leaves) - moments_of(leaves) == moments_of(stays)


@given(st.lists(users, max_size=8))
def test_nothing_added_changes_nothing(people):
    assert moments_of(people) + Moments() == Moments() + moments_of(people) == moments_of(people)
    assert Moments.total([moments_of([user]) for user in people]) == moments_of(people)


@given(st.lists(users, min_size=2, max_size=12))
def test_means_and_covariances_are_the_exact_ones_rounded_once(people):
    moments = moments_of(people)
    y = [Fraction(user[0], 10**6) for user in people]
    x = [Fraction(user[2], 10**6) for user in people]
    mean_y, mean_x = sum(y) / len(y), sum(x) / len(x)
    covariance = sum((a - mean_y) * (b - mean_x) for a, b in zip(y, x, strict=True)) / (len(y) - 1)
    assert moments.mean("y") == float(mean_y)
    assert moments.covariance("y", "x") == moments.covariance("x", "y") == float(covariance)
    assert moments.variance("y") == float(statistics.variance(y)) >= 0.0


@given(st.lists(users, min_size=2, max_size=12), st.integers(-(10**15), 10**15))
def test_shifting_every_outcome_leaves_its_variance_as_it_was_to_the_bit(people, shift):
    shifted = [(y + shift, d, x, e) for y, d, x, e in people]
    assert moments_of(shifted).variance("y") == moments_of(people).variance("y")
    assert moments_of(shifted).covariance("y", "x") == moments_of(people).covariance("y", "x")


def test_values_are_rounded_to_micro_units_half_to_even():
    moments = Moments.from_units([0.0000005, 0.0000015, 2.5])
    assert moments.sum_of("y") == 0 + 2 + 2_500_000


def test_sums_can_be_given_by_name_or_in_order():
    by_name = Moments.from_sums(2, {"y": 3, "yy": 5})
    assert by_name == Moments.from_sums(2, [3, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    assert len(SUM_NAMES) == 14


@pytest.mark.parametrize(
    ("n", "sums", "told"),
    [
        (0, {"y": 1}, "n is 0"),
        (2, {"y": 10, "yy": 1}, "sum_yy = 1"),
        (1, {"y": 2, "yy": 5}, "one user's product"),
        (3, {"yy": 4, "xx": 4, "yx": 5}, "exceeds its variances"),
        (3, {"dd": -1}, "sum_dd = -1"),
    ],
)
def test_sums_that_no_sample_has_are_refused_by_name(n, sums, told):
    with pytest.raises(ImpossibleSumsError, match=told):
        Moments.from_sums(n, sums)
    assert Moments.from_sums(n, sums, check=False).n == n


@pytest.mark.parametrize(
    ("n", "sums", "told"),
    [
        (-1, {}, "n is -1"),
        (1, {"yz": 1}, "'yz' is not the name of a sum"),
        (1, [1, 2], "2 sums given"),
        (2, {"y": 1.5}, "y is 1.5"),
    ],
)
def test_malformed_input_is_refused_with_the_value_and_the_rule(n, sums, told):
    with pytest.raises(ValueError, match=told):
        Moments.from_sums(n, sums)


def test_taking_out_more_users_than_there_are_is_refused():
    with pytest.raises(ValueError, match="n is -1"):
        Moments.from_units([1.0]) - Moments.from_units([1.0, 2.0])


def test_a_negative_variance_is_an_error_and_never_a_number():
    with pytest.raises(ImpossibleSumsError, match="too small"):
        Moments.from_sums(2, {"y": 10, "yy": 1}, check=False).variance("y")


@pytest.mark.parametrize("centre", [0, 10**9, 1_800_000_000_000], ids=["around 0", "around 1e9", "epoch ms"])
def test_sixty_four_shuffled_partitions_with_retracted_duplicates_give_the_same_bits(centre):
    chance = random.Random(7)
    people = [
        (centre * 10**6 + chance.randrange(10**6), 10**6, chance.randrange(10**6), 10**6) for _ in range(2000)
    ]
    people.append((centre * 10**6 + 10**13, 10**6, 0, 0))
    duplicates = chance.sample(people, 100)
    records = [(user, 1) for user in people + duplicates] + [(user, -1) for user in duplicates]
    chance.shuffle(records)
    parts = [records[number::64] for number in range(64)]
    added = [Moments.total(moments_of([user]) for user, sign in part if sign > 0) for part in parts]
    taken = [Moments.total(moments_of([user]) for user, sign in part if sign < 0) for part in parts]
    chance.shuffle(added)
    merged = Moments.total(added) - Moments.total(taken)
    assert merged == moments_of(people)
    assert merged.variance("y") == moments_of(
        [(y - centre * 10**6, d, x, e) for y, d, x, e in people]
    ).variance("y")
