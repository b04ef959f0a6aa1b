"""Every statistic of many comparisons in one call: what the ``results`` table shows.

A comparison is one treatment against the control in one metric and one view. It has one stratum
(control and treatment sums) for a config version, or one per version for their combination.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from udfs.stats import multiplicity, planning, tails
from udfs.stats import sequential as seq
from udfs.stats.arrays import Array, Flags
from udfs.stats.bayes import lift_posterior
from udfs.stats.contrast import Contrasts, Strata
from udfs.stats.cuped import Adjusted, adjust
from udfs.stats.guardrail import sequential_guardrail, shortfall
from udfs.stats.mean import WelchTests, welch
from udfs.stats.outcome import ImpossibleSumsError, Reason
from udfs.stats.pairs import Pairs
from udfs.stats.proportion import newcombe
from udfs.stats.questions import NO_FAMILY, Comparison, Questions
from udfs.stats.relative import Lifts, fieller, lift_reasons
from udfs.stats.scorecard import Scorecard

Columns = dict[str, Array]


def compare(comparisons: Sequence[Comparison], *, refuse_impossible: bool = False) -> Scorecard:
    """All statistics of all comparisons, vectorised.

    Args:
        comparisons: Any number of questions of any mix of kinds; the questions of a family come in one call.
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
    return compare_pairs(pairs, Questions.of(comparisons), counts=counts)


def compare_pairs(
    pairs: Pairs, questions: Questions | None = None, *, counts: NDArray[np.intp] | None = None
) -> Scorecard:
    """The columns of ``results`` from reduced pairs: ``compare`` for those who hold arrays.

    Args:
        pairs: One row per stratum; the strata of a comparison follow one another.
        questions: What is asked of each comparison; the defaults of ``Questions`` if absent.
        counts: Strata of each comparison; 1 each if absent.
    """
    if counts is None:
        counts = np.ones(len(pairs.difference), dtype=np.intp)
    ground = _Ground.of(pairs, questions or Questions(), counts)
    test = welch(ground.raw, ground.alpha)
    lifts = fieller(ground.raw, test.critical)
    _explain(ground, lifts)
    bounded = ground.determined & np.isfinite(lifts.ci_lower)
    look = _Look.of(ground)
    return Scorecard(
        status=np.where(ground.determined, "ok", "undetermined"),
        reason=ground.reason,
        **_at_one_look(ground, test, lifts),
        **_for_few_conversions(ground),
        **_with_covariate(ground),
        **_at_any_look(ground, look),
        **_beliefs(ground, bounded),
        **_plans(ground, look, bounded | (ground.determined & lifts.is_point)),
    )


@dataclass(frozen=True, slots=True)
class _Ground:
    """What the statistics of every kind start from; arrays of shape ``(comparisons,)`` but for ``pairs``.

    ``best`` is adjusted by the covariate where there is one; ``sturdy`` is ``best`` with the robust variance.
    """

    pairs: Pairs
    asked: Questions
    counts: NDArray[np.intp]
    strata: Strata
    alpha: Array
    one_look: Flags
    family: NDArray[np.intp]
    raw: Contrasts
    adjusted: Adjusted
    best: Contrasts
    sturdy: Contrasts
    n_control: Array
    n_treatment: Array
    determined: Flags
    covariate: Flags
    reason: NDArray[np.object_]

    @classmethod
    def of(cls, pairs: Pairs, asked: Questions, counts: NDArray[np.intp]) -> Self:
        n_c, n_t = pairs.control.n, pairs.treatment.n
        usable = _unexplained(pairs.reasons)
        strata = Strata.of(counts, n_c + n_t, usable)
        reason, answerable = _reasons(pairs, strata, counts, usable)
        covariate = np.broadcast_to(asked.has_covariate, counts.shape)
        raw = Contrasts.of_arms(pairs.control, pairs.treatment, pairs.difference).combined(strata)
        adjusted = adjust(pairs, np.repeat(covariate, counts))
        sturdy = seq.robust(adjusted.contrasts, adjusted.pooled_variance, n_c, n_t).combined(strata)
        determined = answerable & (raw.variance > 0.0)
        reason[answerable & ~determined] = Reason.ZERO_VARIANCE
        return cls(
            pairs=pairs,
            asked=asked,
            counts=counts,
            strata=strata,
            alpha=np.broadcast_to(np.asarray(asked.alpha, dtype=np.float64), counts.shape),
            one_look=np.broadcast_to(asked.one_look, counts.shape),
            family=np.broadcast_to(np.asarray(asked.family, dtype=np.intp), counts.shape),
            raw=raw,
            adjusted=adjusted,
            best=adjusted.contrasts.combined(strata),
            sturdy=sturdy,
            n_control=strata.sum(n_c),
            n_treatment=strata.sum(n_t),
            determined=determined,
            covariate=covariate,
            reason=reason,
        )


