"""What one row of ``results`` says about a metric: a pure function of the row and the metric's definition.

Everything is told as a share of the control's mean, the scale people compare metrics on, or in the metric's
unit where that mean may be 0. The always-valid interval decides; the one-look interval is only shown. Where
there is no answer the reading says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from infra.console import figures
from infra.console.figures import Interval
from udfs.attribution.reference import OTHER
from udfs.stats import Reason

Row = Mapping[str, Any]


class Kind(StrEnum):
    """What a reader may conclude now."""

    BETTER = "better"
    WORSE = "worse"
    CHANGED = "changed"
    """Surely different, and nobody said which direction is good."""
    OPEN = "open"
    HOLDS = "holds"
    """A guardrail that is surely inside its margin."""
    HARMED = "harmed"
    """A guardrail that is surely beyond its margin."""
    WATCHING = "watching"
    ONE_LOOK = "one_look"
    """A question asked once: there is no interval that may be read at any moment."""
    UNDETERMINED = "undetermined"


class Colour(StrEnum):
    """Direction for the user; words say the same."""

    GOOD = "good"
    BAD = "bad"
    OPEN = "open"


NOTHING_LEFT = -1.0
"""The lift of a treatment whose mean is 0."""
CHANCE_IS_COMMON = 0.2
"""From here on a p-value says no more than that."""

COLOURS = {
    Kind.BETTER: Colour.GOOD,
    Kind.HOLDS: Colour.GOOD,
    Kind.WORSE: Colour.BAD,
    Kind.HARMED: Colour.BAD,
}


@dataclass(frozen=True, slots=True)
class Metric:
    """What a definition says about a metric; ``direction`` is empty where no definition is known."""

    metric_id: str
    kind: str = ""
    role: str = ""
    direction: Literal["increase", "decrease", ""] = ""
    margin: float | None = None
    margin_abs: float | None = None
    cap: float | None = None
    window_days: float | None = None
    stop: bool = False

    @property
    def is_guardrail(self) -> bool:
        """Whether it is watched for harm."""
        return self.role == "guardrail"

    @property
    def floor(self) -> float | None:
        """No lift can be less; of a proportion alone is it sure that no user's value is negative."""
        return NOTHING_LEFT if self.kind == "proportion" else None

    @property
    def description(self) -> str:
        """How it is counted, in a line."""
        parts = [
            self.kind,
            f"capped at {figures.number(self.cap)}" if self.cap else "",
            f"{self.window_days:g}-day window" if self.window_days else "",
            "lower is better" if self.direction == "decrease" else "",
            f"margin {figures.percent(self.margin)}" if self.margin else "",
            f"margin {figures.number(self.margin_abs)}" if self.margin_abs else "",
            "stops the experiment" if self.stop else "",
        ]
        return " · ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric and treatment, ready to be shown and to be put in a sentence."""

    metric: Metric
    treatment: str
    control: str
    segment: str
    kind: Kind
    chip: str
    """The reading in a word or two."""
    detail: str
    """What limits or explains it; may be empty."""
    n_control: int
    n_treatment: int
    mean_control: str
    mean_treatment: str
    estimate: float | None
    is_higher: bool
    """Of the treatment, as far as the estimate goes."""
    always: Interval | None
    """May be read at any moment."""
    once: Interval | None
    """For one look at a planned end."""
    absolute: str
    """The interval in the metric's unit, where there is none as a share."""
    beyond: str
    """How to read an end below -100 %; empty where there is none."""
    margin: float | None
    """Where harm begins, signed, as a share of the control's mean."""
    p: float | None
    """Always valid, adjusted for the other goals where it is a goal."""
    is_adjusted: bool
    chance_to_win: float | None
    variance_reduction: float | None
    days_left: float | None
    """Until this comparison has its planned users; ``days_to_plan`` tells the experiment's."""
    is_accruing: bool
    crossed_at: datetime | None
    """When the always-valid interval first left zero out, as two looks in a row bear out."""

    @property
    def colour(self) -> Colour:
        """How it is drawn."""
        return COLOURS.get(self.kind, Colour.OPEN)

    @property
    def users(self) -> int:
        """In both arms."""
        return self.n_control + self.n_treatment

    def is_of(self, metric_id: str, treatment: str) -> bool:
        """Whether it is about these."""
        return (self.metric.metric_id, self.treatment) == (metric_id, treatment)

    @property
    def segment_value(self) -> str:
        """Who is in the segment, of its dimension; empty for everyone."""
        value = self.segment.partition("=")[2]
        return "all others" if value == OTHER else value

    @property
    def shown(self) -> Interval | None:
        """The interval that is told in words: the main mark, or the only one there is."""
        return self.always or self.once

    @property
    def words(self) -> str:
        """The interval, or what stands in its place."""
        return figures.span(self.shown) if self.shown else self.absolute

    @property
    def evidence(self) -> str:
        """What the p-value means; empty where there is none, or where the question is another one."""
        if self.p is None or self.metric.is_guardrail:
            return ""
        if self.p >= CHANCE_IS_COMMON:
            return "chance alone gives this often"
        return f"by chance alone in {figures.one_in(self.p)}"


