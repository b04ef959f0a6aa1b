"""How often an experiment is stopped wrongly, and how soon rightly, by the same functions as in the job.

Whole experiments: three guardrails that stop, two treatments that share one control, a hundred looks. What
comes between two looks is drawn as sums, so that two thousand experiments take seconds.
"""

import numpy as np
import pytest

from tests.calibration.experiments import Arm, answers, ever, standard_error
from udfs.stats.decisions import is_harm, stop_level
from udfs.stats.tails import critical_value

pytestmark = pytest.mark.calibration

STOP_ALPHA, GUARDRAILS, TREATMENTS = 0.05, 3, 2
LEVEL = stop_level(STOP_ALPHA, GUARDRAILS, TREATMENTS)
LOOKS, USERS_A_LOOK = 100, 100
PLANNED_UNITS = 3 * LOOKS * USERS_A_LOOK
PLANNED = PLANNED_UNITS * 2 / 3


def arm(n, sums, squares):
    """From what came between looks to what is there at each."""
    total, squared = np.cumsum(sums, axis=1), np.cumsum(squares, axis=1)
    mean = total / n
    return Arm(n, mean, np.maximum(squared - n * mean**2, 0.0) / (n - 1.0))


def latency(rng, simulations, looks, lift):
    """Normal with mean 3 and standard deviation 1, times 1 + lift."""
    k = USERS_A_LOOK
    mean = 3.0 + rng.standard_normal((simulations, looks)) / np.sqrt(k)
    squares = rng.chisquare(k - 1, (simulations, looks)) + k * mean**2
    return arm(k * np.arange(1.0, looks + 1), (1 + lift) * k * mean, (1 + lift) ** 2 * squares)


def crashed(rng, simulations, looks, lift):
    """One user in twenty."""
    found = rng.binomial(USERS_A_LOOK, 0.05 * (1 + lift), (simulations, looks)).astype(float)
    return arm(USERS_A_LOOK * np.arange(1.0, looks + 1), found, found)


def refunds(rng, simulations, looks, lift):
    """Most have none, some one, few ten."""
    counts = rng.multinomial(USERS_A_LOOK, [0.89, 0.1, 0.01], (simulations, looks)).astype(float)
    once, often = counts[..., 1], counts[..., 2]
    sums, squares = (1 + lift) * (once + 10 * often), (1 + lift) ** 2 * (once + 100 * often)
    return arm(USERS_A_LOOK * np.arange(1.0, looks + 1), sums, squares)


METRICS = {latency: "mean", crashed: "proportion", refunds: "mean"}


def looked_at(rng, simulations, lift, margin, looks=LOOKS):
    """Columns of shape (simulations, guardrails × treatments, looks)."""
    found = []
    for metric in METRICS:
        control = metric(rng, simulations, looks, 0.0)
        for _ in range(TREATMENTS):
            treatment = metric(rng, simulations, looks, lift)
            asked = {"planned": PLANNED, "good": -1.0, "margin": margin, "stop_level": LEVEL}
            found.append(answers(control, treatment, METRICS[metric], **asked))
    return {name: np.stack([each[name] for each in found], axis=1) for name in found[0]}


def any_stop(alarms):
    """Share of experiments that any guardrail of any treatment stopped at any look."""
    return ever(alarms.reshape(len(alarms), -1))


def confirmed(log_e):
    """As the job counts it: the weaker of two looks."""
    return np.minimum(log_e[..., 1:], log_e[..., :-1])


@pytest.mark.parametrize("margin", [0.1, 0.0])
def test_no_more_experiments_are_stopped_wrongly_than_promised(margin, scale, measured):
    """The truth lies exactly at the margin of all six, which is where wrong stops are most frequent."""
    rng = np.random.default_rng(40)
    simulations = 2000 * scale
    allowed = STOP_ALPHA + 3 * standard_error(STOP_ALPHA, simulations)
    found = looked_at(rng, simulations, lift=margin, margin=margin)
    log_p = -found["harm_log_e"]
    rate = any_stop(is_harm(log_p, LEVEL))
    measured(f"any false stop of 6 at any of 100 looks, margin {margin}", rate)
    measured(
        f"the same, counting what two looks show, margin {margin}",
        any_stop(is_harm(-confirmed(-log_p), LEVEL)),
    )
    assert 0.001 <= rate <= allowed
    assert np.array_equal(found["harm_p_value"] < LEVEL, is_harm(log_p, LEVEL))
    alone = any_stop(is_harm(log_p, STOP_ALPHA))
    measured(f"the same if each guardrail had all of stop_alpha, margin {margin}", alone)
    assert alone > allowed, "guardrails that do not share the error rate must fail"
    if margin == 0.0:
        peeking = any_stop((found["p_value"] < 2 * LEVEL) & (found["abs_diff"] > 0))
        measured("the same of a one-sided p of one look at every look, margin 0", peeking)
        assert peeking > allowed, "a p of one look must fail"


def test_harm_is_stopped_about_as_soon_as_a_test_that_must_not_be_looked_at(scale, measured):
    """A lift that a fixed-horizon test of the same level, planned for it, finds in four of five cases."""
    rng = np.random.default_rng(41)
    simulations, margin, horizon = 200 * scale, 0.02, 4000
    reach = (critical_value(2 * LEVEL, np.inf) + critical_value(0.4, np.inf)) * np.sqrt(2.0 / horizon)
    lift = margin + float(reach) * 1.02 / 3.0
    control, treatment = latency(rng, simulations, 300, 0.0), latency(rng, simulations, 300, lift)
    asked = {"planned": PLANNED, "good": -1.0, "margin": margin, "stop_level": LEVEL}
    stops = is_harm(-confirmed(answers(control, treatment, "mean", **asked)["harm_log_e"]), LEVEL)
    assert stops.any(axis=1).all(), "every harmful experiment is stopped"
    users = (np.argmax(stops, axis=1) + 2) * USERS_A_LOOK
    for share in (0.1, 0.5, 0.9):
        measured(
            f"users per arm at the stop, {share:.0%} of harmful experiments, fixed horizon {horizon}",
            np.quantile(users, share),
        )
    assert np.quantile(users, 0.1) < 0.6 * horizon
    assert np.median(users) < 1.3 * horizon
