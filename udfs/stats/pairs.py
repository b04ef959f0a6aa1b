"""Many (control, treatment) pairs at once, each user reduced to one outcome and one covariate.

A mean or a proportion compares y with covariate x. A ratio compares sum(y)/sum(d), whose delta-method
value per user is (y - R d)/mean(d) (Deng, Knoblich, Lu 2018, section 3). After this reduction every
later formula is the same for all kinds. It is done in integers, with one division at the end, so
an offset of 1e12 with a spread of 1 costs no digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
        rows, reasons = [], []
        for (control, treatment), kind in zip(pairs, kinds, strict=True):
            try:
                row = _reduced(control, treatment, kind)
                reasons.append(_reason(control, treatment, kind))
            except ImpossibleSumsError:
                row = _counts_only(control, treatment)
                reasons.append(Reason.IMPOSSIBLE_SUMS)
            rows.append(row)
        table = np.array(rows, dtype=np.float64).reshape(len(rows), 20).T
        marked = np.empty(len(rows), dtype=object)
        marked[:] = reasons
        return cls(Arms(*table[0:6]), Arms(*table[6:12]), Arms(*table[12:18]), table[18], table[19], marked)


_Unit = tuple[float, float, float, float, float, float]


def _reduced(control: Moments, treatment: Moments, kind: Kind) -> tuple[float, ...]:
    return _reduced_ratio(control, treatment) if kind == "ratio" else _reduced_mean(control, treatment, kind)


def _counts_only(control: Moments, treatment: Moments) -> tuple[float, ...]:
    unknown = (_NAN,) * 5
    both = float(control.n + treatment.n)
    return (float(control.n), *unknown, float(treatment.n), *unknown, both, *unknown, _NAN, _NAN)


def _reason(control: Moments, treatment: Moments, kind: Kind) -> Reason | None:
    if control.n < 2 or treatment.n < 2:
        return Reason.TOO_FEW_UNITS
    if kind == "ratio" and (control.sums[1] == 0 or treatment.sums[1] == 0):
        return Reason.ZERO_DENOMINATOR
    return None


def _reduced_mean(control: Moments, treatment: Moments, kind: Kind) -> tuple[float, ...]:
    both = control + treatment
    if kind == "proportion":
        _check_proportion(control)
        _check_proportion(treatment)
    n_c, n_t = control.n, treatment.n
    if n_c and n_t:
        divisor = n_c * n_t * MICROS
        difference = (treatment.sums[0] * n_c - control.sums[0] * n_t) / divisor
        covariate_difference = (treatment.sums[2] * n_c - control.sums[2] * n_t) / divisor
    else:
        difference = covariate_difference = _NAN
    return (*_mean_arm(control), *_mean_arm(treatment), *_mean_arm(both), difference, covariate_difference)


def _mean_arm(moments: Moments) -> _Unit:
    n = moments.n
    y, _, x, _, yy, _, yx, _, _, _, _, xx, _, _ = moments.sums
    if n == 0:
        if any(moments.sums):
            moments.check()
        return (0.0, _NAN, _NAN, _NAN, _NAN, _NAN)
    s_yy, s_xx, s_yx = n * yy - y * y, n * xx - x * x, n * yx - y * x
    if s_yy < 0 or s_xx < 0 or s_yx * s_yx > s_yy * s_xx:
        moments.check()
    mean, covariate_mean = y / (n * MICROS), x / (n * MICROS)
    if n == 1:
        return (1.0, mean, _NAN, covariate_mean, _NAN, _NAN)
    divisor = n * (n - 1) * _SQUARED
    return (float(n), mean, s_yy / divisor, covariate_mean, s_xx / divisor, s_yx / divisor)


def _check_proportion(moments: Moments) -> None:
    y, yy = moments.sums[0], moments.sums[4]
    if not 0 <= y <= moments.n * MICROS or yy != y * MICROS:
        raise ImpossibleSumsError(f"no sample of 0 and 1 has n = {moments.n}, sum_y = {y}, sum_yy = {yy}")


def _reduced_ratio(control: Moments, treatment: Moments) -> tuple[float, ...]:
    control_y, control_d, control_x, control_e = control.sums[:4]
    treatment_y, treatment_d, treatment_x, treatment_e = treatment.sums[:4]
    difference = _ratio_difference(control_y, control_d, treatment_y, treatment_d)
    covariate_difference = _ratio_difference(control_x, control_e, treatment_x, treatment_e)
    arms = (*_ratio_arm(control), *_ratio_arm(treatment), *_ratio_arm(control + treatment))
    return (*arms, difference, covariate_difference)


def _ratio_difference(y_c: int, d_c: int, y_t: int, d_t: int) -> float:
    return (y_t * d_c - y_c * d_t) / (d_c * d_t) if d_c and d_t else _NAN


def _ratio_arm(moments: Moments) -> _Unit:
    """R, var and cov of the linearised users (y - R d)/mean(d) and (x - P e)/mean(e), from integers.

    With A_ab = n S_ab - S_a S_b: var = n (A_yy S_d^2 - 2 A_yd S_y S_d + A_dd S_y^2) / ((n-1) S_d^4).
    """
    n = moments.n
    y, d, x, e, yy, yd, yx, ye, dd, dx, de, xx, xe, ee = moments.sums
    if n < 2:
        moments.check()
        return (float(n), y / d if d else _NAN, _NAN, x / e if e else _NAN, _NAN, _NAN)
    s_yy, s_yd, s_dd = n * yy - y * y, n * yd - y * d, n * dd - d * d
    s_xx, s_xe, s_ee = n * xx - x * x, n * xe - x * e, n * ee - e * e
    if min(s_yy, s_dd, s_xx, s_ee) < 0 or s_yd * s_yd > s_yy * s_dd or s_xe * s_xe > s_xx * s_ee:
        moments.check()
    mean, variance = _linearised(n, y, d, s_yy, s_yd, s_dd)
    covariate_mean, covariate_variance = _linearised(n, x, e, s_xx, s_xe, s_ee)
    if d == 0 or e == 0:
        return (float(n), mean, variance, covariate_mean, covariate_variance, _NAN)
    s_yx, s_ye, s_dx, s_de = n * yx - y * x, n * ye - y * e, n * dx - d * x, n * de - d * e
    cross = (s_yx * d - s_dx * y) * e - (s_ye * d - s_de * y) * x
    covariance = n * cross / ((n - 1) * d * d * e * e)
    if covariance * covariance > variance * covariate_variance * (1.0 + 1e-9):
        moments.check()
    return (float(n), mean, variance, covariate_mean, covariate_variance, covariance)


def _linearised(n: int, y: int, d: int, s_yy: int, s_yd: int, s_dd: int) -> tuple[float, float]:
    if d == 0:
        return _NAN, _NAN
    spread = (s_yy * d - 2 * s_yd * y) * d + s_dd * y * y
    squared = d * d
    return y / d, n * spread / ((n - 1) * squared * squared)
