"""What a statistical question can answer: an estimate, or why there is none.

An answer that cannot be given is a value of its own type, so that it can be neither mistaken for
"no effect" (p = 1) nor lost on the way (nan).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why an answer, or a part of it, is absent. The value is what ``results.reason`` shows."""

    IMPOSSIBLE_SUMS = "impossible_sums"
    """No sample has these sums (a negative variance, outcomes of nobody): the data is in flux or wrong."""
    TOO_FEW_UNITS = "too_few_units"
    """An arm has fewer than two users, so its variance is unknown."""
    ZERO_DENOMINATOR = "zero_denominator"
    """A ratio metric whose denominator is zero in an arm."""
    ZERO_VARIANCE = "zero_variance"
    """Every user of both arms has the same value: there is no scale to judge a difference by."""
    BASELINE_NEAR_ZERO = "baseline_near_zero"
    """The control's mean is not distinguishable from zero, so a relative lift has no interval."""
    ONE_ARM_CONSTANT = "one_arm_constant"
    """Every user of one arm has the same value, so intervals rest on the other arm's noise alone; there is
    none of a lift where that value is 0 in the treatment."""
    ALL_OR_NONE_CONVERTED = "all_or_none_converted"
    """The same of a proportion, for which ``small_ci_*`` answers."""
    VERSION_LEFT_OUT = "version_left_out"
    """A config version without two users in each arm is not yet part of the combination."""
    ONE_LOOK_ONLY = "one_look_only"
    """Sequential columns are absent because this view is a question asked once."""
    NEVER_MATURES = "never_matures"
    """The metric has no window, so more outcomes may come of any user for ever: none of them is mature."""
    METRIC_CHANGED = "metric_changed"
    """The metric means different things in different config versions."""
    CROSSED_UNBALANCED = "crossed_unbalanced"
    """Users who crossed between variants are not spread as the allocation is."""
    LEAK = "leak"
    """Users are found in a variant that should receive nobody."""
    NO_UNITS = "no_units"
    """There is no user to count."""
    NO_ALLOCATION = "no_allocation"
    """Fewer than two arms are meant to receive users."""
    NO_ARRIVALS = "no_arrivals"
    """No user arrives, so the missing ones never will."""


@dataclass(frozen=True, slots=True)
class Undetermined:
    """No answer, and why. Never equal to any number."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Estimate:
    """A point estimate with its two-sided interval and p-value, on one scale.

    ``log_p_value`` is the natural logarithm of the p-value and stays exact where ``p_value``
    is too small for a double (below 1e-300). ``degrees_of_freedom`` is ``inf`` for a normal reference.
    """

    estimate: float
    ci_lower: float
    ci_upper: float
    p_value: float
    log_p_value: float
    standard_error: float
    degrees_of_freedom: float


class ImpossibleSumsError(ValueError):
    """The sums belong to no sample. The message names the sums and the rule they break."""


def check_positive(name: str, value: float) -> None:
    """Raise ``ValueError`` naming ``name`` unless the value is above 0 and finite."""
    if not 0.0 < value < math.inf:
        raise ValueError(f"{name} is {value!r}: it must be above 0 and finite")


def check_probability(name: str, value: float) -> None:
    """Raise ``ValueError`` naming ``name`` unless 0 < value < 1."""
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name} is {value!r}: it must lie strictly between 0 and 1")
