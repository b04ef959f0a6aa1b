"""Any number of looks: how often any raises a false alarm, and how soon a true effect is seen."""

import numpy as np
import pytest

from tests.calibration.experiments import (
    Arm,
    answers,
    arm_at_looks,
    bernoulli,
    ever,
    exponential,
    normal,
    revenue,
    standard_error,
)
from udfs.stats import Questions, compare_pairs
from udfs.stats import sequential as seq
from udfs.stats.central import CentralMoments, pairs_of
from udfs.stats.contrast import Contrasts
from udfs.stats.pairs import Arms, Pairs
from udfs.stats.relative import delta_standard_error

pytestmark = pytest.mark.calibration

METRICS = {"normal": normal, "exponential": exponential, "converted": bernoulli(0.05), "revenue": revenue}
HUNDREDS = np.arange(100, 10_001, 100)
PLANNED = 10_000.0


def contrasts_of(control: Arm, treatment: Arm) -> Contrasts:
    return Contrasts.of_variances(
        treatment.mean - control.mean,
        (control.mean, control.variance, control.n),
        (treatment.mean, treatment.variance, treatment.n),
    )


def welch_sequence(control: Arm, treatment: Arm, planned: float):
    """The confidence sequence on Welch's variance alone, where it has one: alarms."""
    contrasts = contrasts_of(control, treatment)
    t = seq.information(control.n, treatment.n)
    found = seq.sequential(contrasts, t, seq.mixture_precision(0.05, planned), 0.05)
    return (found.ci_lower > 0) | (found.ci_upper < 0)


def delta_sequence(control: Arm, treatment: Arm, planned: float):
    """The same multiplier on the relative lift with its delta-method error: interval ends."""
    contrasts = contrasts_of(control, treatment)
    t = seq.information(control.n, treatment.n)
    with np.errstate(invalid="ignore", divide="ignore"):
        reach = seq.multiplier(t, seq.mixture_precision(0.05, planned), 0.05) * delta_standard_error(
            contrasts
        )
        lift = contrasts.difference / contrasts.control
    return lift - reach, lift + reach


@pytest.mark.parametrize("metric", METRICS)
def test_any_of_a_hundred_looks_raises_a_false_alarm_at_most_five_times_in_a_hundred(metric, scale, measured):
    rng = np.random.default_rng(20)
    simulations = 4000 * scale
    allowed = 0.05 + 4 * standard_error(0.05, simulations)
    control, treatment = (arm_at_looks(rng, METRICS[metric], simulations, HUNDREDS) for _ in range(2))
    found = answers(control, treatment, planned=PLANNED)
    rate = ever(found["seq_p_value"] < 0.05)
    measured(f"false alarms at any of 100 looks, {metric}", rate)
    assert 0.004 <= rate <= allowed
    excludes = (found["seq_ci_lower"] > 0) | (found["seq_ci_upper"] < 0)
    assert np.array_equal(excludes, found["seq_p_value"] < 0.05)
    lifted = (found["seq_rel_ci_lower"] > 0) | (found["seq_rel_ci_upper"] < 0)
    bounded = np.isfinite(found["seq_rel_ci_lower"])
    assert np.array_equal(lifted[bounded], excludes[bounded])
    peeking = ever(found["p_value"] < 0.05)
    measured(f"the same of Welch's p at every look, {metric}", peeking)
    assert peeking > 0.30, "the harness must really peek"
    if metric == "revenue":
        early = [
            arm_at_looks(rng, revenue, simulations, np.unique(np.geomspace(50, 5000, 150).astype(int)))
            for _ in "ab"
        ]
        lower, upper = delta_sequence(*early, PLANNED)
        wrong = ever((lower > 0) | (upper < 0))
        measured("the same of the relative scale with the delta method, revenue", wrong)
        assert wrong > allowed, "the sequence on the relative scale must fail"


@pytest.mark.parametrize("share", [0.1, 0.02])
@pytest.mark.parametrize("metric", [bernoulli(0.02), revenue], ids=["converted", "revenue"])
def test_a_small_arm_of_a_sparse_metric_raises_no_more_alarms(metric, share, scale, measured):
    rng = np.random.default_rng(21)
    simulations = 2000 * scale
    treated = np.unique(np.round(np.geomspace(5, 20_000 * share, 150)).astype(int))
    controls = np.round(treated * (1 - share) / share).astype(int)
    control = arm_at_looks(rng, metric, simulations, controls)
    treatment = arm_at_looks(rng, metric, simulations, treated)
    planned = 4 * 20_000 * share * (1 - share)
    found = answers(control, treatment, planned=planned)
    rate, wrong = ever(found["seq_p_value"] < 0.05), ever(welch_sequence(control, treatment, planned))
    case = f"{'revenue' if metric is revenue else 'converted'}, treatment share {share}"
    measured(f"false alarms from 5 treatment users, {case}", rate)
    measured(f"the same with Welch's variance alone, {case}", wrong)
    assert rate <= 0.07
    assert wrong > 0.07, "Welch's variance alone must fail"


