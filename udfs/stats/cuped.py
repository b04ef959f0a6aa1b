"""CUPED: what users did before exposure takes its share of the noise out of what they did after.

The covariate was fixed before the treatment could move it, so subtracting theta times its imbalance
changes no expected difference, only the variance (Deng, Xu, Kohavi, Walker, WSDM 2013).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from udfs.stats.arrays import Array
from udfs.stats.contrast import Contrasts
from udfs.stats.mean import estimate_of, one_pair, welch
from udfs.stats.moments import Moments
from udfs.stats.outcome import Estimate, Reason, Undetermined, check_probability
from udfs.stats.pairs import Arms, Kind, Pairs

_EVERYTHING = 1e-12
"""A remainder of the variance below this share is rounding: the covariate then explains everything."""


@dataclass(frozen=True, slots=True)
class Adjusted:
    """Pairs after adjustment; arrays of shape ``(pairs,)``.

    Attributes:
        theta: Slope of outcome on covariate over both arms as one sample; 0 where the covariate is constant.
        contrasts: Adjusted means, centred on the common covariate mean, with their variances.
        pooled_variance: Variance per user of the adjusted outcome over both arms as one sample.
    """

    theta: Array
    contrasts: Contrasts
    pooled_variance: Array


def adjust(pairs: Pairs, use_covariate: NDArray[np.bool_] | bool = True) -> Adjusted:
    """Adjust every pair by its covariate (Deng et al. 2013, eqs. 4 and 5; a ratio's is linearised).

    theta = c_yx/c_xx over the two arms as one sample; an arm's mean becomes m_y - theta (m_x - m_x of both),
    its variance per user c_yy + theta^2 c_xx - 2 theta c_yx; n stays.

    Args:
        pairs: The reduced pairs.
        use_covariate: False keeps a pair unadjusted (theta 0).
    """
    pooled = pairs.pooled
    with np.errstate(invalid="ignore", divide="ignore"):
        varies = (pooled.covariate_variance > 0.0) & np.isfinite(pairs.covariate_difference)
        usable = np.asarray(use_covariate) & varies
        theta = np.where(usable, pooled.covariance / pooled.covariate_variance, 0.0)
        difference = np.where(usable, pairs.difference - theta * pairs.covariate_difference, pairs.difference)
        control = _adjusted_arm(pairs.control, pooled, theta, usable)
        treatment = _adjusted_arm(pairs.treatment, pooled, theta, usable)
        pooled_variance = _adjusted_variance(pooled, theta, usable)
    return Adjusted(theta, Contrasts.of_variances(difference, control, treatment), pooled_variance)


def _adjusted_arm(
    arm: Arms, pooled: Arms, theta: Array, usable: NDArray[np.bool_]
) -> tuple[Array, Array, Array]:
    shifted = arm.mean - theta * (arm.covariate_mean - pooled.covariate_mean)
    return np.where(usable, shifted, arm.mean), _adjusted_variance(arm, theta, usable), arm.n


def _adjusted_variance(arm: Arms, theta: Array, usable: NDArray[np.bool_]) -> Array:
    adjusted = arm.variance + theta * (theta * arm.covariate_variance - 2.0 * arm.covariance)
    adjusted = np.where(adjusted > _EVERYTHING * arm.variance, adjusted, 0.0)
    return np.where(usable, adjusted, arm.variance)


@dataclass(frozen=True, slots=True)
class CupedEstimate:
    """An adjusted difference, the slope used, and the share of the variance it took away (at most 1)."""

    difference: Estimate
    theta: float
    variance_reduction: float


def cuped_difference(
    control: Moments, treatment: Moments, *, alpha: float = 0.05, kind: Kind = "mean"
) -> CupedEstimate | Undetermined:
    """Difference of two means adjusted by the pre-period covariate, with Welch's interval.

    Args:
        control, treatment: Sums over exposed users; x (and e for a ratio) hold the pre-period.
        alpha: One minus the confidence of the interval, in (0, 1).
        kind: As in ``mean_difference``.

    Returns:
        The estimate on the metric's own scale. With a constant covariate it is the unadjusted one, theta 0.
        ``Undetermined`` as for ``mean_difference``, and when the covariate explains everything.

    Raises:
        ValueError: ``alpha`` is outside (0, 1).
        ImpossibleSumsError: No sample has the sums of an arm.
    """
    check_probability("alpha", alpha)
    pairs = one_pair(control, treatment, kind)
    if isinstance(pairs, Undetermined):
        return pairs
    adjusted = adjust(pairs)
    contrasts = adjusted.contrasts
    if not contrasts.variance[0] > 0.0:
        return Undetermined(Reason.ZERO_VARIANCE)
    raw = Contrasts.of_arms(pairs.control, pairs.treatment, pairs.difference)
    estimate = estimate_of(contrasts, welch(contrasts, alpha))
    reduction = 1.0 - contrasts.variance[0] / raw.variance[0]
    return CupedEstimate(estimate, float(adjusted.theta[0]), float(reduction))