def read(row: Row, metric: Metric, *, alpha: float = 0.05) -> Reading:
    """What a row of ``results`` says."""
    always, once = _always(row), _once(row)
    kind = _kind(row, metric, alpha)
    is_adjusted = row.get("p_adjusted") is not None
    return Reading(
        metric=metric,
        treatment=row["treatment_variant"],
        control=row["control_variant"],
        segment=row["segment"],
        kind=kind,
        chip=_chip(kind),
        detail=_detail(kind, row, metric),
        n_control=row["n_control"],
        n_treatment=row["n_treatment"],
        mean_control=_mean(row["mean_control"], metric),
        mean_treatment=_mean(row["mean_treatment"], metric),
        estimate=_estimate(row),
        is_higher=(_difference(row) or 0.0) > 0,
        always=always,
        once=once,
        absolute=_absolute(row, kind),
        beyond=_beyond(row, metric, always or once),
        margin=_margin(metric, row),
        p=row["p_adjusted"] if is_adjusted else row["seq_p_value"],
        is_adjusted=is_adjusted,
        chance_to_win=row["chance_to_win"],
        variance_reduction=row["variance_reduction"],
        days_left=row["days_left"],
        is_accruing=row["seq_basis"] == "accruing",
        crossed_at=row["crossed_at"],
    )


def days_to_plan(readings: Sequence[Reading]) -> float | None:
    """Until the planned users have come: one time for the experiment, for which they are planned.

    A metric of a later version counts fewer users than the experiment has, so of each treatment the row with
    the most users tells; of several treatments the last one does. None where it cannot be told of one.
    """
    fullest: dict[str, Reading] = {}
    for each in readings:
        known = fullest.get(each.treatment)
        if each.days_left is not None and (known is None or each.users > known.users):
            fullest[each.treatment] = each
    is_known = fullest.keys() == {each.treatment for each in readings}
    left = [each.days_left for each in fullest.values() if each.days_left is not None]
    return max(left, default=None) if is_known else None


def why_absent(row: Row) -> str:
    """Why there is no answer, as a person would say it; empty for a row that has one."""
    reason = row["reason"]
    if reason == Reason.TOO_FEW_UNITS:
        return (
            f"too few users to say ({row['n_control']:,} in {figures.apart(row['control_variant'])}, "
            f"{row['n_treatment']:,} in {figures.apart(row['treatment_variant'])})"
        )
    return REASONS.get(reason, figures.words(reason)) if reason else ""


