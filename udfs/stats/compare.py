"""Every statistic of many comparisons in one call: what the ``results`` table shows.

A comparison is one treatment against the control in one metric and one view. It has one stratum
(control and treatment sums) for a config version, or one per version for their combination.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from udfs.stats.contrast import Contrasts, Strata
from udfs.stats.cuped import adjust
from udfs.stats.mean import welch
from udfs.stats.moments import Moments
from udfs.stats.outcome import ImpossibleSumsError, Reason, check_probability
from udfs.stats.pairs import KINDS, Kind, Pairs
from udfs.stats.relative import fieller

Array = NDArray[np.float64]
Cell = float | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One question: does this treatment differ from the control in this metric?

    Attributes:
        kind: How users are compared: ``mean``, ``proportion`` or ``ratio``.
        strata: (control, treatment) sums, one pair per config version; a single one for a single version.
        has_covariate: The metric has a pre-period, so x (and e) mean something.
        alpha: Rate of false alarms, in (0, 1).

    Raises:
        ValueError: Naming the attribute and the rule it breaks.
    """

    kind: Kind
    strata: tuple[tuple[Moments, Moments], ...]
    has_covariate: bool = False
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}: it must be one of {', '.join(KINDS)}")
        if not self.strata:
            raise ValueError("strata is empty: a comparison needs the sums of at least one config version")
        check_probability("alpha", self.alpha)


