"""How much can be seen by now, and how long until enough can: from the live standard error, not from guesses.

Power is counted at the look in question alone; a sequential test also stops at earlier looks, so its power is
at least what is said here. Normal approximation throughout: below about 20 users an arm it flatters.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from udfs.stats import tails
from udfs.stats.arrays import Array, Numbers
from udfs.stats.contrast import Contrasts
from udfs.stats.cuped import adjust
from udfs.stats.mean import one_pair
from udfs.stats.moments import Moments
from udfs.stats.outcome import Reason, Undetermined, check_positive, check_probability
from udfs.stats.pairs import Kind
from udfs.stats.sequential import information, mixture_precision, multiplier, robust

POWER = 0.8
"""Chance of seeing the effect, unless said otherwise."""


def detectable_effect(standard_error: Numbers, critical: Numbers, power: Numbers = POWER) -> Array:
    """Smallest effect seen with this power at this look, (critical + z_power)·se, in the unit of se."""
    return np.asarray((np.asarray(critical) + special.ndtri(power)) * standard_error)


def power_at(effect: Numbers, standard_error: Numbers, critical: Numbers) -> Array:
    """Chance that a true effect is significant at this look, either side counted; in [0, 1]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.abs(effect) / np.asarray(standard_error, dtype=np.float64)
    return np.asarray(special.ndtr(z - critical) + special.ndtr(-z - critical))


def fixed_users_needed(
    effect: Numbers, user_variance: Numbers, alpha: Numbers, power: Numbers = POWER
) -> Array:
    """Users of both arms for one look: (z_{1-alpha/2} + z_power)^2·(v_C/w_C + v_T/w_T)/effect^2.

    Args:
        effect: Difference to be seen, in the metric's unit; 0 needs infinitely many.
        user_variance: v_C/w_C + v_T/w_T, w the arms' shares of both arms' users: squared standard error
            times users.
        alpha: Two-sided level, in (0, 1); divide it by the number of goals beforehand (Bonferroni).
        power: In (0, 1).
    """
    with np.errstate(divide="ignore"):
        reach = special.ndtri(power) - special.ndtri(np.asarray(alpha) / 2.0)
        return np.asarray(reach**2 * user_variance / np.square(effect))


