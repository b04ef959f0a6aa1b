"""Welch's test of two means; a proportion is a mean of zeros and ones, a ratio arrives linearised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from udfs.stats import tails
from udfs.stats.arrays import Array, Numbers
from udfs.stats.contrast import Contrasts
from udfs.stats.moments import Moments
from udfs.stats.outcome import Estimate, ImpossibleSumsError, Reason, Undetermined, check_probability
from udfs.stats.pairs import Kind, Pairs


@dataclass(frozen=True, slots=True)
class WelchTests:
    """Two-sided tests of many differences; every field has shape ``(comparisons,)``, nan where undetermined.

    ``critical`` is the number of standard errors from the estimate to an end of its interval.
    """

    ci_lower: Array
    ci_upper: Array
    p_value: Array
    log_p_value: Array
    standard_error: Array
    degrees_of_freedom: Array
    critical: Array


def welch(contrasts: Contrasts, alpha: Numbers = 0.05) -> WelchTests:
    """Welch's t-test and interval of each difference (Welch 1947).

    Args:
        contrasts: Differences with the variances of both means.
        alpha: One minus the confidence, in (0, 1); scalar or per comparison.

    Returns:
        p and interval agree: p < alpha exactly when the interval excludes 0. nan where the variance is 0
        or unknown.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        standard_error = np.sqrt(contrasts.variance)
        df = contrasts.degrees_of_freedom
        statistic = contrasts.difference / standard_error
        critical = tails.critical_value(alpha, df)
        p_value = tails.two_sided_p(statistic, df)
        half_width = critical * standard_error
    return WelchTests(
        contrasts.difference - half_width,
        contrasts.difference + half_width,
        p_value,
        tails.log_two_sided_p(statistic, df, p_value),
        standard_error,
        df,
        critical,
    )


def mean_difference(
    control: Moments, treatment: Moments, *, alpha: float = 0.05, kind: Kind = "mean"
) -> Estimate | Undetermined:
    """Difference of two means (or proportions, or ratios) with Welch's interval (Welch 1947).

    Args:
        control, treatment: Sums over exposed users; ``n`` counts users without outcomes too.
        alpha: One minus the confidence of the interval, in (0, 1).
        kind: ``mean`` and ``proportion`` compare y, ``ratio`` compares sum(y)/sum(d) by the delta method.

    Returns:
        The estimate on the metric's own scale, or ``Undetermined`` with a reason when an arm has
        fewer than two users, both variances are zero or a denominator is zero.

    Raises:
        ValueError: ``alpha`` is outside (0, 1).
        ImpossibleSumsError: No sample has the sums of an arm.
    """
    check_probability("alpha", alpha)
    contrasts = one_contrast(control, treatment, kind)
    if isinstance(contrasts, Undetermined):
        return contrasts
    return estimate_of(contrasts, welch(contrasts, alpha))


def estimate_of(contrasts: Contrasts, test: WelchTests) -> Estimate:
    """The first comparison's difference and test as scalars."""
    return Estimate(
        float(contrasts.difference[0]),
        float(test.ci_lower[0]),
        float(test.ci_upper[0]),
        float(test.p_value[0]),
        float(test.log_p_value[0]),
        float(test.standard_error[0]),
        float(test.degrees_of_freedom[0]),
    )


def one_contrast(control: Moments, treatment: Moments, kind: Kind) -> Contrasts | Undetermined:
    """The contrast of one pair, or why there is none.

    Raises:
        ImpossibleSumsError: No sample has the sums of an arm.
    """
    pairs = one_pair(control, treatment, kind)
    if isinstance(pairs, Undetermined):
        return pairs
    contrasts = Contrasts.of_arms(pairs.control, pairs.treatment, pairs.difference)
    return contrasts if contrasts.variance[0] > 0.0 else Undetermined(Reason.ZERO_VARIANCE)


def one_pair(control: Moments, treatment: Moments, kind: Kind) -> Pairs | Undetermined:
    """One pair reduced to one value per user, or why it cannot be compared.

    Raises:
        ImpossibleSumsError: No sample has the sums of an arm.
    """
    pairs = Pairs.from_moments([(control, treatment)], [kind])
    reason = pairs.reasons[0]
    if reason is Reason.IMPOSSIBLE_SUMS:
        control.check()
        treatment.check()
        raise ImpossibleSumsError(f"no {kind} metric has the sums {control} and {treatment}")
    return Undetermined(reason) if reason is not None else pairs
