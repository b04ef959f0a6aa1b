"""The answers to many comparisons, column by column, under the names of the ``results`` table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from udfs.stats.arrays import Array

Cell = float | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """One array of shape ``(comparisons,)`` per column of ``results``; an absent number is nan.

    Attributes:
        n_control, n_treatment: Users.
        mean_control, mean_treatment: Means (ratios for kind ratio), in the metric's unit.
        abs_diff, abs_ci_lower, abs_ci_upper, p_value, log_p_value: Welch's test, uncorrected for covariates.
        rel_diff, rel_ci_lower, rel_ci_upper: Relative lift by Fieller, as a fraction.
        small_ci_lower, small_ci_upper: Newcombe's interval of a difference of proportions; there even where
            Welch's is undetermined.
        cuped_abs_diff, cuped_ci_lower, cuped_ci_upper, cuped_p_value, cuped_theta: With a pre-period only.
        variance_reduction: Share of the variance that the covariate took away, at most 1.
        seq_ci_lower, seq_ci_upper: Confidence sequence at this look, of the adjusted difference where
            there is a pre-period, with the robust variance.
        seq_rel_diff, seq_rel_ci_lower, seq_rel_ci_upper: The relative lift of that same difference by
            Fieller, with its own confidence sequence; absent where the baseline may be 0 at this look.
        seq_p_value, seq_log_e: Today's always-valid p = min(1, 1/E), dual to today's interval, and ln E.
        seq_p_min, seq_log_p_min: The minimum over this and the earlier looks; hand the logarithm back
            next time.
        simultaneous_ci_lower, simultaneous_ci_upper: The confidence sequence at alpha/m, m the questions of
            the family: all of them cover at once. One that excludes 0 has p_adjusted < alpha.
        p_adjusted: Holm over the family on seq_p_min.
        harm_p_value, noninferior_p_value: One-sided, sequential, at this look, against the margin.
        harm_log_e, noninferior_log_e: Their ln E, which goes on where p is too small for a double.
        distance: D of ``guardrail``: how far the treatment is on the right side of the margin.
        distance_upper: Its one-sided sequential bound at ``stop_level``; below 0 exactly when
            ``harm_p_value`` is below that level. For guardrails that stop only.
        chance_to_win, expected_loss, posterior_lift, posterior_ci_lower, posterior_ci_upper: Bayesian, on the
            relative lift; expected_loss is that of choosing the treatment.
        mde: Smallest relative effect seen with the asked power at this look.
        users_needed, days_left: For ``target_lift``, else for the planned users.
        status: ``ok`` or ``undetermined`` (the difference itself has no test).
        reason: A ``Reason`` or ``None``: why it, or a part of it, is absent.
    """

    n_control: Array
    n_treatment: Array
    mean_control: Array
    mean_treatment: Array
    abs_diff: Array
    abs_ci_lower: Array
    abs_ci_upper: Array
    rel_diff: Array
    rel_ci_lower: Array
    rel_ci_upper: Array
    p_value: Array
    log_p_value: Array
    small_ci_lower: Array
    small_ci_upper: Array
    cuped_abs_diff: Array
    cuped_ci_lower: Array
    cuped_ci_upper: Array
    cuped_p_value: Array
    cuped_theta: Array
    variance_reduction: Array
    seq_ci_lower: Array
    seq_ci_upper: Array
    seq_rel_diff: Array
    seq_rel_ci_lower: Array
    seq_rel_ci_upper: Array
    seq_p_value: Array
    seq_log_e: Array
    seq_p_min: Array
    seq_log_p_min: Array
    simultaneous_ci_lower: Array
    simultaneous_ci_upper: Array
    p_adjusted: Array
    harm_p_value: Array
    noninferior_p_value: Array
    harm_log_e: Array
    noninferior_log_e: Array
    distance: Array
    distance_upper: Array
    chance_to_win: Array
    expected_loss: Array
    posterior_lift: Array
    posterior_ci_lower: Array
    posterior_ci_upper: Array
    mde: Array
    users_needed: Array
    days_left: Array
    status: NDArray[Any]
    reason: NDArray[Any]

    def __len__(self) -> int:
        return len(self.n_control)

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """The arrays by name, in the order above."""
        return {column.name: getattr(self, column.name) for column in fields(self)}

    def rows(self) -> Iterator[dict[str, Cell]]:
        """One mapping per comparison, for a table writer: nan becomes ``None``, a reason its text."""
        names = [column.name for column in fields(self)]
        for row in zip(*self.cells(names), strict=True):
            yield dict(zip(names, row, strict=True))

    def cells(self, names: Sequence[str]) -> list[list[Cell]]:
        """Some columns as a table writer takes them, in the order of their names: as ``rows`` does."""
        numbers = [name for name in names if name not in (*_COUNTS, *_TEXTS)]
        table = np.stack([getattr(self, name) for name in numbers])
        found = dict(zip(numbers, np.where(np.isfinite(table), table, None).tolist(), strict=True))  # type: ignore[call-overload]
        for name in _COUNTS:
            found[name] = list(map(int, getattr(self, name).tolist()))
        for name in _TEXTS:
            found[name] = [None if value is None else str(value) for value in getattr(self, name).tolist()]
        return [found[name] for name in names]


_COUNTS = ("n_control", "n_treatment")
_TEXTS = ("status", "reason")