def sequential_users_needed(
    effect: Numbers,
    user_variance: Numbers,
    balance: Numbers,
    precision: Numbers,
    alpha: Numbers,
    power: Numbers = POWER,
) -> Array:
    """The same for a confidence sequence, at a look when that many users are there.

    Solves (multiplier(balance·N) + z_power)^2·user_variance/N = effect^2 for N.

    Args:
        effect, user_variance, alpha, power: As in ``fixed_users_needed``.
        balance: Information per user, 4·w_C·w_T: 1 for equal arms.
        precision: rho^2.

    Returns:
        Found by Newton's method on logarithms, on which the equation is nearly a straight line.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        z = special.ndtri(power)
        log_alpha = np.log(np.asarray(alpha, dtype=np.float64))
        offset = 0.5 * np.log(np.asarray(user_variance, dtype=np.float64)) - np.log(np.abs(effect))
        users = np.asarray(1.0 / (np.asarray(balance) * precision) + np.exp(2.0 * offset) * 10.0)
        for _ in range(30):
            scaled = np.asarray(balance) * users * precision
            spread = 0.5 * np.log1p(scaled) - log_alpha
            squared = 2.0 * (1.0 + 1.0 / scaled) * spread
            critical = np.sqrt(squared)
            slope = (0.5 - spread / scaled) / critical / (critical + z) - 0.5
            step = (np.log(critical + z) - 0.5 * np.log(users) + offset) / slope
            users = users * np.exp(-step)
            if not np.any(np.abs(step) > 1e-12):
                break
    return np.asarray(users)


def days_until(users_missing: Numbers, users_per_day: Numbers) -> Array:
    """Whole days until the missing users have come, at least 0; nan where none arrives."""
    rate = np.asarray(users_per_day, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        days = np.ceil(np.maximum(users_missing, 0.0) / rate)
    return np.asarray(np.where(rate > 0.0, days, np.nan))


@dataclass(frozen=True, slots=True)
class DaysLeft:
    """Whole days left: at the median arrival rate, and at the fastest and the slowest day's.

    ``latest`` is ``inf`` when a day passed without anybody arriving.
    """

    expected: float
    soonest: float
    latest: float


def days_left(users_missing: float, users_by_day: Sequence[int]) -> DaysLeft | Undetermined:
    """Days until the missing users have come, judged by the last complete days.

    Args:
        users_missing: Users still needed; below 0 counts as 0.
        users_by_day: New users of each of the last complete days (seven cover a week), each at least 0.

    Returns:
        ``Undetermined(NO_ARRIVALS)`` when half of the days or more saw nobody.

    Raises:
        ValueError: No day is given, or a day has a negative number.
    """
    if not users_by_day or min(users_by_day) < 0:
        raise ValueError(f"users_by_day is {list(users_by_day)}: give at least one day, none negative")
    rate = statistics.median(users_by_day)
    if rate <= 0:
        return Undetermined(Reason.NO_ARRIVALS)
    missing = max(users_missing, 0.0)
    slowest = min(users_by_day)
    latest = math.ceil(missing / slowest) if slowest else (math.inf if missing else 0.0)
    return DaysLeft(math.ceil(missing / rate), math.ceil(missing / max(users_by_day)), latest)


@dataclass(frozen=True, slots=True)
class Plan:
    """What an experiment can see now and what it needs for a given lift.

    Attributes:
        mde, relative_mde: Smallest effect seen with the asked power at this look; relative to |control mean|.
        power: Chance of seeing the asked lift at this look.
        users: Users in both arms now.
        users_needed: Users in both arms at which the asked lift is seen with the asked power.
    """

    mde: float
    relative_mde: float
    power: float
    users: int
    users_needed: float

    @property
    def users_missing(self) -> float:
        """Users still to come, at least 0."""
        return max(self.users_needed - self.users, 0.0)


def plan(
    control: Moments,
    treatment: Moments,
    *,
    lift: float,
    power: float = POWER,
    alpha: float = 0.05,
    goals: int = 1,
    planned: float | None = None,
    kind: Kind = "mean",
    use_covariate: bool = False,
) -> Plan | Undetermined:
    """Plan the rest of a running experiment, or an experiment from a past period's sums split in two arms.

    Args:
        control, treatment: Sums over exposed users so far; their variances and shares are taken to stay.
        lift: Relative lift that matters, not 0.
        power: Wanted chance of seeing it, in (0, 1).
        alpha: Two-sided level, in (0, 1).
        goals: Questions in the family; alpha is divided by it (Bonferroni).
        planned: N* of the sequential test (``planned_information``); absent for a single look.
        kind: As in ``mean_difference``.
        use_covariate: Plan for the CUPED-adjusted difference.

    Returns:
        ``Undetermined`` as for ``mean_difference``, and ``BASELINE_NEAR_ZERO`` when the control mean is 0.

    Raises:
        ValueError: A value outside its range, by name.
        ImpossibleSumsError: No sample has the sums of an arm.
    """
    check_probability("alpha", alpha)
    check_probability("power", power)
    check_positive("goals", goals)
    check_positive("abs(lift)", abs(lift))
    pairs = one_pair(control, treatment, kind)
    if isinstance(pairs, Undetermined):
        return pairs
    n_c, n_t = pairs.control.n, pairs.treatment.n
    adjusted = adjust(pairs, use_covariate)
    contrasts: Contrasts = adjusted.contrasts
    if planned is not None:
        check_positive("planned", planned)
        contrasts = robust(contrasts, adjusted.pooled_variance, n_c, n_t)
    if not contrasts.variance[0] > 0.0:
        return Undetermined(Reason.ZERO_VARIANCE)
    if contrasts.control[0] == 0.0:
        return Undetermined(Reason.BASELINE_NEAR_ZERO)
    level, users = alpha / goals, n_c + n_t
    baseline, error = np.abs(contrasts.control), np.sqrt(contrasts.variance)
    effect, t = lift * baseline, information(n_c, n_t)
    if planned is None:
        critical = tails.critical_value(level, contrasts.degrees_of_freedom)
        needed = fixed_users_needed(effect, contrasts.variance * users, level, power)
    else:
        precision = mixture_precision(alpha, planned)
        critical = multiplier(t, precision, level)
        needed = sequential_users_needed(
            effect, contrasts.variance * users, t / users, precision, level, power
        )
    mde = detectable_effect(error, critical, power)
    return Plan(
        float(mde[0]),
        float((mde / baseline)[0]),
        float(power_at(effect, error, critical)[0]),
        int(users[0]),
        float(np.ceil(needed[0])),
    )
