"""When the numbers call for a decision: rules without state, for single looks and for arrays of them.

Every p here is always valid (a running minimum over looks is too), so a rule may be asked at any number of
looks. An estimate at the moment of a stop is biased away from zero: luck had a share in the crossing.

``stop``     Harm is surely beyond a guardrail's margin, at an error rate shared by all stop guardrails and
             treatments, so that it holds for the experiment (Bonferroni).
``invalid``  Users did not arrive in the intended shares, or some are where nobody should be.
``ship``     A goal is surely better, no goal surely worse, every guardrail surely within its margin.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np

from udfs.stats.arrays import Flags, Numbers
from udfs.stats.outcome import check_probability

Kind = Literal["stop", "invalid", "ship"]

INVALID_ALPHA = 0.001
"""Sequential sample ratios below it say that the groups differ by more than the treatment."""


def stop_level(stop_alpha: float, guardrails: int, treatments: int) -> float:
    """The error rate of one guardrail and treatment, so that any false stop has at most ``stop_alpha``.

    Args:
        stop_alpha: Of the experiment, in (0, 1).
        guardrails, treatments: Those that can stop it, at least 1 each.

    Returns:
        Below .5, which a one-sided test needs, however large ``stop_alpha`` is.

    Raises:
        ValueError: An argument is outside its range.
    """
    check_probability("stop_alpha", stop_alpha)
    if guardrails < 1 or treatments < 1:
        raise ValueError(f"{guardrails} guardrails and {treatments} treatments: there is nothing to stop for")
    return min(stop_alpha / (guardrails * treatments), 0.49)


def is_harm(log_p: Numbers, level: Numbers) -> Flags:
    """Whether harm beyond the margin is sure: the one-sided sequential bound of D lies below 0.

    Args:
        log_p: ln of the one-sided always-valid p of harm, or its minimum over looks; nan where unknown.
        level: ``stop_level``.
    """
    return np.asarray(np.asarray(log_p, dtype=np.float64) < np.log(level))


def is_invalid(log_p: Numbers, leaked: Numbers = 0) -> Flags:
    """Whether the experiment's data cannot be trusted.

    Args:
        log_p: ln of the sequential sample ratio's p, or its minimum over looks; nan where unknown.
        leaked: Users in variants that should receive nobody.
    """
    unlike = np.asarray(log_p, dtype=np.float64) < np.log(INVALID_ALPHA)
    return np.asarray(unlike | (np.asarray(leaked) > 0))


def borne_out(confirmed_log_p: float, log_e: float | None) -> float:
    """ln p of one look, as far as the looks before bore it out: what a record with the look's sums may claim.

    Args:
        confirmed_log_p: ln of the running minimum of confirmed looks, at most 0.
        log_e: ln of the look's e-value; None where it has no answer.
    """
    return 0.0 if log_e is None else max(confirmed_log_p, min(0.0, -log_e))


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal of one treatment on matured users.

    Attributes:
        log_p: ln p by Holm on running minima, over the family of goals and treatments; where this look
            alone is weaker, ln of its p.
        is_good: The difference now lies on the good side.
    """

    log_p: float
    is_good: bool


def may_ship(
    goal: Goal,
    goals: Collection[Goal],
    noninferior_log_p: Collection[float],
    *,
    alpha: float,
    is_sound: bool,
    days: float,
    min_days: float,
) -> bool:
    """Whether a treatment may be given to everyone because of ``goal``.

    Args:
        goals: All goals of the treatment.
        noninferior_log_p: ln p of non-inferiority of every guardrail of the treatment, 0 where unknown.
            No correction: all of them must pass.
        alpha: Error rate of the family, and of each guardrail.
        is_sound: The experiment is not ``is_invalid``.
        days, min_days: Since the first user, and how many must have passed.
    """
    limit = np.log(alpha)
    return bool(
        is_sound
        and days >= min_days
        and goal.is_good
        and goal.log_p < limit
        and all(each.is_good or each.log_p >= limit for each in goals)
        and all(log_p < limit for log_p in noninferior_log_p)
    )