@pytest.mark.parametrize("lift", [0.0, 0.2])
def test_the_relative_sequence_covers_the_lift_at_all_looks_together(lift, scale, measured):
    rng = np.random.default_rng(22)
    simulations = 2000 * scale
    looks = np.unique(np.round(np.geomspace(50, 10_000, 150)).astype(int))
    control = arm_at_looks(rng, bernoulli(0.05), simulations, looks)
    treatment = arm_at_looks(rng, bernoulli(0.05 * (1 + lift)), simulations, looks)
    found = answers(control, treatment, planned=PLANNED)
    # A set without ends holds every lift.
    missed = (found["seq_rel_ci_lower"] > lift) | (found["seq_rel_ci_upper"] < lift)
    measured(f"coverage at all looks of the relative sequence, lift {lift}", 1 - ever(missed))
    assert 1 - ever(missed) >= 0.93
    lower, upper = delta_sequence(control, treatment, PLANNED)
    wrong = 1 - ever((lower > lift) | (upper < lift))
    measured(f"the same by the delta method, lift {lift}", wrong)
    assert wrong < 0.93, "the delta method must fail"


def correlated_arm(rng, simulations, users, rho):
    """An arm with a covariate, seen after each of its users from the second on."""
    x = rng.standard_normal((simulations, users))
    y = rho * x + np.sqrt(1 - rho**2) * rng.standard_normal((simulations, users)) + 10.0
    n = np.arange(1.0, users + 1.0)

    def centred(a, b, mean_a, mean_b):
        return (np.cumsum(a * b, axis=1) - n * mean_a * mean_b) / np.maximum(n - 1.0, 1.0)

    mean_x, mean_y = np.cumsum(x, axis=1) / n, np.cumsum(y, axis=1) / n
    var_y, var_x = (
        np.maximum(centred(y, y, mean_y, mean_y), 0.0),
        np.maximum(centred(x, x, mean_x, mean_x), 0.0),
    )
    every = (n, mean_y, var_y, mean_x, var_x, centred(y, x, mean_y, mean_x))
    return Arm(*(each[..., 1:] for each in every))


@pytest.mark.parametrize("planned", [50.0, 1000.0])
@pytest.mark.parametrize("rho", [0.0, 0.95])
def test_looking_after_every_user_from_the_second_on_is_no_exception(rho, planned, scale, measured):
    """The slope of the covariate is then fitted to four users, and the plan is as small as the sample."""
    rng = np.random.default_rng(28)
    simulations = 500 * scale
    control, treatment = (correlated_arm(rng, simulations, 500, rho) for _ in range(2))
    found = answers(control, treatment, planned=planned, has_covariate=True)
    rate = ever(found["seq_p_value"] < 0.05)
    allowed = 0.05 + 4 * standard_error(0.05, simulations)
    measured(f"false alarms at any user from the second, correlation {rho}, planned {planned:.0f}", rate)
    assert rate <= allowed
    assert ever(found["cuped_p_value"] < 0.05) > allowed, "the adjusted p of one look must fail"


def test_a_guardrail_at_its_margin_stops_or_passes_wrongly_no_more_than_promised(scale, measured):
    """The truth lies exactly at the margin, so both "harm" and "non-inferior" are false claims."""
    rng = np.random.default_rng(29)
    simulations, margin = 2000 * scale, 0.1
    allowed = 0.05 + 4 * standard_error(0.05, simulations)
    looks = np.unique(np.round(np.geomspace(50, 10_000, 100)).astype(int))
    control = arm_at_looks(rng, exponential, simulations, looks)
    treatment = arm_at_looks(rng, exponential, simulations, looks)
    at_margin = Arm(treatment.n, treatment.mean * (1 - margin), treatment.variance * (1 - margin) ** 2)
    found = answers(control, at_margin, planned=PLANNED, margin=margin)
    for claim in ("harm_p_value", "noninferior_p_value"):
        rate = ever(found[claim] < 0.05)
        measured(f"{claim} below .05 at any look, the truth at the margin", rate)
        assert 0.004 <= rate <= allowed
    shifted = Arm(control.n, control.mean * (1 - margin), control.variance * (1 - margin) ** 2)
    one_sided = answers(shifted, at_margin)
    wrong = ever((one_sided["p_value"] < 0.1) & (one_sided["abs_diff"] < 0))
    assert wrong > allowed, "a one-sided p of one look must fail"


