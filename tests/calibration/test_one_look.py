"""Tests of one look: false alarms, uniform p, and the coverage of each interval."""

import numpy as np
import pytest
from scipy import stats

from tests.calibration.experiments import Arm, answers, arm_at_looks, bernoulli, exponential, normal, revenue
from udfs.stats import benjamini_hochberg, holm
from udfs.stats.central import CentralMoments, pairs_of
from udfs.stats.compare import compare_pairs
from udfs.stats.contrast import Contrasts
from udfs.stats.guardrail import shortfall
from udfs.stats.planning import sequential_users_needed
from udfs.stats.questions import Questions
from udfs.stats.relative import delta_standard_error
from udfs.stats.sequential import mixture_precision

pytestmark = pytest.mark.calibration

SIMULATIONS = 20_000


def false_alarms_are_right(p) -> bool:
    return 0.044 <= np.mean(p < 0.05) <= 0.056


def p_is_uniform(p) -> bool:
    return stats.kstest(p.ravel(), "uniform").statistic < 0.015


def central(arm):
    """Central moments of simulated users, arm of shape (4, simulations, users): y, d, x, e."""
    n = arm.shape[2]
    means = arm.mean(axis=2)
    centred = arm - means[:, :, None]
    rows = [
        np.einsum("su,su->s", centred[a], centred[b]) / (n - 1)
        for a, b in zip(*np.triu_indices(4), strict=True)
    ]
    return CentralMoments(np.full(arm.shape[1], float(n)), means, np.stack(rows))


def sessions(rng, simulations, users):
    """Users with a taste, visits before and after, and an outcome per visit: y, d, x, e."""
    shape = (simulations, users)
    taste = rng.gamma(4.0, 0.25, shape)
    d, e = 1.0 + rng.poisson(3.0, shape), 1.0 + rng.poisson(3.0, shape)
    y, x = rng.gamma(4.0 * d, 0.25) * taste, rng.gamma(4.0 * e, 0.25) * taste
    return np.stack([y, d, x, e])


