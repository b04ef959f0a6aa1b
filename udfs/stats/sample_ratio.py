"""Did users arrive in the shares the definition asks for? If not, the groups differ by more than it.

Counts are of distinct users. Arms that should receive nobody take no part in the tests; users found in
one are a leak, a finding of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from udfs.stats.arrays import Array
from udfs.stats.outcome import Reason, Undetermined

CONCENTRATION = 1000.0
"""Default prior of the sequential test, in users' worth of trust in the intended shares."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """Users by variant under one config version, with the relative weights that version gave.

    A variant absent from ``counts`` has 0 users; one absent from ``weights`` has weight 0.

    Raises:
        ValueError: A count is negative, or a weight is negative or not finite.
    """

    counts: Mapping[str, int]
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        for variant, count in self.counts.items():
            if count < 0:
                raise ValueError(f"count of {variant!r} is {count}: it cannot be negative")
        for variant, weight in self.weights.items():
            if not (weight >= 0.0 and np.isfinite(weight)):
                raise ValueError(f"weight of {variant!r} is {weight}: it must be finite and not negative")

    @property
    def shares(self) -> dict[str, float]:
        """Expected share of each variant with a weight; they sum to 1. Empty when no variant has one."""
        total = sum(self.weights.values())
        return {variant: weight / total for variant, weight in self.weights.items() if weight > 0.0}

    @property
    def leaked(self) -> dict[str, int]:
        """Users in variants without weight, by variant."""
        shares = self.shares
        found = self.counts.items()
        return {variant: count for variant, count in found if count > 0 and variant not in shares}


def leaked_users(allocations: Iterable[Allocation]) -> int:
    """Users of all versions in variants without weight: where nobody should be."""
    return sum(sum(each.leaked.values()) for each in allocations)


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Observed against expected users.

    Attributes:
        counts: Users by variant over all versions, leaked ones too.
        expected: Sum over versions of (users of the version in its weighted arms)·share.
        chi2, degrees_of_freedom, p_value: Pearson's test, added over versions; valid for one look.
        leaked: Users by variant in arms of weight 0; empty when all is well.
        log_e_value: ln of the sequential test's e-value, added over versions; any number of looks.
        sequential_p_value: min(1, 1/E) of this look. Keep its minimum over looks.
    """

    counts: Mapping[str, int]
    expected: Mapping[str, float]
    chi2: float
    degrees_of_freedom: int
    p_value: float
    leaked: Mapping[str, int]
    log_e_value: float

    @property
    def reason(self) -> Reason | None:
        """What is wrong beside the shares: a leak."""
        return Reason.LEAK if self.leaked else None

    @property
    def sequential_p_value(self) -> float:
        """Always-valid p of this look."""
        return min(1.0, math.exp(-self.log_e_value)) if self.log_e_value > -700.0 else 1.0


def multinomial_log_e(counts: ArrayLike, shares: ArrayLike, concentration: float = CONCENTRATION) -> Array:
    """ln of the Bayes factor of "some other allocation" against ``shares`` (Lindon and Malek 2020, eq. 6).

    ln G(A) - ln G(A + N) + sum [ln G(a_i + S_i) - ln G(a_i)] - sum S_i ln theta_i, with a_i = A·theta_i. A
    function of today's counts alone: the order in which users came does not matter.

    Args:
        counts: Users S_i by arm, shape ``(..., arms)``.
        shares: Expected shares theta_i, above 0, summing to 1, shape ``(arms,)``.
        concentration: A: how near to ``shares`` the alternative is sought; 1000 finds 52/48 soonest.

    Returns:
        ln E, shape ``(...)``; p = min(1, exp(-ln E)) holds at any number of looks.
    """
    s = np.asarray(counts, dtype=np.float64)
    theta = np.asarray(shares, dtype=np.float64)
    a = concentration * theta
    total = special.gammaln(concentration) - special.gammaln(concentration + s.sum(axis=-1))
    arms = special.gammaln(a + s) - special.gammaln(a) - s * np.log(theta)
    return np.asarray(total + arms.sum(axis=-1))


