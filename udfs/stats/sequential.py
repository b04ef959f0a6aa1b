"""Tests that hold however often one looks: the asymptotic confidence sequence and its e-value.

The curve is equation (9) of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2021 (arXiv 2103.06476), which is
also Howard's two-sided normal mixture and the mixture SPRT with a prior on the standardised effect. With t
the sample size in units of a balanced pair of arms, rho^2 the mixture's precision and z = difference/se:

    multiplier(t) = sqrt(2 (t rho^2 + 1)/(t rho^2) · ln(sqrt(t rho^2 + 1)/alpha))
    ln E          = t rho^2 z^2 / (2 (t rho^2 + 1)) - ln(t rho^2 + 1)/2

|z| > multiplier exactly when E > 1/alpha, so today's interval and today's p = min(1, 1/E) always agree.
rho depends on alpha and on the planned size; freeze both when the experiment starts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from udfs.stats.arrays import Array, Numbers
from udfs.stats.contrast import Contrasts
from udfs.stats.cuped import adjust
from udfs.stats.mean import one_pair
from udfs.stats.moments import Moments
from udfs.stats.outcome import Reason, Undetermined, check_positive, check_probability
from udfs.stats.pairs import Kind
from udfs.stats.relative import fieller


def information(n_control: Numbers, n_treatment: Numbers) -> Array:
    """Sample size t = 4/(1/n_C + 1/n_T): all users when arms are equal, fewer when not, 0 without one."""
    n_c, n_t = np.asarray(n_control, dtype=np.float64), np.asarray(n_treatment, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(n_c + n_t > 0.0, 4.0 * n_c * n_t / (n_c + n_t), 0.0))


def planned_information(planned_units: Numbers, control_share: Numbers, treatment_share: Numbers) -> Array:
    """N* = 4·planned_units·w_C·w_T/(w_C + w_T), the information of a comparison at the planned size.

    Args:
        planned_units: Users planned over all arms, above 0.
        control_share, treatment_share: The arms' weights divided by the sum over all arms.
    """
    units, w_c, w_t = (
        np.asarray(each, dtype=np.float64) for each in (planned_units, control_share, treatment_share)
    )
    return information(units * w_c, units * w_t)


def mixture_precision(alpha: Numbers, planned: Numbers) -> Array:
    """rho^2 that makes the interval narrowest near the planned information.

    rho^2 = (-2 ln alpha + ln(1 - 2 ln alpha))/N*, the closed form in Waudby-Smith et al. 2021, appendix on
    optimizing rho; the exact optimum (by Lambert's W) differs by 3 %, the width by less than 0.1 %.

    Args:
        alpha: In (0, 1). For one-sided use pass 2·alpha.
        planned: N*, above 0; nan or 0 gives nan.
    """
    log_alpha = np.log(np.asarray(alpha, dtype=np.float64))
    planned = np.asarray(planned, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = (np.log1p(-2.0 * log_alpha) - 2.0 * log_alpha) / planned
    return np.asarray(np.where(planned > 0.0, precision, np.nan))


def multiplier(t: Numbers, precision: Numbers, alpha: Numbers) -> Array:
    """Standard errors from the estimate to an end of the confidence sequence; infinite at t = 0."""
    scaled = np.asarray(t, dtype=np.float64) * precision
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = 0.5 * np.log1p(scaled) - np.log(alpha)
        return np.asarray(np.sqrt(2.0 * (scaled + 1.0) / scaled * spread))


def log_e_value(z: Numbers, t: Numbers, precision: Numbers) -> Array:
    """ln E of the difference being 0, against both sides; finite for every finite z."""
    scaled = np.asarray(t, dtype=np.float64) * precision
    return np.asarray(scaled / (2.0 * (scaled + 1.0)) * np.square(z) - 0.5 * np.log1p(scaled))


def one_sided_log_e_value(z: Numbers, t: Numbers, precision: Numbers) -> Array:
    """ln E of "no effect towards positive z": ln 2 + ln E + ln Phi(z·sqrt(t rho^2/(t rho^2 + 1))).

    Howard, Ramdas, McAuliffe, Sekhon 2021 (arXiv 1810.08240), one-sided normal mixture, proposition 6.
    """
    scaled = np.asarray(t, dtype=np.float64) * precision
    shrunk = np.asarray(z, dtype=np.float64) * np.sqrt(scaled / (scaled + 1.0))
    return np.asarray(np.log(2.0) + 0.5 * shrunk**2 - 0.5 * np.log1p(scaled) + special.log_ndtr(shrunk))


def one_sided_multiplier(t: Numbers, precision: Numbers, alpha: Numbers) -> Array:
    """The z at which ``one_sided_log_e_value`` reaches ln(1/alpha), so that bound and p agree.

    Newton's method from the closed-form bound with ln(1 + sqrt(t rho^2 + 1)/(2 alpha)), which lies above the
    root of a convex function, so that it descends to the root without overshooting.
    """
    scaled, level = np.broadcast_arrays(
        np.asarray(t, dtype=np.float64) * precision, np.asarray(alpha, dtype=np.float64)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = scaled / (scaled + 1.0)
        shrunk = np.sqrt(2.0 * np.log1p(np.sqrt(scaled + 1.0) / (2.0 * level)))
        target = 0.5 * np.log1p(scaled) - np.log(2.0 * level)
        for _ in range(30):
            log_phi = special.log_ndtr(shrunk)
            slope = shrunk + np.exp(-0.5 * shrunk**2 - log_phi) / np.sqrt(2.0 * np.pi)
            step = (0.5 * shrunk**2 + log_phi - target) / slope
            shrunk = shrunk - step
            if not np.any(np.abs(step) > 1e-14 * shrunk):
                break
        return np.asarray(shrunk / np.sqrt(ratio))


def log_p_from_log_e(log_e: Numbers) -> Array:
    """ln of the always-valid p = min(1, 1/E) of this look; nan stays nan."""
    return np.asarray(np.minimum(0.0, -np.asarray(log_e, dtype=np.float64)))


def robust(contrasts: Contrasts, pooled_variance: Array, n_control: Array, n_treatment: Array) -> Contrasts:
    """The same differences with variance max(Welch, pooled under "no difference").

    A small arm of a sparse metric has often seen no outcome yet; its own variance is then near 0 and Welch's
    sequence raises 20 to 77 % false alarms. What both arms show together cannot be fooled that way.

    Args:
        contrasts: Differences with Welch's variances.
        pooled_variance: Variance per user over both arms as one sample.
        n_control, n_treatment: Users.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = pooled_variance * (1.0 / n_control + 1.0 / n_treatment)
        welch = contrasts.variance
        factor = np.where(welch > 0.0, np.maximum(1.0, pooled / welch), 1.0)
        missing = np.where(welch > 0.0, 0.0, pooled)
        control_part = n_treatment / (n_control + n_treatment)
        control_variance = contrasts.control_variance * factor + missing * control_part
        treatment_variance = contrasts.treatment_variance * factor + missing * (1.0 - control_part)
    return replace(contrasts, control_variance=control_variance, treatment_variance=treatment_variance)


@dataclass(frozen=True, slots=True)
class SequentialTests:
    """Confidence sequences at this look; every field has shape ``(comparisons,)``, nan where undetermined.

    Attributes:
        ci_lower, ci_upper: On the metric's own scale.
        rel_diff, rel_ci_lower, rel_ci_upper: The relative lift, by Fieller with the same multiplier: all
            three, or none.
        log_e: ln E of "no difference", two-sided.
        critical: The multiplier.
    """

    ci_lower: Array
    ci_upper: Array
    rel_diff: Array
    rel_ci_lower: Array
    rel_ci_upper: Array
    log_e: Array
    critical: Array


def sequential(contrasts: Contrasts, t: Array, precision: Numbers, alpha: Numbers) -> SequentialTests:
    """The asymptotic confidence sequence of each difference at this look.

    Args:
        contrasts: Differences with ``robust`` variances.
        t: Information at this look, shape ``(comparisons,)``.
        precision: rho^2, from ``mixture_precision``.
        alpha: In (0, 1).

    Returns:
        Interval (absolute or relative) and p = min(1, 1/E) agree. nan where the variance is 0 or unknown.
    """
    critical = multiplier(t, precision, alpha)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        standard_error = np.sqrt(np.where(contrasts.variance > 0.0, contrasts.variance, np.nan))
        half_width = critical * standard_error
        z = contrasts.difference / standard_error
    lifts = fieller(contrasts, critical)
    return SequentialTests(
        contrasts.difference - half_width,
        contrasts.difference + half_width,
        np.where(np.isfinite(lifts.ci_lower), lifts.lift, np.nan),
        lifts.ci_lower,
        lifts.ci_upper,
        log_e_value(z, t, precision),
        critical,
    )


@dataclass(frozen=True, slots=True)
class SequentialEstimate:
    """One look at a confidence sequence.

    ``log_p_value`` is of this look; keep the minimum over looks for the always-valid p of all looks so far.
    The relative interval is ``None`` where the baseline is not distinguishable from 0 or all of the
    treatment is 0.
    """

    estimate: float
    ci_lower: float
    ci_upper: float
    relative_interval: tuple[float, float] | None
    log_e_value: float
    log_p_value: float
    information: float


def sequential_difference(
    control: Moments,
    treatment: Moments,
    *,
    planned: float,
    alpha: float = 0.05,
    kind: Kind = "mean",
    use_covariate: bool = False,
) -> SequentialEstimate | Undetermined:
    """One look at the difference of two means that may be looked at any number of times.

    Args:
        control, treatment: Sums over exposed users.
        planned: N*, the information at which the interval should be narrowest (``planned_information``).
        alpha: Chance that any look of all, over all time, excludes a true difference; in (0, 1).
        kind: As in ``mean_difference``.
        use_covariate: Look at the CUPED-adjusted difference.

    Returns:
        The estimate on the metric's own scale, or ``Undetermined`` as for ``mean_difference``.

    Raises:
        ValueError: ``alpha`` outside (0, 1) or ``planned`` not above 0.
        ImpossibleSumsError: No sample has the sums of an arm.
    """
    check_probability("alpha", alpha)
    check_positive("planned", planned)
    pairs = one_pair(control, treatment, kind)
    if isinstance(pairs, Undetermined):
        return pairs
    adjusted = adjust(pairs, use_covariate)
    contrasts = robust(adjusted.contrasts, adjusted.pooled_variance, pairs.control.n, pairs.treatment.n)
    if not contrasts.variance[0] > 0.0:
        return Undetermined(Reason.ZERO_VARIANCE)
    t = information(pairs.control.n, pairs.treatment.n)
    found = sequential(contrasts, t, mixture_precision(alpha, planned), alpha)
    bounded = bool(np.isfinite(found.rel_ci_lower[0]))
    return SequentialEstimate(
        float(contrasts.difference[0]),
        float(found.ci_lower[0]),
        float(found.ci_upper[0]),
        (float(found.rel_ci_lower[0]), float(found.rel_ci_upper[0])) if bounded else None,
        float(found.log_e[0]),
        float(log_p_from_log_e(found.log_e)[0]),
        float(t[0]),
    )
