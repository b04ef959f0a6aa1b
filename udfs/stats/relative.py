"""The relative lift by Fieller's set: the same decision as the absolute test, on the scale people speak of.

The set holds every lift r for which treatment = (1 + r)·control is not rejected. At r = 0 that is the
absolute test itself, so "the interval excludes 0" and "p < alpha" cannot disagree. Delta-method and
log intervals do disagree, and miss far more often than they say when the baseline is noisy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from udfs.stats import tails
from udfs.stats.arrays import Array, Flags, Numbers
from udfs.stats.contrast import Contrasts
from udfs.stats.mean import one_contrast
from udfs.stats.moments import Moments
from udfs.stats.outcome import Estimate, Reason, Undetermined, check_probability
from udfs.stats.pairs import Kind


@dataclass(frozen=True, slots=True)
class Lifts:
    """Relative lifts treatment/control - 1; shape ``(comparisons,)``.

    An interval that is unbounded or a single point is nan; ``is_point`` tells them apart.
    """

    lift: Array
    ci_lower: Array
    ci_upper: Array
    is_point: Flags


def fieller(contrasts: Contrasts, critical: Numbers) -> Lifts:
    """Fieller's interval of each relative lift (Fieller 1954), with the absolute test's critical value.

    With D = m_T - m_C, a = m_C^2 - q V_C and q = critical^2: the ends are the roots of
    a r^2 - 2 (D m_C + q V_C) r + D^2 - q (V_C + V_T) = 0, taken so that none is lost to cancellation.

    Args:
        contrasts: Differences with the variances of both means.
        critical: Standard errors from the estimate to an end of the absolute interval (t, z or sequential).

    Returns:
        nan ends where a <= 0: the baseline is not distinguishable from 0 at this critical value; and where
        the set is the point -1: every user of the treatment has 0, which shows nothing of its noise.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        q = np.square(critical)
        d, m_c, m_t = contrasts.difference, contrasts.control, contrasts.treatment
        v_c, v_t = contrasts.control_variance, contrasts.treatment_variance
        a = m_c**2 - q * v_c
        b = d * m_c + q * v_c
        c = d**2 - q * (v_c + v_t)
        root = np.sqrt(q * (v_c * m_t**2 + v_t * a))
        larger = b + np.copysign(root, b)
        one, other = larger / a, c / larger
        is_point = (a > 0.0) & (m_t == 0.0) & (v_t == 0.0)
        bounded = (a > 0.0) & ~is_point
        lower = np.where(bounded, np.minimum(one, other), np.nan)
        upper = np.where(bounded, np.maximum(one, other), np.nan)
        lift = np.where(m_c != 0.0, d / m_c, np.nan)
    return Lifts(lift, lower, upper, is_point)


def lift_reasons(contrasts: Contrasts, lifts: Lifts, proportion: Flags | bool) -> NDArray[np.object_]:
    """Why a relative interval is absent or, like the absolute one, rests on one arm alone; else ``None``.

    Args:
        contrasts: Differences of which at least one arm has a variance.
        lifts: What ``fieller`` made of them.
        proportion: Where the metric is a proportion, so that ``small_ci_*`` answers.
    """
    absent = np.isnan(lifts.ci_lower)
    constant = (contrasts.control_variance == 0.0) | (contrasts.treatment_variance == 0.0)
    reasons = np.full(absent.shape, None, dtype=object)
    reasons[constant] = Reason.ONE_ARM_CONSTANT
    reasons[absent & ~lifts.is_point] = Reason.BASELINE_NEAR_ZERO
    reasons[constant & proportion] = Reason.ALL_OR_NONE_CONVERTED
    return reasons


def relative_lift(
    control: Moments, treatment: Moments, *, alpha: float = 0.05, kind: Kind = "mean"
) -> Estimate | Undetermined:
    """Relative lift treatment/control - 1 with Fieller's interval (Fieller 1954).

    Args:
        control, treatment: Sums over exposed users.
        alpha: One minus the confidence of the interval, in (0, 1).
        kind: As in ``mean_difference``.

    Returns:
        A fraction (0.1 is +10 %); the p-value is that of the absolute test, and ``standard_error`` the
        delta method's. ``Undetermined(BASELINE_NEAR_ZERO)`` when the control's mean may be 0, and
        ``ONE_ARM_CONSTANT`` when all of the treatment is 0; both are ``ALL_OR_NONE_CONVERTED`` in a
        proportion with a constant arm.

    Raises:
        ValueError: ``alpha`` is outside (0, 1).
        ImpossibleSumsError: No sample has the sums of an arm.
    """
    check_probability("alpha", alpha)
    contrasts = one_contrast(control, treatment, kind)
    if isinstance(contrasts, Undetermined):
        return contrasts
    df = contrasts.degrees_of_freedom
    lifts = fieller(contrasts, tails.critical_value(alpha, df))
    if np.isnan(lifts.ci_lower[0]):
        return Undetermined(lift_reasons(contrasts, lifts, kind == "proportion")[0])
    statistic = contrasts.difference / np.sqrt(contrasts.variance)
    p_value = tails.two_sided_p(statistic, df)
    return Estimate(
        float(lifts.lift[0]),
        float(lifts.ci_lower[0]),
        float(lifts.ci_upper[0]),
        float(p_value[0]),
        float(tails.log_two_sided_p(statistic, df, p_value)[0]),
        float(delta_standard_error(contrasts)[0]),
        float(df[0]),
    )


def delta_standard_error(contrasts: Contrasts) -> Array:
    """Standard error of the relative lift by the delta method: sqrt(V_T + (m_T/m_C)^2·V_C)/|m_C|.

    For priors and planning, where a symmetric scale is needed; intervals come from ``fieller``.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = contrasts.treatment / contrasts.control
        variance = contrasts.treatment_variance + ratio**2 * contrasts.control_variance
        return np.asarray(np.sqrt(variance) / np.abs(contrasts.control))
