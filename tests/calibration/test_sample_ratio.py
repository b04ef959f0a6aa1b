"""The sequential sample ratio test: its false alarms, and how soon a skewed allocation is found."""

import numpy as np
import pytest
from scipy import special

from tests.calibration.experiments import ever, standard_error
from udfs.stats.sample_ratio import multinomial_log_e

pytestmark = pytest.mark.calibration

LOOKS = np.unique(np.round(np.geomspace(50, 200_000, 300)).astype(int))
ALPHAS = (0.05, 0.01, 0.001)


def arrivals(rng, shares, simulations):
    """Users by arm at each look, shape (simulations, looks, arms)."""
    steps = np.diff(LOOKS, prepend=0)
    return np.cumsum(rng.multinomial(np.tile(steps, (simulations, 1)), shares), axis=1)


def chi_square_p(counts, shares):
    expected = counts.sum(axis=2, keepdims=True) * np.asarray(shares)
    return special.chdtrc(len(shares) - 1, ((counts - expected) ** 2 / expected).sum(axis=2))


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1), (0.34, 0.33, 0.33)], ids=str)
def test_three_hundred_looks_at_a_sound_allocation_raise_no_more_alarms_than_promised(
    shares, scale, measured
):
    rng = np.random.default_rng(30)
    simulations = 5000 * scale
    counts = arrivals(rng, shares, simulations)
    log_e = multinomial_log_e(counts, shares)
    p = chi_square_p(counts, shares)
    for alpha in ALPHAS:
        allowed = alpha + 4 * standard_error(alpha, simulations)
        rate = ever(-log_e < np.log(alpha))
        measured(f"sample ratio alarms at {alpha}, {shares}", rate)
        measured(f"the same of chi-square at every look, {shares}", ever(p < alpha))
        assert rate <= allowed
        assert ever(p < alpha) > allowed, "chi-square at every look must fail"


def test_a_skew_of_two_in_a_hundred_is_found_around_ten_thousand_users(measured):
    rng = np.random.default_rng(31)
    counts = arrivals(rng, (0.52, 0.48), 500)

    def in_time(log_e):
        alarm = -log_e < np.log(0.001)
        return (
            alarm.any(axis=1).mean() > 0.99 and 8500 <= np.median(LOOKS[np.argmax(alarm, axis=1)]) <= 13_000
        )

    log_e = multinomial_log_e(counts, (0.5, 0.5))
    measured("median users at the alarm, 52/48", np.median(LOOKS[np.argmax(-log_e < np.log(0.001), axis=1)]))
    assert in_time(log_e)
    assert not in_time(multinomial_log_e(counts, (0.5, 0.5), 1.0)), (
        "a prior that expects anything must be too late"
    )
