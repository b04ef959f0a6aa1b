"""Many questions at once: p-values that keep their promise for the whole family.

Everything is in logarithms, so a p of 1e-400 keeps its rank. ``family`` splits the arrays into independent
families; nan is a question without an answer, which counts as p = 1 in its family and stays nan.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from udfs.stats.arrays import Array, Numbers

Families = NDArray[np.intp] | None


def holm(log_p: Numbers, family: Families = None) -> Array:
    """ln of Holm's adjusted p: family-wise error at most alpha under any dependence (Holm 1979).

    Of always-valid p-values the adjusted ones are always valid.

    Args:
        log_p: ln p, at most 0, shape ``(questions,)``.
        family: The family of each question; one family if absent.

    Returns:
        Shape and order of the input.
    """
    return _adjusted(log_p, family, _holm)


def bonferroni(log_p: Numbers, family: Families = None) -> Array:
    """ln of Bonferroni's adjusted p, m·p; agrees with intervals at level alpha/m. Arguments as ``holm``."""
    return _adjusted(log_p, family, lambda ordered, size, rank: ordered + np.log(size))


def benjamini_hochberg(log_p: Numbers, family: Families = None) -> Array:
    """ln of the adjusted p that bounds the false discovery rate of *independent* questions.

    Benjamini and Hochberg 1995. Arguments as ``holm``.
    """
    return _adjusted(log_p, family, _benjamini_hochberg)


def benjamini_yekutieli(log_p: Numbers, family: Families = None) -> Array:
    """The same under any dependence, times 1 + 1/2 + … + 1/m (Benjamini and Yekutieli 2001, theorem 1.3)."""

    def step(ordered: Array, size: Array, rank: Array) -> Array:
        return np.asarray(_benjamini_hochberg(ordered, size, rank) + np.log(_harmonic(size)))

    return _adjusted(log_p, family, step)


def e_benjamini_hochberg(log_e: Numbers, family: Families = None) -> Array:
    """ln of the level at which e-BH rejects: false discovery rate under any dependence.

    Wang and Ramdas 2022 (arXiv 2009.02824), the procedure that rejects the k largest with E >= m/(alpha k).

    Args:
        log_e: ln of *current* e-values. Their running maxima are not e-values: with those the rate does
            not hold (Tavyrikov, Goeman, de Heide 2025).
        family: As in ``holm``.

    Returns:
        Reject where this is at most ln(alpha).
    """
    return benjamini_hochberg(np.minimum(0.0, -np.asarray(log_e, dtype=np.float64)), family)


def family_sizes(family: NDArray[np.intp]) -> Array:
    """How many questions the family of each question has, shape as ``family``; 1 where it is negative."""
    _, position, sizes = np.unique(family, return_inverse=True, return_counts=True)
    return np.asarray(np.where(family < 0, 1.0, sizes[position].astype(np.float64)))


Step = Callable[[Array, Array, Array], Array]


def _holm(ordered: Array, size: Array, rank: Array) -> Array:
    remaining = np.maximum(size - rank, 1.0)
    return np.asarray(np.maximum.accumulate(ordered + np.log(remaining), axis=1))


def _benjamini_hochberg(ordered: Array, size: Array, rank: Array) -> Array:
    stepped = ordered + np.log(size) - np.log(rank + 1.0)
    return np.asarray(np.minimum.accumulate(stepped[:, ::-1], axis=1)[:, ::-1])


def _harmonic(size: Array) -> Array:
    sums = np.cumsum(1.0 / np.arange(1, int(size.max()) + 1))
    return np.asarray(sums[size.astype(np.intp) - 1])


def _adjusted(log_p: Numbers, family: Families, step: Step) -> Array:
    """Put each family, sorted, into a row of a table, apply ``step`` to all rows, put the answers back."""
    given = np.asarray(log_p, dtype=np.float64)
    if np.any(given > 0.0):
        raise ValueError(f"a log p-value is {np.nanmax(given)}: it cannot be above 0")
    if given.size == 0:
        return given.copy()
    labels = np.zeros(given.shape, dtype=np.intp) if family is None else np.asarray(family)
    _, row, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    known = np.where(np.isnan(given), 0.0, given)
    order = np.lexsort((known, row))
    starts = np.cumsum(sizes) - sizes
    column = np.arange(given.size) - np.repeat(starts, sizes)
    table = np.full((len(sizes), int(sizes.max())), np.inf)
    table[row[order], column] = known[order]
    size = sizes.astype(np.float64)[:, np.newaxis]
    rank = np.arange(table.shape[1], dtype=np.float64)[np.newaxis, :]
    adjusted = np.minimum(step(table, size, rank), 0.0)
    result = np.empty_like(given)
    result[order] = adjusted[row[order], column]
    return np.where(np.isnan(given), np.nan, result)
