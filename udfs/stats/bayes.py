"""Normal prior, normal likelihood: chance to win, expected loss and a credible interval in closed form.

The prior is proper and sits on the relative lift, N(0, 0.3^2) by default: most changes do little, and a first
hour's tenfold lift is pulled back to earth. Not protected against looking often: never a reason to stop
by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from udfs.stats.arrays import Array, Numbers
from udfs.stats.contrast import Contrasts
from udfs.stats.mean import one_contrast
from udfs.stats.moments import Moments
from udfs.stats.outcome import Reason, Undetermined, check_positive, check_probability
from udfs.stats.pairs import Kind
from udfs.stats.relative import delta_standard_error

PRIOR_SD = 0.3
"""Standard deviation of the default prior on the relative lift, whose mean is 0."""

_SQRT_2_PI = np.sqrt(2.0 * np.pi)


@dataclass(frozen=True, slots=True)
class Posteriors:
    """What is believed about each relative lift; every field has shape ``(comparisons,)``.

    Attributes:
        mean, standard_deviation: Of the normal posterior.
        chance_to_win: P(the treatment is better), in the good direction.
        expected_loss: E[what is lost by choosing the treatment], as a relative lift, at least 0.
        expected_loss_of_control: The same for keeping the control.
        ci_lower, ci_upper: Central credible interval.
    """

    mean: Array
    standard_deviation: Array
    chance_to_win: Array
    expected_loss: Array
    expected_loss_of_control: Array
    ci_lower: Array
    ci_upper: Array


def posterior(
    estimate: Numbers,
    standard_error: Numbers,
    *,
    good: Numbers = 1.0,
    prior_mean: Numbers = 0.0,
    prior_sd: Numbers = PRIOR_SD,
    alpha: Numbers = 0.05,
) -> Posteriors:
    """Combine prior and estimate: precision w = 1/se^2 + 1/tau^2, mean (est/se^2 + m0/tau^2)/w.

    With mu, s the posterior in the good direction: chance to win Phi(mu/s), loss of choosing the treatment
    s·phi(mu/s) - mu·Phi(-mu/s), of keeping the control mu·Phi(mu/s) + s·phi(mu/s).

    Args:
        estimate, standard_error: Relative lift with its (delta method) standard error, above 0.
        good: +1 where a larger lift is better, -1 where a smaller one is.
        prior_mean, prior_sd: The prior, on the same scale; prior_sd above 0.
        alpha: One minus the probability in the credible interval.
    """
    estimate = np.asarray(estimate, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, prior = np.asarray(standard_error, dtype=np.float64) ** -2.0, np.asarray(prior_sd) ** -2.0
        weight = precision + prior
        mean = (estimate * precision + prior_mean * prior) / weight
        spread = 1.0 / np.sqrt(weight)
        towards = np.asarray(good) * mean
        z = towards / spread
        density = spread * np.exp(-0.5 * z**2) / _SQRT_2_PI
        chance, rest = special.ndtr(z), special.ndtr(-z)
        half_width = -special.ndtri(np.asarray(alpha) / 2.0) * spread
    return Posteriors(
        mean,
        spread,
        chance,
        np.maximum(density - towards * rest, 0.0),
        np.maximum(density + towards * chance, 0.0),
        mean - half_width,
        mean + half_width,
    )


def lift_posterior(contrasts: Contrasts, good: Numbers, prior_sd: Numbers, alpha: Numbers) -> Posteriors:
    """Posterior of the relative lift of each contrast; a negative baseline turns what a good lift is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        lift = contrasts.difference / contrasts.control
    better = np.asarray(good) * np.sign(contrasts.control)
    return posterior(lift, delta_standard_error(contrasts), good=better, prior_sd=prior_sd, alpha=alpha)


@dataclass(frozen=True, slots=True)
class Belief:
    """The posterior of one relative lift; see ``Posteriors``."""

    mean: float
    standard_deviation: float
    chance_to_win: float
    expected_loss: float
    expected_loss_of_control: float
    ci_lower: float
    ci_upper: float


def belief(
    control: Moments,
    treatment: Moments,
    *,
    good: float = 1.0,
    prior_sd: float = PRIOR_SD,
    alpha: float = 0.05,
    kind: Kind = "mean",
) -> Belief | Undetermined:
    """What to believe about the relative lift of one comparison.

    Args:
        control, treatment: Sums over exposed users.
        good: +1 where more is better, -1 where less is.
        prior_sd: Standard deviation of the prior N(0, prior_sd^2) on the relative lift, above 0.
        alpha: One minus the probability in the credible interval, in (0, 1).
        kind: As in ``mean_difference``.

    Returns:
        ``Undetermined`` as for ``mean_difference``, and ``BASELINE_NEAR_ZERO`` when the control mean is 0.
        When all of the treatment is 0, ``ONE_ARM_CONSTANT``, in a proportion ``ALL_OR_NONE_CONVERTED``.

    Raises:
        ValueError: ``alpha`` outside (0, 1) or ``prior_sd`` not above 0.
        ImpossibleSumsError: No sample has the sums of an arm.
    """
    check_probability("alpha", alpha)
    check_positive("prior_sd", prior_sd)
    contrasts = one_contrast(control, treatment, kind)
    if isinstance(contrasts, Undetermined):
        return contrasts
    if contrasts.control[0] == 0.0:
        return Undetermined(Reason.BASELINE_NEAR_ZERO)
    if delta_standard_error(contrasts)[0] == 0.0:
        proportion = kind == "proportion"
        return Undetermined(Reason.ALL_OR_NONE_CONVERTED if proportion else Reason.ONE_ARM_CONSTANT)
    found = lift_posterior(contrasts, good, prior_sd, alpha)
    return Belief(
        float(found.mean[0]),
        float(found.standard_deviation[0]),
        float(found.chance_to_win[0]),
        float(found.expected_loss[0]),
        float(found.expected_loss_of_control[0]),
        float(found.ci_lower[0]),
        float(found.ci_upper[0]),
    )