def _reasons(
    pairs: Pairs, strata: Strata, counts: NDArray[np.intp], usable: Flags
) -> tuple[NDArray[np.object_], Flags]:
    """Each comparison's reason, and whether it can be answered from the strata that are usable."""
    if strata.single:
        return pairs.reasons.copy(), usable
    reason = np.array(pairs.reasons[strata.starts], dtype=object)
    kept = np.add.reduceat(usable.astype(np.intp), strata.starts)
    impossible = np.array([each is Reason.IMPOSSIBLE_SUMS for each in pairs.reasons], dtype=np.intp)
    broken = np.add.reduceat(impossible, strata.starts) > 0
    answerable = (kept > 0) & ~broken
    reason[answerable] = None
    reason[answerable & (kept < counts)] = Reason.VERSION_LEFT_OUT
    reason[broken] = Reason.IMPOSSIBLE_SUMS
    return reason, answerable


def _unexplained(reasons: NDArray[np.object_]) -> Flags:
    return np.array([reason is None for reason in reasons.tolist()], dtype=bool)


def _given(where: Flags, values: Array) -> Array:
    return np.where(where, values, np.nan)


def _explain(ground: _Ground, lifts: Lifts) -> None:
    """What is absent or weak although there is an answer: a missing interval is told before all else."""
    proportion = np.broadcast_to(ground.asked.proportion, ground.counts.shape)
    reasons = lift_reasons(ground.raw, lifts, proportion)
    told = ground.determined & (np.isnan(lifts.ci_lower) | _unexplained(ground.reason))
    ground.reason[told] = reasons[told]
    only_once = ground.determined & ground.one_look & _unexplained(ground.reason)
    ground.reason[only_once] = Reason.ONE_LOOK_ONLY


def _at_one_look(ground: _Ground, test: WelchTests, lifts: Lifts) -> Columns:
    raw = ground.raw
    return {
        "n_control": ground.n_control,
        "n_treatment": ground.n_treatment,
        "mean_control": raw.control,
        "mean_treatment": raw.treatment,
        "abs_diff": raw.difference,
        "abs_ci_lower": _given(ground.determined, test.ci_lower),
        "abs_ci_upper": _given(ground.determined, test.ci_upper),
        "rel_diff": lifts.lift,
        "rel_ci_lower": _given(ground.determined, lifts.ci_lower),
        "rel_ci_upper": _given(ground.determined, lifts.ci_upper),
        "p_value": _given(ground.determined, test.p_value),
        "log_p_value": _given(ground.determined, test.log_p_value),
    }


def _for_few_conversions(ground: _Ground) -> Columns:
    proportion = np.broadcast_to(ground.asked.proportion, ground.counts.shape)
    if not proportion.any():
        absent = np.full(ground.counts.shape, np.nan)
        return {"small_ci_lower": absent, "small_ci_upper": absent}
    alpha = np.repeat(ground.alpha, ground.counts)
    lower, upper = newcombe(
        ground.pairs.control, ground.pairs.treatment, ground.raw.difference, alpha, ground.strata
    )
    return {"small_ci_lower": _given(proportion, lower), "small_ci_upper": _given(proportion, upper)}


def _with_covariate(ground: _Ground) -> Columns:
    there = ground.determined & ground.covariate & (ground.best.variance > 0.0)
    rows = np.flatnonzero(there)
    test = welch(ground.best.take(rows), ground.alpha[rows])

    def put(values: Array) -> Array:
        column = np.full(there.shape, np.nan)
        column[rows] = values
        return column

    with np.errstate(invalid="ignore", divide="ignore"):
        reduction = 1.0 - ground.best.variance / ground.raw.variance
    return {
        "cuped_abs_diff": _given(there, ground.best.difference),
        "cuped_ci_lower": put(test.ci_lower),
        "cuped_ci_upper": put(test.ci_upper),
        "cuped_p_value": put(test.p_value),
        "cuped_theta": _given(there, ground.strata.sum(ground.adjusted.theta, 1)),
        "variance_reduction": _given(there, reduction),
    }


@dataclass(frozen=True, slots=True)
class _Look:
    """The sequential side of a look.

    Attributes:
        t: Information.
        precision: rho^2; nan where there is no sequential test.
        level: alpha divided by the size of the family.
        test: The confidence sequence at alpha.
        critical: The multiplier at ``level``.
    """

    t: Array
    precision: Array
    level: Array
    test: seq.SequentialTests
    critical: Array

    @classmethod
    def of(cls, ground: _Ground) -> Self:
        t = ground.strata.information(ground.pairs.control.n, ground.pairs.treatment.n)
        wanted = ground.determined & ~ground.one_look
        precision = _given(wanted, seq.mixture_precision(ground.alpha, ground.asked.planned))
        level = ground.alpha / multiplicity.family_sizes(ground.family)
        test = seq.sequential(ground.sturdy, t, precision, ground.alpha)
        return cls(t, precision, level, test, seq.multiplier(t, precision, level))


