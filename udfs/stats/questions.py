"""What is asked: a comparison in words (``Comparison``) and many of them as arrays (``Questions``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from udfs.stats import planning
from udfs.stats.arrays import Array, Flags, Numbers
from udfs.stats.bayes import PRIOR_SD
from udfs.stats.guardrail import Direction
from udfs.stats.moments import Moments
from udfs.stats.outcome import check_positive, check_probability
from udfs.stats.pairs import KINDS, Kind
from udfs.stats.sequential import planned_information

NO_FAMILY = -1
"""Label of questions outside any family."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One question: does this treatment differ from the control in this metric?

    Attributes:
        kind: How users are compared: ``mean``, ``proportion`` or ``ratio``.
        strata: (control, treatment) sums, one pair per config version, oldest first; one for a single
            version.
        has_covariate: The metric has a pre-period, so x (and e) mean something.
        alpha: Rate of false alarms, in (0, 1).
        direction: The good direction.
        planned_units: Planned users over all arms, which with ``alpha`` freezes the sequential test.
            Without it there are no sequential columns.
        shares: Weights of control and treatment divided by the sum over all arms, of the oldest version.
        one_look: The view is a question asked once: no sequential columns, reason ``one_look_only``.
        log_p_min: ``seq_log_p_min`` of the look before; 0 at the first.
        family: Label of the family whose questions are adjusted together; absent outside any.
        margin, margin_abs: What a guardrail may lose: share of the control mean, or the metric's unit.
        stop_level: One-sided error rate of a guardrail that stops (``decisions.stop_level``), in (0, .5).
            The one-sided tests are sharpest at it, else at ``alpha``.
        prior_sd: Of the Bayesian prior N(0, prior_sd^2) on the relative lift.
        power: Wanted chance of seeing an effect, in (0, 1).
        target_lift: Relative lift that matters; users and days are counted to it, or else to
            ``planned_units``.
        users_per_day: New users a day in both arms, for the days left.

    Raises:
        ValueError: Naming the attribute and the rule it breaks.
    """

    kind: Kind
    strata: tuple[tuple[Moments, Moments], ...]
    has_covariate: bool = False
    alpha: float = 0.05
    direction: Direction = "increase"
    planned_units: float | None = None
    shares: tuple[float, float] = (0.5, 0.5)
    one_look: bool = False
    log_p_min: float = 0.0
    family: int | None = None
    margin: float = 0.0
    margin_abs: float = 0.0
    stop_level: float | None = None
    prior_sd: float = PRIOR_SD
    power: float = planning.POWER
    target_lift: float | None = None
    users_per_day: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}: it must be one of {', '.join(KINDS)}")
        if not self.strata:
            raise ValueError("strata is empty: a comparison needs the sums of at least one config version")
        if self.direction not in ("increase", "decrease"):
            raise ValueError(f"direction is {self.direction!r}: it must be increase or decrease")
        check_probability("alpha", self.alpha)
        check_probability("power", self.power)
        check_positive("prior_sd", self.prior_sd)
        if self.planned_units is not None:
            check_positive("planned_units", self.planned_units)
        if not (min(self.shares) >= 0.0 and sum(self.shares) <= 1.0 + 1e-9):
            raise ValueError(f"shares are {self.shares}: not negative, and with the other arms they sum to 1")
        if not (self.margin >= 0.0 and self.margin_abs >= 0.0):
            raise ValueError(f"margin is {self.margin}, margin_abs {self.margin_abs}: a loss is not negative")
        if self.stop_level is not None:
            check_probability("2 * stop_level", 2.0 * self.stop_level)
        if not self.log_p_min <= 0.0:
            raise ValueError(f"log_p_min is {self.log_p_min}: the logarithm of a p-value is at most 0")
        if self.family is not None and self.family < 0:
            raise ValueError(f"family is {self.family}: labels are not negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """The attributes of ``Comparison`` as arrays of shape ``(comparisons,)`` or scalars; nan is absent."""

    proportion: Flags | bool = False
    has_covariate: Flags | bool = False
    alpha: Numbers = 0.05
    good: Numbers = 1.0
    planned: Numbers = math.nan
    planned_users: Numbers = math.nan
    one_look: Flags | bool = False
    log_p_min: Numbers = 0.0
    family: NDArray[np.intp] | int = NO_FAMILY
    margin: Numbers = 0.0
    margin_abs: Numbers = 0.0
    stop_level: Numbers = math.nan
    prior_sd: Numbers = PRIOR_SD
    power: Numbers = planning.POWER
    target_lift: Numbers = math.nan
    users_per_day: Numbers = math.nan

    @classmethod
    def of(cls, comparisons: Sequence[Comparison]) -> Self:
        """The arrays of a list."""

        def numbers(values: list[float | None]) -> Array:
            return np.array(values, dtype=np.float64)

        units = numbers([each.planned_units for each in comparisons])
        shares = np.array([each.shares for each in comparisons], dtype=np.float64).reshape(-1, 2).T
        return cls(
            proportion=np.array([each.kind == "proportion" for each in comparisons], dtype=bool),
            has_covariate=np.array([each.has_covariate for each in comparisons], dtype=bool),
            alpha=numbers([each.alpha for each in comparisons]),
            good=np.where([each.direction == "increase" for each in comparisons], 1.0, -1.0),
            planned=planned_information(units, shares[0], shares[1]),
            planned_users=units * (shares[0] + shares[1]),
            one_look=np.array([each.one_look for each in comparisons], dtype=bool),
            log_p_min=numbers([each.log_p_min for each in comparisons]),
            family=np.array(
                [NO_FAMILY if each.family is None else each.family for each in comparisons], dtype=np.intp
            ),
            margin=numbers([each.margin for each in comparisons]),
            margin_abs=numbers([each.margin_abs for each in comparisons]),
            stop_level=numbers([each.stop_level for each in comparisons]),
            prior_sd=numbers([each.prior_sd for each in comparisons]),
            power=numbers([each.power for each in comparisons]),
            target_lift=numbers([each.target_lift for each in comparisons]),
            users_per_day=numbers([each.users_per_day for each in comparisons]),
        )
