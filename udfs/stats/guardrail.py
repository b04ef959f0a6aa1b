"""Is the treatment no worse than a margin allows, or surely worse? One-sided, at one look or at any number.

With good = +1 where more is better and -1 where less is, both questions are about one weighted difference,

    D = good·(m_T - m_C) + margin·|m_C|        (or + margin_abs),

non-inferior when D is surely above 0, harm when it is surely below. The relative margin is a share of the
control's *unknown* mean, so its noise enters as in Fieller's form:

    Var D = V_T + (1 - good·sign(m_C)·margin)^2 V_C.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from udfs.stats import tails
from udfs.stats.arrays import Array, Numbers
from udfs.stats.contrast import Contrasts
from udfs.stats.cuped import adjust
from udfs.stats.mean import one_pair
from udfs.stats.moments import Moments
from udfs.stats.outcome import Reason, Undetermined, check_positive, check_probability
from udfs.stats.pairs import Kind
from udfs.stats.sequential import (
    information,
    log_p_from_log_e,
    mixture_precision,
    one_sided_log_e_value,
    one_sided_multiplier,
    robust,
)

Direction = Literal["increase", "decrease"]


def shortfall(
    contrasts: Contrasts, good: Numbers, margin: Numbers = 0.0, margin_abs: Numbers = 0.0
) -> tuple[Array, Array, Array]:
    """D, its variance and its Welch degrees of freedom, for each comparison.

    Args:
        contrasts: Differences with the variances of both means (``robust`` ones for sequential use).
        good: +1 where an increase is good, -1 where a decrease is.
        margin: Share of the control mean that may be lost, at least 0.
        margin_abs: What may be lost in the metric's unit, at least 0; adds to ``margin``.
    """
    good = np.asarray(good, dtype=np.float64)
    allowed = np.asarray(margin) * np.sign(contrasts.control)
    distance = good * contrasts.difference + allowed * contrasts.control + margin_abs
    weight = (1.0 - good * allowed) ** 2
    v_c, v_t = weight * contrasts.control_variance, contrasts.treatment_variance
    return distance, v_c + v_t, _degrees_of_freedom(contrasts, weight)


def _degrees_of_freedom(contrasts: Contrasts, weight: Array) -> Array:
    lower = contrasts.control_satterthwaite * weight**2 + contrasts.treatment_satterthwaite
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = weight * contrasts.control_variance + contrasts.treatment_variance
        return np.asarray(variance**2 / lower)


def sequential_guardrail(
    distance: Array, variance: Array, t: Array, precision: Numbers
) -> tuple[Array, Array]:
    """ln E of harm and of non-inferiority at this look, valid at any number of looks.

    Args:
        distance, variance: From ``shortfall`` with robust variances.
        t: Information at this look.
        precision: rho^2 for one-sided use, ``mixture_precision(2·alpha, planned)``.

    Returns:
        (harm, non-inferior): each ln E; one-sided always-valid p = min(1, exp(-ln E)).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        z = distance / np.sqrt(np.where(variance > 0.0, variance, np.nan))
    return one_sided_log_e_value(-z, t, precision), one_sided_log_e_value(z, t, precision)


@dataclass(frozen=True, slots=True)
class GuardrailTest:
    """One look at a guardrail.

    Attributes:
        distance: D, in the metric's unit: how far the treatment is on the right side of the margin.
        lower, upper: One-sided bounds of D, each at level alpha.
        noninferior_p, harm_p: One-sided p-values; below alpha exactly when lower > 0, or upper < 0.
    """

    distance: float
    lower: float
    upper: float
    noninferior_p: float
    harm_p: float


def guardrail(
    control: Moments,
    treatment: Moments,
    *,
    good: Direction,
    margin: float = 0.0,
    margin_abs: float = 0.0,
    alpha: float = 0.05,
    kind: Kind = "mean",
    planned: float | None = None,
    use_covariate: bool = False,
) -> GuardrailTest | Undetermined:
    """Non-inferiority and harm, at a single look or at any number of them.

    Args:
        control, treatment: Sums over exposed users.
        good: The direction in which the metric is better.
        margin: Share of the control mean that may be lost, at least 0.
        margin_abs: The same in the metric's unit; adds to ``margin``.
        alpha: One-sided level, in (0, .5).
        kind: As in ``mean_difference``.
        planned: N* of the sequential test (``planned_information``), which holds at any number of looks.
            Without it the test is Welch's t, for one look.
        use_covariate: Judge the CUPED-adjusted means.

    Raises:
        ValueError: ``alpha`` outside (0, .5), a negative margin, an unknown direction, ``planned`` not
            above 0.
        ImpossibleSumsError: No sample has the sums of an arm.
    """
    check_probability("2 * alpha", 2.0 * alpha)
    if good not in ("increase", "decrease"):
        raise ValueError(f"good is {good!r}: it must be increase or decrease")
    for name, value in (("margin", margin), ("margin_abs", margin_abs)):
        if not value >= 0.0:
            raise ValueError(f"{name} is {value!r}: what may be lost cannot be negative")
    pairs = one_pair(control, treatment, kind)
    if isinstance(pairs, Undetermined):
        return pairs
    adjusted = adjust(pairs, use_covariate)
    n_c, n_t = pairs.control.n, pairs.treatment.n
    contrasts = adjusted.contrasts
    if planned is not None:
        check_positive("planned", planned)
        contrasts = robust(contrasts, adjusted.pooled_variance, n_c, n_t)
    sign = 1.0 if good == "increase" else -1.0
    distance, variance, df = shortfall(contrasts, sign, margin, margin_abs)
    if not variance[0] > 0.0:
        return Undetermined(Reason.ZERO_VARIANCE)
    error = np.sqrt(variance)
    if planned is None:
        critical = tails.critical_value(2.0 * alpha, df)
        harm_p, noninferior_p = (tails.upper_tail_p(side * distance / error, df) for side in (-1.0, 1.0))
    else:
        t, precision = information(n_c, n_t), mixture_precision(2.0 * alpha, planned)
        critical = one_sided_multiplier(t, precision, alpha)
        looks = sequential_guardrail(distance, variance, t, precision)
        harm_p, noninferior_p = (np.exp(log_p_from_log_e(log_e)) for log_e in looks)
    half_width = critical * error
    return GuardrailTest(
        float(distance[0]),
        float((distance - half_width)[0]),
        float((distance + half_width)[0]),
        float(noninferior_p[0]),
        float(harm_p[0]),
    )