REASONS: Mapping[str, str] = {
    Reason.IMPOSSIBLE_SUMS: "the sums are being corrected at this moment",
    Reason.TOO_FEW_UNITS: "too few users to say",
    Reason.ZERO_DENOMINATOR: "an arm has nothing to divide by yet",
    Reason.ZERO_VARIANCE: "every user has the same value so far",
    Reason.BASELINE_NEAR_ZERO: "the control's mean cannot be told from 0, so there is no percentage",
    Reason.ONE_ARM_CONSTANT: "every user of one arm has the same value so far",
    Reason.ALL_OR_NONE_CONVERTED: "in one arm nobody, or everybody, has converted so far",
    Reason.VERSION_LEFT_OUT: "a version with fewer than two users in an arm is not counted in yet",
    Reason.ONE_LOOK_ONLY: "for one look at a planned end",
    Reason.METRIC_CHANGED: "the metric means different things in different versions",
    Reason.CROSSED_UNBALANCED: "users who saw both variants are not spread evenly",
    Reason.LEAK: "users were found in a variant that should receive nobody",
    Reason.NO_UNITS: "no user yet",
    Reason.NO_ALLOCATION: "fewer than two variants are meant to receive users",
    Reason.NO_ARRIVALS: "no new users arrive",
    "never_matures": "the metric has no window, so its users are never all done",
}
"""Every reason the statistics know, in words."""


def _sign(row: Row) -> float:
    """Lifts are of the control's mean; people want to see what is higher to the right, also below 0."""
    return -1.0 if (row["mean_control"] or 0.0) < 0 else 1.0


def _leads_in_units(row: Row) -> bool:
    """The always-valid interval is in the metric's unit only: no lift, or an old row."""
    return row["seq_ci_lower"] is not None and row.get("seq_rel_ci_lower") is None


def _is_adjusted(row: Row) -> bool:
    """The estimate that leads has the covariate's noise taken out."""
    return row["seq_ci_lower"] is not None and row["cuped_ci_lower"] is not None


def _difference(row: Row) -> float | None:
    found: float | None = row["cuped_abs_diff"] if _is_adjusted(row) else row["abs_diff"]
    return found


def _estimate(row: Row) -> float | None:
    """As a share; none where the interval that leads is none."""
    if _leads_in_units(row):
        return None
    found = row["rel_diff"] if row["seq_ci_lower"] is None else row["seq_rel_diff"]
    return None if found is None else _sign(row) * float(found)


def _always(row: Row) -> Interval | None:
    return _lift(row, "seq_rel_ci")


def _once(row: Row) -> Interval | None:
    """Of the estimate that the always-valid one is of, on its scale."""
    if _leads_in_units(row):
        return None
    if not _is_adjusted(row):
        return _lift(row, "rel_ci")
    adjusted = figures.interval(dict(row), "cuped_ci")
    return (
        None if adjusted is None or not row["mean_control"] else adjusted.scaled(1 / abs(row["mean_control"]))
    )


def _lift(row: Row, name: str) -> Interval | None:
    found = figures.interval(dict(row), name)
    return None if found is None else found.scaled(_sign(row))


def _in_units(row: Row) -> Interval | None:
    return figures.interval(dict(row), "seq_ci")


def _beyond(row: Row, metric: Metric, shown: Interval | None) -> str:
    if shown is None or shown.lower >= NOTHING_LEFT or (row["mean_control"] or 0.0) <= 0:
        return ""
    if metric.floor is not None:
        return f"at {figures.percent(NOTHING_LEFT, 0)} nothing is left: what lies below is arithmetic only"
    return f"below {figures.percent(NOTHING_LEFT, 0)} the treatment's mean would be negative"


def _margin(metric: Metric, row: Row) -> float | None:
    """Where harm begins as a signed share; 0 for a guardrail without a margin."""
    if not metric.is_guardrail or not metric.direction:
        return None
    allowed = metric.margin or 0.0
    if metric.margin_abs is not None:
        if not row["mean_control"]:
            return None
        allowed = metric.margin_abs / abs(row["mean_control"])
    return -allowed if metric.direction == "increase" else allowed


def _kind(row: Row, metric: Metric, alpha: float) -> Kind:
    if row["status"] != "ok" or row["abs_ci_lower"] is None:
        return Kind.UNDETERMINED
    found = _in_units(row)
    if found is None:
        return Kind.ONE_LOOK
    if metric.is_guardrail and metric.direction:
        return _guarded(row, metric, found)
    if not found.excludes(0.0) or not _is_conclusive(row, alpha):
        return Kind.OPEN
    if not metric.direction:
        return Kind.CHANGED
    is_good = (found.lower > 0) == (metric.direction == "increase")
    return Kind.BETTER if is_good else Kind.WORSE


