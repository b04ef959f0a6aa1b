"""An interval for the difference of two proportions that holds with few conversions, or none.

Newcombe's method 10 joins the two Wilson intervals (Newcombe 1998, Statistics in Medicine 17:873, eq.
10). It stands beside Welch's interval in its own columns: where conversions are few the two differ, and
this one covers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from udfs.stats.arrays import Array, Numbers
from udfs.stats.contrast import Strata
from udfs.stats.mean import one_pair
from udfs.stats.moments import MICROS, Moments
from udfs.stats.outcome import Reason, Undetermined, check_probability
from udfs.stats.pairs import Arms


def wilson(share: Numbers, n: Numbers, z: Numbers) -> tuple[Array, Array]:
    """Wilson's score interval of a proportion (Wilson 1927), in [0, 1]; nan for n = 0.

    Args:
        share: Observed proportion, in [0, 1].
        n: Users.
        z: Normal critical value.
    """
    share, n = np.asarray(share, dtype=np.float64), np.asarray(n, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        z2 = np.square(z)
        centre = share + z2 / (2.0 * n)
        half = z * np.sqrt(share * (1.0 - share) / n + z2 / (4.0 * n**2))
        scale = 1.0 + z2 / n
        return np.asarray(np.maximum((centre - half) / scale, 0.0)), np.asarray(
            np.minimum((centre + half) / scale, 1.0)
        )


def newcombe(
    control: Arms, treatment: Arms, difference: Array, alpha: Numbers, strata: Strata
) -> tuple[Array, Array]:
    """Newcombe's interval of each difference of proportions, combined over strata by squared distances.

    lower = d - sqrt((p_T - l_T)^2 + (u_C - p_C)^2), upper = d + sqrt((u_T - p_T)^2 + (p_C - l_C)^2), [l,
    u] Wilson's.

    Args:
        control, treatment: Arms of proportions, one row per stratum.
        difference: Combined difference of each comparison.
        alpha: In (0, 1), scalar or per stratum.
        strata: Which rows form a comparison.
    """
    z = -special.ndtri(np.asarray(alpha, dtype=np.float64) / 2.0)
    low_c, high_c = wilson(control.mean, control.n, z)
    low_t, high_t = wilson(treatment.mean, treatment.n, z)
    below = strata.sum((treatment.mean - low_t) ** 2 + (high_c - control.mean) ** 2, 2)
    above = strata.sum((high_t - treatment.mean) ** 2 + (control.mean - low_c) ** 2, 2)
    return np.maximum(difference - np.sqrt(below), -1.0), np.minimum(difference + np.sqrt(above), 1.0)


@dataclass(frozen=True, slots=True)
class ProportionInterval:
    """A difference of two proportions with its interval, in [-1, 1]."""

    estimate: float
    ci_lower: float
    ci_upper: float


def proportion_difference(
    control: Moments, treatment: Moments, *, alpha: float = 0.05
) -> ProportionInterval | Undetermined:
    """Newcombe's interval of the difference of two proportions, for any counts above 0 users.

    Args:
        control, treatment: Sums of a proportion metric: y is 0 or 1 for each user.
        alpha: One minus the confidence of the interval, in (0, 1).

    Returns:
        ``Undetermined(NO_UNITS)`` when an arm is empty.

    Raises:
        ValueError: ``alpha`` is outside (0, 1).
        ImpossibleSumsError: No sample of zeros and ones has the sums of an arm.
    """
    check_probability("alpha", alpha)
    one_pair(control, treatment, "proportion")
    if control.n == 0 or treatment.n == 0:
        return Undetermined(Reason.NO_UNITS)
    z = -special.ndtri(alpha / 2.0)
    difference = (treatment.sums[0] * control.n - control.sums[0] * treatment.n) / (
        control.n * treatment.n * MICROS
    )
    p_c, p_t = control.mean("y"), treatment.mean("y")
    low_c, high_c = (float(each) for each in wilson(p_c, control.n, z))
    low_t, high_t = (float(each) for each in wilson(p_t, treatment.n, z))
    return ProportionInterval(
        difference,
        max(difference - float(np.hypot(p_t - low_t, high_c - p_c)), -1.0),
        min(difference + float(np.hypot(high_t - p_t, p_c - low_c)), 1.0),
    )
