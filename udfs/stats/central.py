"""Means, variances and covariances of many arms in doubles, for those who hold no exact sums.

They carry what digits they have: a mean of 10^9 leaves 10^-7 of a difference. Sums in integers
(``Moments``) do not lose any; use this where a warehouse has computed the moments already.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from udfs.stats.arrays import Array
from udfs.stats.outcome import ImpossibleSumsError, Reason
from udfs.stats.pairs import Arms, Kind, Pairs

_PRODUCTS = ((0, 0), (0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (3, 3))
_VARIANCES = (0, 4, 7, 9)


@dataclass(frozen=True, slots=True)
class CentralMoments:
    """Moments of one arm in each of many comparisons.

    Attributes:
        n: Users, shape ``(rows,)``, not negative.
        means: Of y, d, x and e, shape ``(4, rows)``; zeros for what a metric has not.
        covariances: yy, yd, yx, ye, dd, dx, de, xx, xe, ee with divisor n - 1, shape ``(10, rows)``.

    Raises:
        ValueError: A shape does not fit, or an n is negative.
        ImpossibleSumsError: A variance is negative.
    """

    n: Array
    means: Array
    covariances: Array

    def __post_init__(self) -> None:
        rows = len(self.n)
        if self.means.shape != (4, rows) or self.covariances.shape != (10, rows):
            shapes = f"means {self.means.shape}, covariances {self.covariances.shape}"
            raise ValueError(f"{shapes}: for {rows} rows they are (4, {rows}) and (10, {rows})")
        if np.any(self.n < 0.0):
            raise ValueError(f"n is {self.n.min()}: a count of users cannot be negative")
        lowest = self.covariances[_VARIANCES, :]
        if np.any(lowest < 0.0):
            raise ImpossibleSumsError(f"a variance is {np.nanmin(lowest)}: it cannot be negative")

    def rows(self, rows: slice) -> CentralMoments:
        """Some of the rows alone."""
        return CentralMoments(self.n[rows], self.means[:, rows], self.covariances[:, rows])

    def merged(self, other: CentralMoments) -> CentralMoments:
        """Both arms as one sample (Chan, Golub, LeVeque 1979, eq. 2.1, and its product form)."""
        n = self.n + other.n
        apart = other.means - self.means
        with np.errstate(invalid="ignore", divide="ignore"):
            means = self.means + apart * (other.n / n)
            between = self.n * other.n / n
            inner = self.covariances * (self.n - 1.0) + other.covariances * (other.n - 1.0)
            outer = np.stack([apart[a] * apart[b] for a, b in _PRODUCTS]) * between
            covariances = (inner + outer) / (n - 1.0)
        return CentralMoments(n, means, covariances)

    def arms(self, kind: Kind) -> Arms:
        """Each arm reduced to one outcome and one covariate per user."""
        yy, yd, yx, ye, dd, dx, de, xx, xe, ee = self.covariances
        y, d, x, e = self.means
        if kind != "ratio":
            return Arms(self.n, y, yy, x, xx, yx)
        with np.errstate(invalid="ignore", divide="ignore"):
            post, pre = y / d, x / e
            variance = (yy - 2.0 * post * yd + post**2 * dd) / d**2
            covariate_variance = (xx - 2.0 * pre * xe + pre**2 * ee) / e**2
            covariance = (yx - pre * ye - post * dx + post * pre * de) / (d * e)
        return Arms(
            self.n, post, np.maximum(variance, 0.0), pre, np.maximum(covariate_variance, 0.0), covariance
        )


def pairs_of(control: CentralMoments, treatment: CentralMoments, kind: Kind) -> Pairs:
    """Many pairs of one kind, ready for ``compare_pairs``.

    Args:
        control, treatment: The arms, row by row.
        kind: Of all rows.
    """
    first, second, both = control.arms(kind), treatment.arms(kind), control.merged(treatment).arms(kind)
    reasons = np.full(control.n.shape, None, dtype=object)
    if kind == "ratio":
        reasons[(control.means[1] == 0.0) | (treatment.means[1] == 0.0)] = Reason.ZERO_DENOMINATOR
    reasons[(control.n < 2.0) | (treatment.n < 2.0)] = Reason.TOO_FEW_UNITS
    covariate_difference = second.covariate_mean - first.covariate_mean
    return Pairs(first, second, both, second.mean - first.mean, covariate_difference, reasons)