def _guarded(row: Row, metric: Metric, found: Interval) -> Kind:
    """Both bounds against the margin on its own scale, seen from the good side."""
    allowed = metric.margin_abs or 0.0
    if metric.margin:
        lift = _always(row)
        if lift is None:
            return Kind.WATCHING
        found, allowed = lift, metric.margin
    seen = _from_the_good_side(found, metric)
    if seen.upper < -allowed:
        return Kind.HARMED
    return Kind.HOLDS if seen.lower > -allowed else Kind.WATCHING


def _from_the_good_side(found: Interval, metric: Metric) -> Interval:
    return found.scaled(1.0 if metric.direction == "increase" else -1.0)


def _is_conclusive(row: Row, alpha: float) -> bool:
    """A goal stands among the other goals; any other metric stands alone."""
    adjusted = row["p_adjusted"]
    return adjusted is None or adjusted < alpha


def _chip(kind: Kind) -> str:
    words = {
        Kind.BETTER: "better",
        Kind.WORSE: "worse",
        Kind.CHANGED: "different",
        Kind.OPEN: "not yet clear",
        Kind.HOLDS: "holds",
        Kind.HARMED: "harmed",
        Kind.WATCHING: "watching",
        Kind.ONE_LOOK: "one look",
        Kind.UNDETERMINED: "undetermined",
    }
    return words[kind]


def _detail(kind: Kind, row: Row, metric: Metric) -> str:
    if kind is Kind.UNDETERMINED:
        return ""
    if kind is Kind.HOLDS:
        return f"cannot be {_margin_words(metric)} worse" if _margin_words(metric) else "cannot be worse"
    if kind is Kind.HARMED:
        return (
            f"more than {_margin_words(metric)} worse" if _margin_words(metric) else "worse than the control"
        )
    found = _in_units(row)
    if kind is Kind.WATCHING:
        is_worse = found is not None and _from_the_good_side(found, metric).upper < 0
        return "worse, but maybe inside the margin" if is_worse else "no harm shown, none excluded"
    if kind is Kind.OPEN and found is not None and found.excludes(0.0):
        return "clear alone, not yet among all goals"
    if kind is Kind.OPEN and row["crossed_at"] is not None:
        return f"was clear at {figures.moment(row['crossed_at'])}, is no longer"
    if kind is Kind.OPEN:
        return ""
    if kind is Kind.ONE_LOOK:
        return (
            REASONS[Reason.ONE_LOOK_ONLY] if row["reason"] in ("", Reason.ONE_LOOK_ONLY) else why_absent(row)
        )
    side = "higher" if (_difference(row) or 0.0) > 0 else "lower"
    return f"{side}; {why_absent(row)}" if why_absent(row) else f"{side}, at any look"


def _margin_words(metric: Metric) -> str:
    if metric.margin:
        return figures.percent(metric.margin)
    return figures.number(metric.margin_abs) if metric.margin_abs else ""


def _mean(value: float | None, metric: Metric) -> str:
    if value is None:
        return figures.NOTHING
    return figures.percent(value, 2) if metric.kind == "proportion" else figures.number(value)


def _absolute(row: Row, kind: Kind) -> str:
    """In the place of an interval that is no share."""
    columns = dict(row)
    found = _in_units(row) or figures.interval(columns, "abs_ci")
    if kind is Kind.UNDETERMINED:
        small = figures.interval(columns, "small_ci")
        words = why_absent(row)
        if small is None:
            return words
        return f"{words}; at one look {figures.span(small).replace('%', 'points')}"
    if found is None:
        return why_absent(row)
    why = why_absent(row) or "no percentage holds at any look yet"
    return f"{figures.number(found.lower)} … {figures.number(found.upper)} in the metric's unit: {why}"