def _at_any_look(ground: _Ground, look: _Look) -> Columns:
    sturdy, test, asked = ground.sturdy, look.test, ground.asked
    log_p = seq.log_p_from_log_e(test.log_e)
    before = np.broadcast_to(np.asarray(asked.log_p_min, dtype=np.float64), log_p.shape)
    log_p_min = np.fmin(log_p, _given((before < 0.0) & ~ground.one_look, before))
    in_family = ground.family != NO_FAMILY
    adjusted = np.full(log_p.shape, np.nan)
    adjusted[in_family] = multiplicity.holm(log_p_min[in_family], ground.family[in_family])
    reach = _given(in_family, look.critical * np.sqrt(sturdy.variance))
    distance, spread, _ = shortfall(sturdy, asked.good, asked.margin, asked.margin_abs)
    stop_level = np.broadcast_to(np.asarray(asked.stop_level, dtype=np.float64), log_p.shape)
    level = np.where(np.isfinite(stop_level), stop_level, ground.alpha)
    one_sided = seq.mixture_precision(np.minimum(2.0 * level, 0.999), asked.planned)
    one_sided = _given(np.isfinite(look.precision), one_sided)
    harm, noninferior = sequential_guardrail(distance, spread, look.t, one_sided)
    stops = np.flatnonzero(np.isfinite(stop_level) & np.isfinite(harm))
    bound = np.full(log_p.shape, np.nan)
    bound[stops] = distance[stops] + np.sqrt(spread[stops]) * seq.one_sided_multiplier(
        look.t[stops], one_sided[stops], level[stops]
    )
    with np.errstate(under="ignore"):
        return {
            "seq_ci_lower": test.ci_lower,
            "seq_ci_upper": test.ci_upper,
            "seq_rel_diff": test.rel_diff,
            "seq_rel_ci_lower": test.rel_ci_lower,
            "seq_rel_ci_upper": test.rel_ci_upper,
            "seq_p_value": np.exp(log_p),
            "seq_log_e": test.log_e,
            "seq_p_min": np.exp(log_p_min),
            "seq_log_p_min": log_p_min,
            "simultaneous_ci_lower": sturdy.difference - reach,
            "simultaneous_ci_upper": sturdy.difference + reach,
            "p_adjusted": np.exp(adjusted),
            "harm_p_value": np.exp(seq.log_p_from_log_e(harm)),
            "noninferior_p_value": np.exp(seq.log_p_from_log_e(noninferior)),
            "harm_log_e": harm,
            "noninferior_log_e": noninferior,
            "distance": _given(np.isfinite(harm), distance),
            "distance_upper": bound,
        }


def _beliefs(ground: _Ground, bounded: Flags) -> Columns:
    belief = lift_posterior(ground.best, ground.asked.good, ground.asked.prior_sd, ground.alpha)
    return {
        "chance_to_win": _given(bounded, belief.chance_to_win),
        "expected_loss": _given(bounded, belief.expected_loss),
        "posterior_lift": _given(bounded, belief.mean),
        "posterior_ci_lower": _given(bounded, belief.ci_lower),
        "posterior_ci_upper": _given(bounded, belief.ci_upper),
    }


def _plans(ground: _Ground, look: _Look, based: Flags) -> Columns:
    """For a sequential test from its robust variance, else for one look from Welch's.

    ``based``: where the baseline is distinguishable from 0.
    """
    asked, continuous = ground.asked, np.isfinite(look.precision)
    once = np.flatnonzero(~continuous & based)
    variance = np.where(continuous, ground.sturdy.variance, ground.best.variance)
    critical = look.critical.copy()
    critical[once] = tails.critical_value(look.level[once], ground.best.take(once).degrees_of_freedom)
    users = ground.n_control + ground.n_treatment
    baseline = np.abs(ground.best.control)
    with np.errstate(invalid="ignore", divide="ignore"):
        mde = planning.detectable_effect(np.sqrt(variance), critical, asked.power) / baseline
    needed = np.array(np.broadcast_to(np.asarray(asked.planned_users, dtype=np.float64), users.shape))
    target = np.broadcast_to(np.asarray(asked.target_lift, dtype=np.float64), users.shape)
    power = np.broadcast_to(np.asarray(asked.power, dtype=np.float64), users.shape)
    rows = np.flatnonzero(np.isfinite(target))
    needed[rows] = np.nan
    rows = rows[based[rows]]
    effect, user_variance = target[rows] * baseline[rows], variance[rows] * users[rows]
    needed[rows] = np.where(
        continuous[rows],
        planning.sequential_users_needed(
            effect,
            user_variance,
            look.t[rows] / users[rows],
            look.precision[rows],
            look.level[rows],
            power[rows],
        ),
        planning.fixed_users_needed(effect, user_variance, look.level[rows], power[rows]),
    )
    return {
        "mde": _given(based & (variance > 0.0), mde),
        "users_needed": np.ceil(needed),
        "days_left": planning.days_until(needed - users, asked.users_per_day),
    }
