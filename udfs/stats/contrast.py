"""The difference of two arms as every test needs it: means, variances of the means, Welch's parts.

Config versions with different allocations are combined here, as strata: a version's share of users
weighs its difference, so that a change of allocation cannot look like an effect (Simpson).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from udfs.stats.arrays import Array
from udfs.stats.pairs import Arms


@dataclass(frozen=True, slots=True)
class Contrasts:
    """Differences of two means on the metric's own scale; every field has shape ``(comparisons,)``.

    Attributes:
        difference: Treatment minus control.
        control, treatment: The two means, as shown.
        control_variance, treatment_variance: Variances of those means (squared standard errors).
        control_satterthwaite, treatment_satterthwaite: (variance of the arm's mean)^2/(n - 1), whose sum
            divides in Welch's degrees of freedom.
    """

    difference: Array
    control: Array
    treatment: Array
    control_variance: Array
    treatment_variance: Array
    control_satterthwaite: Array
    treatment_satterthwaite: Array

    @property
    def variance(self) -> Array:
        """Squared standard error of the difference (Welch 1947: no common variance is assumed)."""
        return self.control_variance + self.treatment_variance

    @property
    def degrees_of_freedom(self) -> Array:
        """Welch-Satterthwaite; nan where both variances are 0."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.variance**2 / (self.control_satterthwaite + self.treatment_satterthwaite))

    @classmethod
    def of_arms(cls, control: Arms, treatment: Arms, difference: Array) -> Self:
        """The contrast of two arms as they are."""
        return cls.of_variances(
            difference,
            (control.mean, control.variance, control.n),
            (treatment.mean, treatment.variance, treatment.n),
        )

    @classmethod
    def of_variances(
        cls, difference: Array, control: tuple[Array, Array, Array], treatment: tuple[Array, Array, Array]
    ) -> Self:
        """The contrast of two arms given as (mean, variance per user, n)."""
        control_mean, control_variance, control_n = control
        treatment_mean, treatment_variance, treatment_n = treatment
        with np.errstate(invalid="ignore", divide="ignore"):
            v_c, v_t = control_variance / control_n, treatment_variance / treatment_n
            s_c, s_t = v_c**2 / (control_n - 1.0), v_t**2 / (treatment_n - 1.0)
        return cls(difference, control_mean, treatment_mean, v_c, v_t, s_c, s_t)

    def take(self, rows: NDArray[np.intp]) -> Contrasts:
        """The given rows alone."""
        return Contrasts(*(getattr(self, each.name)[rows] for each in fields(self)))

    def combined(self, strata: Strata) -> Contrasts:
        """Sum of w_v·difference_v, with variance sum of w_v^2·variance_v, over each comparison's strata."""
        if strata.single:
            return self
        return Contrasts(
            strata.sum(self.difference, 1),
            strata.sum(self.control, 1),
            strata.sum(self.treatment, 1),
            strata.sum(self.control_variance, 2),
            strata.sum(self.treatment_variance, 2),
            strata.sum(self.control_satterthwaite, 4),
            strata.sum(self.treatment_satterthwaite, 4),
        )


@dataclass(frozen=True, slots=True)
class Strata:
    """Which rows (strata) form each comparison, and how much each weighs.

    Attributes:
        starts: First row of each comparison, shape ``(comparisons,)``; its rows follow one another.
        weight: Share of the comparison's users in each row, shape ``(rows,)``; 0 for rows left out.
        single: Every comparison is one row.
    """

    starts: NDArray[np.intp]
    weight: Array
    single: bool

    @classmethod
    def of(cls, counts: NDArray[np.intp], users: Array, usable: NDArray[np.bool_]) -> Self:
        """Weigh usable rows by their users; where none is usable all rows are kept, and stay undetermined.

        Args:
            counts: Rows of each comparison, each at least 1, shape ``(comparisons,)``.
            users: Users of each row in both arms.
            usable: Whether a row has a difference and a variance.
        """
        starts = np.concatenate(([0], np.cumsum(counts)[:-1])).astype(np.intp)
        if len(users) == len(counts):
            return cls(starts, np.ones(len(users)), True)
        kept = np.where(usable, users, 0.0)
        nothing = np.repeat(np.add.reduceat(kept, starts) == 0.0, counts)
        kept = np.where(nothing, np.maximum(users, 1.0), kept)
        return cls(starts, kept / np.repeat(np.add.reduceat(kept, starts), counts), False)

    def sum(self, values: Array, power: int = 0) -> Array:
        """Per comparison, the sum of weight^power·values over the rows with a weight."""
        if self.single:
            return values
        weighted = np.where(self.weight > 0.0, values, 0.0) * self.weight**power
        return np.asarray(np.add.reduceat(weighted, self.starts))

    def information(self, n_control: Array, n_treatment: Array) -> Array:
        """The sequential test's clock: 4/(1/n_C + 1/n_T), and over versions what keeps it a clock.

        Over versions the sum of n_v·difference_v gains variance n_v^2·4/t_v per version, so time must run
        as that sum does: t = (t_1/n_1)^2·sum n_v^2/t_v, the first version setting the unit. With one version
        it is t_1.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            users = n_control + n_treatment
            own = np.where(users > 0.0, 4.0 * n_control * n_treatment / users, 0.0)
            if self.single:
                return np.asarray(own)
            kept = self.weight > 0.0
            gained = np.add.reduceat(np.where(kept, users**2 / own, 0.0), self.starts)
            first = np.minimum.reduceat(np.where(kept, np.arange(len(users)), len(users)), self.starts)
            return np.asarray((own[first] / users[first]) ** 2 * gained)
