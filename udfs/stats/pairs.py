"""Many (control, treatment) pairs at once, each user reduced to one outcome and one covariate.

A mean or a proportion compares y with covariate x. A ratio compares sum(y)/sum(d), whose delta-method
value per user is (y - R d)/mean(d) (Deng, Knoblich, Lu 2018, section 3). After this reduction every
later formula is the same for all kinds. It is done in integers, with one division at the end, so
an offset of 1e12 with a spread of 1 costs no digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from udfs.stats.arrays import Array
from udfs.stats.moments import MICROS, Moments
from udfs.stats.outcome import ImpossibleSumsError, Reason

Kind = Literal["mean", "proportion", "ratio"]
KINDS: tuple[Kind, ...] = ("mean", "proportion", "ratio")

_NAN = float("nan")
_SQUARED = MICROS * MICROS


@dataclass(frozen=True, slots=True)
class Arms:
    """Per-user moments of one arm of each pair; every field has shape ``(pairs,)``.

    ``mean`` and ``covariate_mean`` are the arm's mean (or ratio) after and before exposure;
    variances and the covariance are per user with divisor n - 1. nan where n < 2 or a denominator is 0.
    """

    n: Array
    mean: Array
    variance: Array
    covariate_mean: Array
    covariate_variance: Array
    covariance: Array


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of arms with what their comparison needs; every field has shape ``(pairs,)``.

    Attributes:
        control, treatment: Each arm alone.
        pooled: Both arms as one sample.
        difference: Treatment minus control mean, computed exactly, not from the rounded means.
        covariate_difference: The same of the covariate.
        reasons: Why a pair cannot be compared, else ``None`` (dtype object).
    """

    control: Arms
    treatment: Arms
    pooled: Arms
    difference: Array
    covariate_difference: Array
    reasons: NDArray[np.object_]

    @classmethod
    def from_moments(cls, pairs: Sequence[tuple[Moments, Moments]], kinds: Iterable[Kind]) -> Self:
        """Reduce exact sums; sums that no sample has are marked ``Reason.IMPOSSIBLE_SUMS``.

        Args:
            pairs: (control, treatment) for each pair.
            kinds: The metric's kind for each pair.
        """
        rows: list[tuple[float, ...]] = []
        reasons: list[Reason | None] = []
        for (control, treatment), kind in zip(pairs, kinds, strict=True):
            try:
                rows.append(
                    _reduced_ratio(control, treatment)
                    if kind == "ratio"
                    else _reduced_mean(control, treatment, kind)
                )
                reasons.append(_reason(control, treatment, kind))
            except ImpossibleSumsError:
                rows.append(_counts_only(control, treatment))
                reasons.append(Reason.IMPOSSIBLE_SUMS)
        flat = np.fromiter(chain.from_iterable(rows), dtype=np.float64, count=_WIDTH * len(rows))
        table = flat.reshape(len(rows), _WIDTH).T
        control_arms, treatment_arms = Arms(*table[0:6]), Arms(*table[6:12])
        pooled = _pooled_means(control_arms, treatment_arms, table[12], table[13], Arms(*table[14:20]))
        marked = np.empty(len(rows), dtype=object)
        marked[:] = reasons
        return cls(control_arms, treatment_arms, pooled, table[12], table[13], marked)


_WIDTH = 20
"""Numbers per reduced pair: six of each arm, two differences, six of a ratio's arms together."""

_UNKNOWN = (_NAN,) * 5
_POOLED_LATER = (_NAN,) * 6


def _counts_only(control: Moments, treatment: Moments) -> tuple[float, ...]:
    return (float(control.n), *_UNKNOWN, float(treatment.n), *_UNKNOWN, _NAN, _NAN, *_POOLED_LATER)


def _reason(control: Moments, treatment: Moments, kind: Kind) -> Reason | None:
    if control.n < 2 or treatment.n < 2:
        return Reason.TOO_FEW_UNITS
    if kind == "ratio" and (control.sums[1] == 0 or treatment.sums[1] == 0):
        return Reason.ZERO_DENOMINATOR
    return None


def _pooled_means(
    control: Arms, treatment: Arms, difference: Array, covariate_difference: Array, ratios: Arms
) -> Arms:
    """Both arms as one sample: a ratio's as given, a mean's by Chan, Golub and LeVeque 1979."""
    n = control.n + treatment.n
    with np.errstate(invalid="ignore", divide="ignore"):
        share = treatment.n / n
        between = control.n * share

        def merged(first: Array, second: Array, apart: Array) -> Array:
            inside = first * (control.n - 1.0) + second * (treatment.n - 1.0)
            return np.asarray((inside + between * apart) / (n - 1.0))

        is_ratio = np.isfinite(ratios.n)
        return Arms(
            n,
            np.where(is_ratio, ratios.mean, control.mean + share * difference),
            np.where(is_ratio, ratios.variance, merged(control.variance, treatment.variance, difference**2)),
            np.where(is_ratio, ratios.covariate_mean, control.covariate_mean + share * covariate_difference),
            np.where(
                is_ratio,
                ratios.covariate_variance,
                merged(control.covariate_variance, treatment.covariate_variance, covariate_difference**2),
            ),
            np.where(
                is_ratio,
                ratios.covariance,
                merged(control.covariance, treatment.covariance, difference * covariate_difference),
            ),
        )