def test_simultaneous_intervals_of_twelve_questions_cover_all_of_them_at_all_looks(measured):
    rng = np.random.default_rng(32)
    simulations, looks = 400, np.unique(np.round(np.geomspace(100, 10_000, 40)).astype(int))
    control, treatment = (
        joined_end_to_end([arm_at_looks(rng, normal, simulations, looks) for _ in range(12)])
        for _ in range(2)
    )
    family = np.tile(np.arange(simulations * len(looks)), 12)
    card = compare_pairs(pairs_of(control, treatment, "mean"), Questions(planned=PLANNED, family=family))

    def any_misses(lower, upper):
        return np.mean(((lower > 0) | (upper < 0)).reshape(12, simulations, -1).any(axis=(0, 2)))

    together = any_misses(card.simultaneous_ci_lower, card.simultaneous_ci_upper)
    measured("any of twelve simultaneous sequences misses at any look", together)
    assert together <= 0.05
    alone = any_misses(card.seq_ci_lower, card.seq_ci_upper)
    assert alone > 0.05 + 4 * standard_error(0.05, simulations), "unadjusted ones must fail"


def joined_end_to_end(arms):
    """The moments of all arms, one arm after the other."""
    central = [arm.central() for arm in arms]
    return CentralMoments(
        np.concatenate([each.n for each in central]),
        np.concatenate([each.means for each in central], axis=1),
        np.concatenate([each.covariances for each in central], axis=1),
    )


def test_an_effect_of_a_tenth_of_a_standard_deviation_is_seen_in_time(measured):
    rng = np.random.default_rng(23)
    control = arm_at_looks(rng, normal, 1000, HUNDREDS)
    treatment = arm_at_looks(rng, normal, 1000, HUNDREDS).shift(0.1)

    def in_time(alarms):
        stops = HUNDREDS[np.argmax(alarms, axis=1)]
        return np.mean(alarms.any(axis=1)) > 0.99 and 1400 <= np.median(stops) <= 2100

    found = answers(control, treatment, planned=5000.0)
    alarms = found["seq_p_value"] < 0.05
    measured("power at an effect of .1 sd", np.mean(alarms.any(axis=1)))
    measured("median users per arm at the alarm", np.median(HUNDREDS[np.argmax(alarms, axis=1)]))
    assert in_time(alarms)
    z = np.abs(contrasts_of(control, treatment).difference) / np.sqrt(
        contrasts_of(control, treatment).variance
    )
    assert not in_time(z > 3.585), "a boundary that is a constant must be too late"


def events(rng, users, simulations, alike, days=60.0):
    """Every user is there from the start and buys at his pace: users, times and amounts, by simulation."""
    for _ in range(simulations):
        pace = np.full(users, 3.0) if alike else rng.gamma(2.0, 1.5, users)
        count = rng.poisson(pace)
        user = np.repeat(np.arange(users), count)
        times = rng.uniform(0.0, days, len(user))
        order = np.argsort(times)
        yield user[order], times[order], rng.gamma(2.0, 1.0, len(user))


def accruing_arm(rng, users, simulations, looks, alike):
    """An arm whose users are all exposed at time 0, their outcomes accrued until each of ``looks`` days."""
    sums, squares = (np.empty((simulations, len(looks))) for _ in range(2))
    for row, (user, times, amount) in enumerate(events(rng, users, simulations, alike)):
        by_user = np.argsort(user, kind="stable")
        total = np.cumsum(amount[by_user])
        first = np.concatenate(([0], np.flatnonzero(np.diff(user[by_user])) + 1))
        before_user = np.repeat(total[first] - amount[by_user][first], np.diff([*first, len(user)]))
        before = np.empty(len(user))
        before[by_user] = total - amount[by_user] - before_user
        seen = np.searchsorted(times, looks, side="right")
        sums[row] = np.concatenate(([0.0], np.cumsum(amount)))[seen]
        squares[row] = np.concatenate(([0.0], np.cumsum(amount * (amount + 2 * before))))[seen]
    mean = sums / users
    return Arm(
        np.full(len(looks), float(users)), mean, np.maximum(squares - users * mean**2, 0.0) / (users - 1)
    )