def sample_ratio(
    allocations: Sequence[Allocation], *, concentration: float = CONCENTRATION
) -> SampleRatio | Undetermined:
    """Users against the allocation: Pearson's chi-square for one look, and a test for any number of looks.

    Fabijan et al., KDD 2019, section 4; Lindon and Malek, NeurIPS 2022 (arXiv 2011.03567).

    Args:
        allocations: One per config version. Statistics, degrees of freedom and ln E add over versions, so
            that opposite imbalances cannot cancel.
        concentration: Of the sequential test's Dirichlet prior, above 0.

    Returns:
        ``Undetermined(NO_ALLOCATION)`` when no version has two arms with weight, ``Undetermined(NO_UNITS)``
        when those have no users: ``LEAK`` instead of either when there are users in arms of weight 0.
    """
    counts: dict[str, int] = {}
    expected: dict[str, float] = {}
    leaked: dict[str, int] = {}
    chi2, degrees, log_e = 0.0, 0, 0.0
    judged = False
    for allocation in allocations:
        shares = allocation.shares
        for variant, count in allocation.counts.items():
            counts[variant] = counts.get(variant, 0) + count
        for variant, count in allocation.leaked.items():
            leaked[variant] = leaked.get(variant, 0) + count
        users = sum(allocation.counts.get(variant, 0) for variant in shares)
        for variant, share in shares.items():
            expected[variant] = expected.get(variant, 0.0) + users * share
        judged = judged or len(shares) > 1
        if len(shares) < 2 or users == 0:
            continue
        degrees += len(shares) - 1
        arms = [allocation.counts.get(variant, 0) for variant in shares]
        log_e += float(multinomial_log_e(arms, list(shares.values()), concentration))
        chi2 += sum(
            (count - users * share) ** 2 / (users * share)
            for count, share in zip(arms, shares.values(), strict=True)
        )
    if degrees == 0 and leaked:
        return Undetermined(Reason.LEAK)
    if degrees == 0:
        return Undetermined(Reason.NO_UNITS if judged else Reason.NO_ALLOCATION)
    return SampleRatio(counts, expected, chi2, degrees, float(special.chdtrc(degrees, chi2)), leaked, log_e)


def crossed_balance(
    crossed: Sequence[Mapping[str, int]], users: Sequence[Mapping[str, int]]
) -> float | Undetermined:
    """p of "every variant has the same share of crossed users", by Pearson's test of homogeneity (1900).

    Who crosses depends on who returns, so unequal shares say that leaving crossed users out selects after
    treatment. Chi-square and degrees of freedom add over versions.

    Args:
        crossed: Crossed users by variant, one mapping per config version.
        users: All users by variant (clean and crossed), likewise; a variant without users takes no part.

    Returns:
        One look's p in [0, 1], or ``Undetermined(NO_UNITS)`` when no version has two variants with users and
        both crossed and clean ones.

    Raises:
        ValueError: More users crossed than there are, or lists of different length.
    """
    chi2, degrees = 0.0, 0
    for found, everyone in zip(crossed, users, strict=True):
        n = np.array([count for count in everyone.values() if count > 0], dtype=np.float64)
        k = np.array(
            [found.get(variant, 0) for variant, count in everyone.items() if count > 0], dtype=np.float64
        )
        if np.any(k > n) or np.any(k < 0):
            raise ValueError(
                f"crossed users are {dict(found)} of {dict(everyone)}: at most all, at least none"
            )
        share = k.sum() / n.sum() if n.size else 0.0
        if n.size < 2 or not 0.0 < share < 1.0:
            continue
        chi2 += float(((k - n * share) ** 2 / (n * share * (1.0 - share))).sum())
        degrees += n.size - 1
    return float(special.chdtrc(degrees, chi2)) if degrees else Undetermined(Reason.NO_UNITS)
