"""Simulated experiments by the thousand, answered through the same call as the real ones.

An arm is a table (simulations, looks) of sums over its users so far. ``answers`` turns two of them into the
columns of ``results``, each of shape (simulations, looks).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from udfs.stats import Questions, compare_pairs
from udfs.stats.arrays import Array
from udfs.stats.central import CentralMoments, pairs_of
from udfs.stats.pairs import Kind

CHUNK = 100_000
KEPT = (
    "abs_diff", "abs_ci_lower", "abs_ci_upper", "p_value", "log_p_value",
    "rel_diff", "rel_ci_lower", "rel_ci_upper",
    "cuped_abs_diff", "cuped_ci_lower", "cuped_ci_upper", "cuped_p_value", "variance_reduction",
    "harm_p_value", "harm_log_e", "noninferior_p_value",
    "seq_ci_lower", "seq_ci_upper", "seq_rel_ci_lower", "seq_rel_ci_upper", "seq_p_value",
    "users_needed", "chance_to_win", "expected_loss", "posterior_lift", "posterior_ci_lower",
    "posterior_ci_upper",
)  # fmt: skip
"""The columns that a check or a picture looks at."""


@dataclass(frozen=True)
class Arm:
    """Users and their moments at each look: ``n`` broadcasts to the shape of the others."""

    n: Array
    mean: Array
    variance: Array
    covariate_mean: Array | float = 0.0
    covariate_variance: Array | float = 0.0
    covariance: Array | float = 0.0

    def central(self) -> CentralMoments:
        n, y, yy, x, xx, yx = (
            np.ravel(each)
            for each in np.broadcast_arrays(
                self.n,
                self.mean,
                self.variance,
                self.covariate_mean,
                self.covariate_variance,
                self.covariance,
            )
        )
        zero = np.zeros_like(y)
        means = np.stack([y, zero, x, zero])
        covariances = np.stack([yy, zero, yx, zero, zero, zero, zero, xx, zero, zero])
        return CentralMoments(n.astype(np.float64), means, covariances)

    def shift(self, by: float) -> Arm:
        """The same users with ``by`` added to each outcome."""
        return Arm(
            self.n,
            self.mean + by,
            self.variance,
            self.covariate_mean,
            self.covariate_variance,
            self.covariance,
        )


def answers(control: Arm, treatment: Arm, kind: Kind = "mean", **asked: object) -> dict[str, Array]:
    """The columns of ``results`` for every simulation and look, some at a time to stay small."""
    shape = np.broadcast_shapes(np.shape(control.mean), np.shape(treatment.mean))
    first, second = control.central(), treatment.central()
    parts: list[dict[str, Array]] = []
    for start in range(0, len(first.n), CHUNK):
        rows = slice(start, start + CHUNK)
        pairs = pairs_of(first.rows(rows), second.rows(rows), kind)
        columns = compare_pairs(pairs, Questions(**asked)).columns()
        parts.append({name: columns[name] for name in KEPT})
    return {name: np.concatenate([part[name] for part in parts]).reshape(shape) for name in KEPT}


Users = Callable[[Generator, tuple[int, ...]], Array]


def normal(rng: Generator, shape: tuple[int, ...]) -> Array:
    return rng.standard_normal(shape) + 3.0


def exponential(rng: Generator, shape: tuple[int, ...]) -> Array:
    return rng.standard_exponential(shape)


def bernoulli(share: float) -> Users:
    def users(rng: Generator, shape: tuple[int, ...]) -> Array:
        return (rng.random(shape) < share).astype(np.float64)

    return users


def revenue(rng: Generator, shape: tuple[int, ...]) -> Array:
    """One user in ten pays, and what he pays is lognormal(0, 1.2)."""
    values = np.zeros(shape)
    pays = rng.random(shape) < 0.1
    values[pays] = np.exp(1.2 * rng.standard_normal(int(pays.sum())))
    return values


def arm_at_looks(rng: Generator, users: Users, simulations: int, looks: Array) -> Arm:
    """Users arrive one after the other; the arm is seen when it holds ``looks`` users (increasing).

    Raises:
        ValueError: Looks are not increasing.
    """
    if np.any(np.diff(looks) <= 0):
        raise ValueError("looks must increase")
    starts = np.concatenate(([0], looks[:-1])).astype(np.intp)
    sums, squares = (np.empty((simulations, len(looks))) for _ in range(2))
    batch = max(1, 4_000_000 // int(looks[-1]))
    for first in range(0, simulations, batch):
        rows = slice(first, min(first + batch, simulations))
        values = users(rng, (rows.stop - rows.start, int(looks[-1])))
        sums[rows] = np.cumsum(np.add.reduceat(values, starts, axis=1), axis=1)
        squares[rows] = np.cumsum(np.add.reduceat(values**2, starts, axis=1), axis=1)
    n = looks.astype(np.float64)
    mean = sums / n
    return Arm(n, mean, np.maximum(squares - n * mean**2, 0.0) / np.maximum(n - 1.0, 1.0))


def ever(alarms: Array) -> float:
    """Share of simulations in which any look raised an alarm."""
    return float(np.mean(np.any(alarms, axis=-1)))


def standard_error(share: float, simulations: int) -> float:
    return float(np.sqrt(share * (1.0 - share) / simulations))