_Unit = tuple[float, float, float, float, float, float]


def _reduced_mean(control: Moments, treatment: Moments, kind: Kind) -> tuple[float, ...]:
    n_c, n_t, sums_c, sums_t = control.n, treatment.n, control.sums, treatment.sums
    if kind == "proportion":
        _check_proportion(n_c, sums_c)
        _check_proportion(n_t, sums_t)
    if n_c and n_t:
        divisor = n_c * n_t * MICROS
        difference = (sums_t[0] * n_c - sums_c[0] * n_t) / divisor
        covariate_difference = (sums_t[2] * n_c - sums_c[2] * n_t) / divisor
    else:
        difference = covariate_difference = _NAN
    arms = (*_mean_arm(n_c, sums_c), *_mean_arm(n_t, sums_t))
    return (*arms, difference, covariate_difference, *_POOLED_LATER)


def _mean_arm(n: int, sums: tuple[int, ...]) -> _Unit:
    if n == 0:
        if any(sums):
            raise ImpossibleSumsError("nobody has no outcomes")
        return (0.0, *_UNKNOWN)
    y, x, xx = sums[0], sums[2], sums[11]
    s_yy = n * sums[4] - y * y
    if xx == 0 and x == 0 and s_yy >= 0:
        if n == 1:
            return (1.0, y / MICROS, _NAN, 0.0, _NAN, _NAN)
        return (float(n), y / (n * MICROS), s_yy / (n * (n - 1) * _SQUARED), 0.0, 0.0, 0.0)
    s_xx, s_yx = n * xx - x * x, n * sums[6] - y * x
    if s_yy < 0 or s_xx < 0 or s_yx * s_yx > s_yy * s_xx:
        raise ImpossibleSumsError("a negative variance or a covariance that exceeds the variances")
    total = n * MICROS
    if n == 1:
        return (1.0, y / total, _NAN, x / total, _NAN, _NAN)
    divisor = n * (n - 1) * _SQUARED
    return (float(n), y / total, s_yy / divisor, x / total, s_xx / divisor, s_yx / divisor)


def _check_proportion(n: int, sums: tuple[int, ...]) -> None:
    y = sums[0]
    if not 0 <= y <= n * MICROS or sums[4] != y * MICROS:
        raise ImpossibleSumsError("no sample of zeros and ones")


def _reduced_ratio(control: Moments, treatment: Moments) -> tuple[float, ...]:
    sums_c, sums_t = control.sums, treatment.sums
    differences = (
        _ratio_difference(sums_c[0], sums_c[1], sums_t[0], sums_t[1]),
        _ratio_difference(sums_c[2], sums_c[3], sums_t[2], sums_t[3]),
    )
    both = tuple(map(int.__add__, sums_c, sums_t))
    pooled = _ratio_arm(control.n + treatment.n, both)
    return (*_ratio_arm(control.n, sums_c), *_ratio_arm(treatment.n, sums_t), *differences, *pooled)


def _ratio_difference(y_c: int, d_c: int, y_t: int, d_t: int) -> float:
    return (y_t * d_c - y_c * d_t) / (d_c * d_t) if d_c and d_t else _NAN


def _ratio_arm(n: int, sums: tuple[int, ...]) -> _Unit:
    """R, var and cov of the linearised users (y - R d)/mean(d) and (x - P e)/mean(e), from integers.

    With A_ab = n S_ab - S_a S_b: var = n (A_yy S_d^2 - 2 A_yd S_y S_d + A_dd S_y^2) / ((n-1) S_d^4).
    """
    y, d, x, e, yy, yd, yx, ye, dd, dx, de, xx, xe, ee = sums
    if n < 2:
        Moments(n, sums).check()
        return (float(n), y / d if d else _NAN, _NAN, x / e if e else _NAN, _NAN, _NAN)
    mean, variance = _linearised(n, y, d, n * yy - y * y, n * yd - y * d, n * dd - d * d)
    covariate_mean, covariate_variance = _linearised(n, x, e, n * xx - x * x, n * xe - x * e, n * ee - e * e)
    if d == 0 or e == 0:
        return (float(n), mean, variance, covariate_mean, covariate_variance, _NAN)
    s_yx, s_ye, s_dx, s_de = n * yx - y * x, n * ye - y * e, n * dx - d * x, n * de - d * e
    cross = (s_yx * d - s_dx * y) * e - (s_ye * d - s_de * y) * x
    covariance = n * cross / ((n - 1) * (d * e) ** 2)
    if covariance * covariance > variance * covariate_variance * (1.0 + 1e-9):
        raise ImpossibleSumsError("a covariance that exceeds the variances")
    return (float(n), mean, variance, covariate_mean, covariate_variance, covariance)


def _linearised(n: int, y: int, d: int, s_yy: int, s_yd: int, s_dd: int) -> tuple[float, float]:
    if s_yy < 0 or s_dd < 0 or s_yd * s_yd > s_yy * s_dd:
        raise ImpossibleSumsError("a negative variance or a covariance that exceeds the variances")
    if d == 0:
        return _NAN, _NAN
    spread = (s_yy * d - 2 * s_yd * y) * d + s_dd * y * y
    squared = d * d
    return y / d, n * spread / ((n - 1) * squared * squared)
