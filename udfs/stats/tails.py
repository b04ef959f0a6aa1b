"""Tail probabilities and critical values, accurate from p = 1 to far below 1e-300.

Every p-value of the package is a survival function, never ``1 - cdf``, which is 0 beyond 8 sigma.
Arrays broadcast; scalars give arrays of no dimension.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from udfs.stats.arrays import Array, Numbers

_DEEP = 1e-290
_TINY = 1e-300


def two_sided_p(t: Numbers, degrees_of_freedom: Numbers) -> Array:
    """P(|T| >= |t|) for Student's t, in [0, 1]; ``inf`` degrees of freedom are the normal."""
    statistic = -np.abs(np.asarray(t, dtype=np.float64))
    df = np.asarray(degrees_of_freedom, dtype=np.float64)
    return np.asarray(2.0 * special.stdtr(df, statistic))


def upper_tail_p(t: Numbers, degrees_of_freedom: Numbers) -> Array:
    """P(T >= t), one-sided, in [0, 1]."""
    return np.asarray(special.stdtr(np.asarray(degrees_of_freedom), -np.asarray(t, dtype=np.float64)))


def log_two_sided_p(t: Numbers, degrees_of_freedom: Numbers, p: Array | None = None) -> Array:
    """Natural logarithm of ``two_sided_p``, finite for every finite t.

    Args:
        p: The result of ``two_sided_p``, if it is known already.
    """
    statistic, df = np.broadcast_arrays(
        np.abs(np.asarray(t, dtype=np.float64)), np.asarray(degrees_of_freedom, dtype=np.float64)
    )
    known = two_sided_p(statistic, df) if p is None else p
    with np.errstate(divide="ignore"):
        result = np.asarray(np.log(known))
    deep = np.asarray(known < _DEEP)
    if deep.any():
        result = np.array(result)
        result[deep] = _log_deep_tail(statistic[deep], df[deep])
    return result


def critical_value(alpha: Numbers, degrees_of_freedom: Numbers) -> Array:
    """The k with P(|T| > k) = alpha; ``inf`` degrees of freedom are the normal."""
    df = np.asarray(degrees_of_freedom, dtype=np.float64)
    return np.asarray(-special.stdtrit(df, np.asarray(alpha, dtype=np.float64) / 2.0))


def _log_deep_tail(t: Array, df: Array) -> Array:
    """log of the two-sided tail where it underflows.

    The continued fraction of the incomplete beta function (DLMF 8.17.22, by Lentz's method), with the factor
    before it kept in logarithms.
    """
    normal = ~np.isfinite(df)
    result = np.array(np.log(2.0) + special.log_ndtr(-t))
    if normal.all():
        return result
    a = df[~normal] / 2.0
    squared = t[~normal] ** 2
    x = df[~normal] / (df[~normal] + squared)
    log_x = -np.log1p(squared / df[~normal])
    log_rest = np.log(squared) - np.log(df[~normal] + squared)
    prefactor = a * log_x + 0.5 * log_rest - np.log(a) - special.betaln(a, 0.5)
    result[~normal] = prefactor + np.log(_beta_fraction(a, x))
    return result


def _beta_fraction(a: Array, x: Array, b: float = 0.5) -> Array:
    c = np.ones_like(a)
    d = 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    fraction = d.copy()
    for m in range(1, 1000):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        d = 1.0 / _away_from_zero(1.0 + even * d)
        c = _away_from_zero(1.0 + even / c)
        fraction *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        d = 1.0 / _away_from_zero(1.0 + odd * d)
        c = _away_from_zero(1.0 + odd / c)
        change = d * c
        fraction *= change
        if np.all(np.abs(change - 1.0) < 1e-14):
            break
    return fraction


def _away_from_zero(value: Array) -> Array:
    return np.where(np.abs(value) < _TINY, _TINY, value)