def two_columns(kind, covariate, rng):
    size = (250, 350) if kind == "ratio" else (50, 80)
    p, cuped = [], []
    for _ in range(20):
        arms = [central(sessions(rng, SIMULATIONS // 20, users)) for users in size]
        columns = compare_pairs(pairs_of(*arms, kind), Questions(has_covariate=covariate)).columns()
        p.append(columns["p_value"])
        cuped.append(columns["cuped_p_value"])
    return np.concatenate(p), np.concatenate(cuped)


def test_false_alarms_of_a_mean_are_five_in_a_hundred_and_p_is_uniform(measured):
    rng = np.random.default_rng(1)
    looks = (np.array([50]), np.array([80]))
    control, treatment = (arm_at_looks(rng, exponential, SIMULATIONS, each) for each in looks)
    p = answers(control, treatment)["p_value"]
    measured("false alarms at one look, mean", np.mean(p < 0.05))
    assert false_alarms_are_right(p)
    assert p_is_uniform(p)
    twice = [Arm(arm.n * 2, arm.mean, arm.variance) for arm in (control, treatment)]
    wrong = answers(*twice)["p_value"]
    assert not false_alarms_are_right(wrong), "counting each user twice must be noticed"
    assert not p_is_uniform(wrong)


def test_false_alarms_of_a_proportion_are_five_in_a_hundred(measured):
    rng = np.random.default_rng(2)
    control, treatment = (arm_at_looks(rng, bernoulli(0.3), SIMULATIONS, np.array([n])) for n in (150, 240))
    p = answers(control, treatment, proportion=True)["p_value"]
    measured("false alarms at one look, proportion", np.mean(p < 0.05))
    assert false_alarms_are_right(p)
    share = (control.mean + treatment.mean) / 2
    one_arm_only = np.abs(treatment.mean - control.mean) / np.sqrt(share * (1 - share) / 240)
    assert not false_alarms_are_right(2 * stats.norm.sf(one_arm_only)), (
        "a control without noise must be noticed"
    )


def test_false_alarms_of_a_ratio_and_of_its_adjusted_form_are_five_in_a_hundred(measured):
    rng = np.random.default_rng(3)
    p, cuped = two_columns("ratio", True, rng)
    measured("false alarms at one look, ratio", np.mean(p < 0.05))
    measured("false alarms at one look, adjusted ratio", np.mean(cuped < 0.05))
    for each in (p, cuped):
        assert false_alarms_are_right(each)
        assert p_is_uniform(each)


def test_taking_each_visit_for_a_user_is_noticed():
    """The variance per visit ignores that visits of one user are alike."""
    rng = np.random.default_rng(4)
    arms = [sessions(rng, 4000, users) for users in (250, 350)]
    rate = [arm[0].sum(axis=1) / arm[1].sum(axis=1) for arm in arms]
    visits = [arm[1].sum(axis=1) for arm in arms]
    # y is a sum of d visits of variance 1/4·taste^2 + what taste adds; per visit: E[y^2/d] - rate^2 at most.
    per_visit = [0.25 * (1 + 0.25) for _ in arms]
    se = np.sqrt(per_visit[0] / visits[0] + per_visit[1] / visits[1])
    assert not false_alarms_are_right(2 * stats.norm.sf(np.abs(rate[1] - rate[0]) / se))
    linear = compare_pairs(pairs_of(*map(central, arms), "ratio")).columns()
    covered = (linear["abs_ci_lower"] <= 0) & (linear["abs_ci_upper"] >= 0)
    assert 0.939 <= covered.mean() <= 0.961


def test_false_alarms_of_an_adjusted_mean_are_five_in_a_hundred(measured):
    p, cuped = two_columns("mean", True, np.random.default_rng(5))
    measured("false alarms at one look, adjusted mean", np.mean(cuped < 0.05))
    for each in (p, cuped):
        assert false_alarms_are_right(each)
        assert p_is_uniform(each)


def wishart_arm(rng, simulations, n, rho, effect=0.0, moved=0.0):
    """Sample moments of n users with normal outcome and covariate of correlation rho, drawn directly.

    (n - 1) times the sample covariance is Wishart, drawn by Bartlett's decomposition.
    """
    a = np.sqrt(rng.chisquare(n - 1, simulations))
    b = np.sqrt(rng.chisquare(n - 2, simulations))
    c = rng.standard_normal(simulations)
    x_spread, y_on_x, y_rest = a, rho * a + np.sqrt(1 - rho**2) * c, np.sqrt(1 - rho**2) * b
    x_mean = rng.standard_normal(simulations) / np.sqrt(n)
    y_mean = rho * x_mean + np.sqrt((1 - rho**2) / n) * rng.standard_normal(simulations)
    return Arm(
        np.full(simulations, float(n)),
        y_mean + 10.0 + effect,
        (y_on_x**2 + y_rest**2) / (n - 1),
        x_mean + moved,
        x_spread**2 / (n - 1),
        x_spread * y_on_x / (n - 1),
    )


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8, 0.95])
def test_cuped_takes_away_what_the_correlation_promises_and_still_covers(rho, measured):
    rng = np.random.default_rng([6, round(100 * rho)])

    def coverage(moved):
        control = wishart_arm(rng, 10_000, 5000, rho)
        treatment = wishart_arm(rng, 10_000, 5000, rho, effect=0.1, moved=moved)
        found = answers(control, treatment, has_covariate=True)
        covered = (found["cuped_ci_lower"] <= 0.1) & (found["cuped_ci_upper"] >= 0.1)
        return covered.mean(), found

    share, found = coverage(0.0)
    measured(f"coverage of the adjusted interval, correlation {rho}", share)
    measured(f"variance taken away, correlation {rho}", np.mean(found["variance_reduction"]))
    assert 0.941 <= share <= 0.959
    assert np.mean(found["variance_reduction"]) == pytest.approx(rho**2, abs=0.005)
    bias = np.mean(found["cuped_abs_diff"]) - 0.1
    spread = np.std(found["cuped_abs_diff"])
    assert abs(bias) < 4 * spread / 100
    assert spread**2 / np.var(found["abs_diff"]) == pytest.approx(1 - rho**2, rel=0.15)
    if rho > 0:
        moved, _ = coverage(0.1)
        assert not 0.941 <= moved <= 0.959, "a covariate that the treatment moves must be noticed"


FIELLER = {
    "few conversions": (bernoulli(0.05), bernoulli(0.05), 200, 0.0),
    "conversions, lift of half": (bernoulli(0.05), bernoulli(0.075), 1000, 0.5),
    "revenue, lift of half": (revenue, lambda rng, shape: 1.5 * revenue(rng, shape), 500, 0.5),
}


@pytest.mark.parametrize("case", FIELLER)
def test_each_tail_of_fiellers_interval_misses_one_time_in_forty(case, measured):
    rng = np.random.default_rng(7)
    control_users, treatment_users, n, lift = FIELLER[case]
    control = arm_at_looks(rng, control_users, SIMULATIONS, np.array([n]))
    treatment = arm_at_looks(rng, treatment_users, SIMULATIONS, np.array([n]))
    found = answers(control, treatment)

    def tails_are_right(lower, upper):
        # A set without ends holds every lift: it misses on neither side.
        return all(0.017 <= share <= 0.034 for share in (np.mean(lower > lift), np.mean(upper < lift)))

    measured(f"Fieller misses below, {case}", np.mean(found["rel_ci_lower"] > lift))
    measured(f"Fieller misses above, {case}", np.mean(found["rel_ci_upper"] < lift))
    measured(f"Fieller without an interval, {case}", np.mean(np.isnan(found["rel_ci_upper"])))
    assert tails_are_right(found["rel_ci_lower"], found["rel_ci_upper"])
    contrasts = Contrasts.of_variances(
        treatment.mean - control.mean,
        (control.mean, control.variance, control.n),
        (treatment.mean, treatment.variance, treatment.n),
    )
    reach = 1.96 * delta_standard_error(contrasts)
    measured(f"the delta method misses below, {case}", np.mean(found["rel_diff"] - reach > lift))
    measured(f"the delta method misses above, {case}", np.mean(found["rel_diff"] + reach < lift))
    assert not tails_are_right(found["rel_diff"] - reach, found["rel_diff"] + reach), (
        "the delta method must fail"
    )


def test_holm_keeps_the_whole_family_of_twelve_at_five_in_a_hundred(measured):
    """Three treatments share a control; four metrics of a user are correlated."""
    rng = np.random.default_rng(8)
    factor = np.linalg.cholesky(0.5 * np.eye(4) + 0.5)

    def arm():
        means = rng.standard_normal((SIMULATIONS, 4)) @ factor.T / np.sqrt(1000)
        return Arm(np.full((SIMULATIONS, 4), 1000.0), means + 10, rng.chisquare(999, (SIMULATIONS, 4)) / 999)

    control = arm()
    log_p = np.concatenate([answers(control, arm())["log_p_value"] for _ in range(3)], axis=1)
    family = np.repeat(np.arange(SIMULATIONS), 12)
    adjusted = holm(log_p.ravel(), family).reshape(log_p.shape)

    def family_wise(found):
        return np.mean(found.min(axis=1) < np.log(0.05))

    measured("Holm: any false claim among twelve", family_wise(adjusted))
    measured("uncorrected: any false claim among twelve", family_wise(log_p))
    assert family_wise(adjusted) <= 0.056
    assert family_wise(adjusted) >= 0.02
    assert family_wise(log_p) > 0.3, "uncorrected p-values must fail"


def test_the_false_discovery_rate_is_kept_with_three_true_effects_of_twelve():
    rng = np.random.default_rng(9)
    simulations = 5000
    z = rng.standard_normal((simulations, 12)) + np.where(np.arange(12) < 3, 3.0, 0.0)
    log_p = np.log(2 * stats.norm.sf(np.abs(z)))
    family = np.repeat(np.arange(simulations), 12)

    def discovery_rate(found):
        rejected = found < np.log(0.05)
        return np.mean(rejected[:, 3:].sum(axis=1) / np.maximum(rejected.sum(axis=1), 1))

    assert (
        discovery_rate(benjamini_hochberg(log_p.ravel(), family).reshape(log_p.shape)) <= 0.05 * 9 / 12 + 0.01
    )
    assert discovery_rate(log_p) > 0.05 * 9 / 12 + 0.01, "uncorrected p-values must fail"


def test_non_inferiority_is_claimed_wrongly_five_times_in_a_hundred_at_the_margin():
    rng = np.random.default_rng(10)
    margin, n, simulations = 0.1, 300, 40_000
    control = arm_at_looks(rng, normal, simulations, np.array([n]))
    treatment = arm_at_looks(rng, normal, simulations, np.array([n])).shift(-margin * 3.0)
    contrasts = Contrasts.of_variances(
        treatment.mean - control.mean,
        (control.mean, control.variance, control.n),
        (treatment.mean, treatment.variance, treatment.n),
    )
    distance, variance, df = shortfall(contrasts, 1.0, margin)
    size = np.mean(stats.t.sf(distance / np.sqrt(variance), df) < 0.05)
    assert size == pytest.approx(0.05, abs=0.0045)
    # The control's mean taken for a constant: its own noise then does not count in the margin.
    naive = np.mean(stats.t.sf(distance / np.sqrt(contrasts.treatment_variance), df) < 0.05)
    assert naive != pytest.approx(0.05, abs=0.0045)


def test_a_stated_chance_to_win_comes_true_as_often_as_it_says(measured):
    rng = np.random.default_rng(11)
    simulations = 200_000
    lift = rng.normal(0.0, 0.3, simulations)
    spread = rng.choice([0.05, 0.2, 0.6], simulations)
    n = 1000.0
    control = Arm(np.full(simulations, n), np.full(simulations, 10.0), np.full(simulations, 1e-9))
    observed = 10.0 * (1 + lift + spread * rng.standard_normal(simulations))
    treatment = Arm(np.full(simulations, n), observed, (10.0 * spread) ** 2 * n)

    def worst_bin(prior_sd):
        found = answers(control, treatment, prior_sd=prior_sd)
        known = np.isfinite(found["chance_to_win"])
        chance, won = found["chance_to_win"][known], lift[known] > 0
        bins = np.minimum((chance * 10).astype(int), 9)
        gaps = [abs(won[bins == b].mean() - chance[bins == b].mean()) for b in range(10)]
        loss = np.mean(np.maximum(-lift[known], 0)[chance > 0.5]) / np.mean(
            found["expected_loss"][known][chance > 0.5]
        )
        return max(gaps), loss

    gap, loss = worst_bin(0.3)
    measured("chance to win: largest gap between said and seen", gap)
    measured("the same with no prior to speak of", worst_bin(10.0)[0])
    assert gap < 0.015
    assert loss == pytest.approx(1.0, abs=0.03)
    assert worst_bin(10.0)[0] > 0.015, "no prior at all must fail"


def test_the_users_needed_are_foretold_from_the_first_thousand():
    """Median over simulations of the forecast against the formula with the true variance."""
    rng = np.random.default_rng(12)
    lift, planned = 0.1, 20_000.0
    control, treatment = (arm_at_looks(rng, exponential, 500, np.array([500])) for _ in range(2))
    precision = float(mixture_precision(0.05, planned))
    formula = float(sequential_users_needed(lift, 4.0, 1.0, precision, 0.05))

    def is_right(users):
        return abs(np.median(users) / formula - 1) < 0.1

    assert is_right(answers(control, treatment, planned=planned, target_lift=lift)["users_needed"])
    assert not is_right(answers(control, treatment, target_lift=lift)["users_needed"]), "one look needs fewer"