@pytest.mark.parametrize("alike", [True, False], ids=["of one pace", "of many paces"])
def test_users_who_keep_accruing_raise_somewhat_more_alarms(alike, scale, measured):
    """All are exposed at the start: the number of users stands still and only their outcomes move."""
    rng = np.random.default_rng(24)
    simulations, users = 400 * scale, 1000
    looks = np.linspace(0.03, 60.0, 2000)
    control, treatment = (accruing_arm(rng, users, simulations, looks, alike) for _ in range(2))
    found = answers(control, treatment, planned=2.0 * users)
    rate = ever(found["seq_p_value"] < 0.05)
    measured(
        f"false alarms at any of 2,000 looks, accruing users of {'one pace' if alike else 'many paces'}", rate
    )
    assert 0.004 <= rate <= 0.11 + 3 * standard_error(0.11, simulations)
    assert ever(found["p_value"] < 0.05) > 0.11 + 3 * standard_error(0.11, simulations), "Welch's p must fail"


def test_matured_users_raise_no_more_alarms_than_promised(scale, measured):
    """Users arrive over the 60 days; each counts when his window has closed, with his final total."""
    rng = np.random.default_rng(27)
    simulations = 400 * scale

    def matured(rng, shape):
        return rng.gamma(2.0 * rng.poisson(rng.gamma(2.0, 1.5, shape)) + 1e-12, 1.0)

    arrivals = np.arange(2, 2002)
    both = [arm_at_looks(rng, matured, simulations, arrivals) for _ in range(2)]
    found = answers(*both, planned=4000.0)
    rate = ever(found["seq_p_value"] < 0.05)
    allowed = 0.05 + 3 * standard_error(0.05, simulations)
    measured("false alarms at any of 2,000 looks, matured users", rate)
    assert rate <= allowed
    assert ever(found["p_value"] < 0.05) > allowed, "Welch's p must fail"


def two_versions(rng, simulations, looks):
    """First 50/50 with mean 1, then 20/80 with mean 2, no effect: arms of both versions at each look."""
    half = looks[-1] // 2
    first_looks, second_looks = looks[looks <= half], looks[looks > half] - half

    def arm(share, mean, at):
        n = np.maximum(np.round(at * share).astype(int), 2)
        arm = arm_at_looks(rng, exponential, simulations, n)
        return Arm(arm.n, arm.mean * mean, arm.variance * mean**2)

    first = [arm(0.5, 1.0, first_looks) for _ in range(2)]
    second = [arm(share, 2.0, second_looks) for share in (0.2, 0.8)]
    return first, second


def joined(arms):
    """Arms of the same shape as one long list of strata, interleaved."""
    return CentralMoments(
        np.stack([arm.central().n for arm in arms], axis=1).ravel(),
        np.stack([arm.central().means for arm in arms], axis=2).reshape(4, -1),
        np.stack([arm.central().covariances for arm in arms], axis=2).reshape(10, -1),
    )


def test_versions_with_other_allocations_combine_without_a_false_effect(measured):
    rng = np.random.default_rng(25)
    simulations = 1000
    looks = np.arange(100, 8001, 100)
    first, second = two_versions(rng, simulations, looks)
    ended = [
        Arm(
            np.full(second[0].mean.shape, arm.n[-1]),
            *(np.repeat(each[:, -1:], 40, 1) for each in (arm.mean, arm.variance)),
        )
        for arm in first
    ]
    pairs = pairs_of(*(joined([old, new]) for old, new in zip(ended, second, strict=True)), "mean")
    counts = np.full(pairs.difference.size // 2, 2)
    found = compare_pairs(pairs, Questions(planned=8000.0), counts=counts)
    shape = second[0].mean.shape
    p = found.p_value.reshape(shape)[:, -1]
    assert (
        0.05 - 4 * standard_error(0.05, simulations)
        <= np.mean(p < 0.05)
        <= 0.05 + 4 * standard_error(0.05, simulations)
    )
    one_version = answers(*first, planned=8000.0)["seq_p_value"] < 0.05
    alarms = np.concatenate([one_version, found.seq_p_value.reshape(shape) < 0.05], axis=1)
    measured("false alarms at any look over two config versions", ever(alarms))
    assert ever(alarms) <= 0.05 + 4 * standard_error(0.05, simulations)

    summed = [old.central().merged(new.central()) for old, new in zip(ended, second, strict=True)]
    naive = compare_pairs(pairs_of(*summed, "mean")).p_value.reshape(shape)[:, -1]
    assert np.mean(naive < 0.05) > 0.9, "the sum over versions must show an effect that is not there"


def test_the_checks_above_use_the_same_reduction_as_the_product():
    rng = np.random.default_rng(26)
    control, treatment = (arm_at_looks(rng, normal, 3, np.array([50, 90])) for _ in range(2))
    pairs = pairs_of(control.central(), treatment.central(), "mean")
    assert isinstance(pairs, Pairs)
    assert isinstance(pairs.pooled, Arms)
    assert pairs.pooled.n.tolist() == [100.0, 180.0] * 3