@dataclass(frozen=True, slots=True)
class Scorecard:
    """The answers, one array of shape ``(comparisons,)`` per column of ``results``.

    In number columns an absent answer is nan; ``status`` is ``undetermined`` where the comparison itself
    has none, and ``reason`` (a ``Reason`` or ``None``) says why it, or a part of it, is absent.
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
    cuped_abs_diff: Array
    cuped_ci_lower: Array
    cuped_ci_upper: Array
    cuped_p_value: Array
    cuped_theta: Array
    variance_reduction: Array
    status: NDArray[np.str_]
    reason: NDArray[np.object_] = field(repr=False)

    def __len__(self) -> int:
        return len(self.n_control)

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """The arrays by name, in the order above."""
        return {column.name: getattr(self, column.name) for column in fields(self)}

    def rows(self) -> Iterator[dict[str, Cell]]:
        """One mapping per comparison, for a table writer: nan becomes ``None``, a reason its text."""
        names, columns = [], []
        for name, values in self.columns().items():
            names.append(name)
            columns.append(_cells(name, values))
        for row in zip(*columns, strict=True):
            yield dict(zip(names, row, strict=True))


def _cells(name: str, values: NDArray[np.generic]) -> list[Cell]:
    if name in ("n_control", "n_treatment"):
        return [int(value) for value in values.tolist()]
    if values.dtype == np.float64:
        return [None if value != value or value in (np.inf, -np.inf) else value for value in values.tolist()]
    return [None if value is None else str(value) for value in values.tolist()]


def compare(comparisons: Sequence[Comparison], *, refuse_impossible: bool = False) -> Scorecard:
    """All statistics of all comparisons, vectorised.

    Args:
        comparisons: Any number of questions of any mix of kinds.
        refuse_impossible: Raise instead of answering ``undetermined`` with reason ``impossible_sums``
            where no sample has the sums given (a stream shows such sums for moments; a file should not).

    Returns:
        One row per comparison, in order.

    Raises:
        ImpossibleSumsError: Only if asked for.
    """
    counts = np.array([len(comparison.strata) for comparison in comparisons], dtype=np.intp)
    arms = [pair for comparison in comparisons for pair in comparison.strata]
    kinds = [comparison.kind for comparison in comparisons for _ in comparison.strata]
    pairs = Pairs.from_moments(arms, kinds)
    if refuse_impossible and Reason.IMPOSSIBLE_SUMS in pairs.reasons.tolist():
        worst = pairs.reasons.tolist().index(Reason.IMPOSSIBLE_SUMS)
        for moments in arms[worst]:
            moments.check()
        raise ImpossibleSumsError(f"no {kinds[worst]} metric has the sums {arms[worst]}")
    return compare_pairs(
        pairs,
        counts=counts,
        has_covariate=np.array([comparison.has_covariate for comparison in comparisons], dtype=bool),
        alpha=np.array([comparison.alpha for comparison in comparisons], dtype=np.float64),
    )


def compare_pairs(
    pairs: Pairs,
    *,
    counts: NDArray[np.intp] | None = None,
    has_covariate: NDArray[np.bool_] | bool = False,
    alpha: Array | float = 0.05,
) -> Scorecard:
    """The columns of ``results`` from reduced pairs; ``compare`` for those who hold arrays.

    Args:
        pairs: One row per stratum; the strata of a comparison follow one another.
        counts: Strata of each comparison; 1 each if absent.
        has_covariate, alpha: As in ``Comparison``, scalar or per comparison.
    """
    rows = len(pairs.difference)
    if counts is None:
        counts = np.ones(rows, dtype=np.intp)
    covariate = np.broadcast_to(has_covariate, counts.shape)
    control, treatment = pairs.control, pairs.treatment
    usable = pairs.reasons == None  # noqa: E711 - elementwise over an object array
    strata = Strata.of(counts, control.n + treatment.n, usable)
    reason, usable = _reasons(pairs, strata, counts, usable)

    raw = Contrasts.of_arms(control, treatment, pairs.difference).combined(strata)
    adjusted = adjust(pairs, np.repeat(covariate, counts))
    cuped = adjusted.contrasts.combined(strata)
    test, cuped_test = welch(raw, alpha), welch(cuped, alpha)
    lifts = fieller(raw, test.critical)

    determined = usable & (raw.variance > 0.0)
    reason[usable & ~determined] = Reason.ZERO_VARIANCE
    baseline = determined & np.isnan(lifts.ci_lower)
    reason[baseline] = Reason.BASELINE_NEAR_ZERO
    with_cuped = determined & covariate & (cuped.variance > 0.0)

    def given(values: Array) -> Array:
        return np.where(determined, values, np.nan)

    def given_cuped(values: Array) -> Array:
        return np.where(with_cuped, values, np.nan)

    with np.errstate(invalid="ignore", divide="ignore"):
        reduction = 1.0 - cuped.variance / raw.variance
    return Scorecard(
        n_control=strata.sum(control.n),
        n_treatment=strata.sum(treatment.n),
        mean_control=raw.control,
        mean_treatment=raw.treatment,
        abs_diff=raw.difference,
        abs_ci_lower=given(test.ci_lower),
        abs_ci_upper=given(test.ci_upper),
        rel_diff=lifts.lift,
        rel_ci_lower=given(lifts.ci_lower),
        rel_ci_upper=given(lifts.ci_upper),
        p_value=given(test.p_value),
        log_p_value=given(test.log_p_value),
        cuped_abs_diff=given_cuped(cuped.difference),
        cuped_ci_lower=given_cuped(cuped_test.ci_lower),
        cuped_ci_upper=given_cuped(cuped_test.ci_upper),
        cuped_p_value=given_cuped(cuped_test.p_value),
        cuped_theta=given_cuped(strata.sum(adjusted.theta, 1)),
        variance_reduction=given_cuped(reduction),
        status=np.where(determined, "ok", "undetermined"),
        reason=reason,
    )


def _reasons(
    pairs: Pairs, strata: Strata, counts: NDArray[np.intp], usable: NDArray[np.bool_]
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Each comparison's reason, and whether it can be answered from the strata that are usable."""
    if strata.single:
        return pairs.reasons.copy(), usable
    reason = np.array(pairs.reasons[strata.starts], dtype=object)
    kept = np.add.reduceat(usable.astype(np.intp), strata.starts)
    impossible = np.array([found is Reason.IMPOSSIBLE_SUMS for found in pairs.reasons], dtype=np.intp)
    broken = np.add.reduceat(impossible, strata.starts) > 0
    answerable = (kept > 0) & ~broken
    reason[answerable] = None
    reason[answerable & (kept < counts)] = Reason.VERSION_LEFT_OUT
    reason[broken] = Reason.IMPOSSIBLE_SUMS
    return reason, answerable
