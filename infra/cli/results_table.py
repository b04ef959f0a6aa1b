"""Results for people: the interval that holds at any look comes first, and what cannot be said is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Self

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from infra.cli.output import Column, table
from infra.definitions import DefinitionKey, Published
from infra.reasons import in_words
from infra.results import Question, Row, View, plain

SAMPLE_RATIO_ALPHA = 0.001
"""Below it users are not spread as declared (docs/design.md, section 6)."""

COLUMNS = (
    Column("metric", may_fold=True),
    Column("variant", may_fold=True),
    Column("control", "right"),
    Column("treatment", "right"),
    Column("lift", "right", may_fold=True),
    Column("at any look", "right", may_fold=True),
    Column("at one look", "right", may_fold=True),
)

LEGEND = """\
at any look: where the effect lies, however often and whenever one looks; once it leaves out 0, there is one.
at one look: narrower, and right only for who looks a single time, at a moment chosen beforehand.\
"""
ADJUSTED_LEGEND = """\
lift and intervals leave out by what users of the two arms differed before they were exposed, where the
definition has a pre-period; so a lift is not always treatment over control.\
"""


@dataclass(frozen=True)
class Rules:
    """What the definitions say of the metrics that results are about."""

    metrics: Mapping[tuple[str, str, int, str], Mapping[str, Any]] = field(default_factory=dict)
    """By tenant, experiment, config version (0 is the newest that has it) and metric."""
    alphas: Mapping[tuple[str, str], float] = field(default_factory=dict)
    newest: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """The newest config version of each experiment."""

    @classmethod
    def of(cls, published: Mapping[DefinitionKey, Published]) -> Self:
        """Of everything on the definitions topic."""
        metrics: dict[tuple[str, str, int, str], Mapping[str, Any]] = {}
        alphas: dict[tuple[str, str], float] = {}
        newest: dict[tuple[str, str], int] = {}
        for key, definition in sorted(published.items()):
            experiment = key.tenant_id, key.experiment_id
            alphas[experiment] = definition.content["alpha"]
            newest[experiment] = key.config_version
            for metric in definition.content["metrics"]:
                metrics[*experiment, key.config_version, metric["id"]] = metric
                metrics[*experiment, 0, metric["id"]] = metric
        return cls(metrics, alphas, newest)

    def role(self, row: Row) -> str:
        """``goal``, or of a guardrail how far its lift may go; empty for other metrics and unknown ones."""
        place = row["tenant_id"], row["experiment_id"], row["config_version"], row["metric_id"]
        metric = self.metrics.get(place)
        if metric is None or metric["role"] == "secondary":
            return ""
        return f"guardrail {_allowed(metric)}".strip() if metric["role"] == "guardrail" else metric["role"]

    def is_in_force(self, decision: Row) -> bool:
        """It is about the newest version; what an earlier one was stopped for may be mended by now."""
        version = decision["config_version"]
        return not 0 < version < self.newest.get(_experiment(decision), 0)


def results_table(
    rows: Sequence[Row],
    ratios: Sequence[Row],
    decided: Sequence[Row],
    rules: Rules,
    now: datetime,
    question: Question = Question(),
) -> Group:
    """Each experiment's metrics under its name, as wide as a terminal of 80 to 100 columns."""
    ratio_of = {_experiment(ratio): ratio for ratio in ratios}
    metrics_of = {key: list(group) for key, group in groupby(rows, _experiment)}
    parts: list[RenderableType] = []
    for key in sorted(ratio_of.keys() | metrics_of.keys()):
        metrics, ratio = metrics_of.get(key, []), ratio_of.get(key)
        shown = (*metrics, *([ratio] if ratio else []))
        parts.append(_title(key, max(row["as_of"] for row in shown), rules, now, question))
        if ratio:
            parts.append(Text(sample_ratio(ratio, question.view)))
        parts += [
            Text(decision(each), "bold")
            for each in decided
            if _experiment(each) == key and rules.is_in_force(each)
        ]
        if metrics:
            parts.append(table(COLUMNS, [_metric(row, rules) for row in metrics]))
        parts.append(Text())
    legend = [LEGEND, *([ADJUSTED_LEGEND] if any(map(_is_adjusted, rows)) else [])]
    return Group(*parts, *(map(Text, legend) if rows else []))


def lift_and_interval(row: Row) -> tuple[str, str]:
    """The lift and its interval at any look, on one scale; of a question asked once that at one look."""
    if row["status"] == "ok" and row["seq_ci_lower"] is None:
        return _lift(row), at_one_look(row)
    return _lift(row), at_any_look(row)


def at_any_look(row: Row) -> str:
    """The confidence sequence, relative where it can be; or why there is none, in its place."""
    if row["status"] != "ok":
        return f"undetermined: {in_words(row['reason'])}"
    if row["seq_rel_ci_lower"] is not None:
        return _with_limit(row, _percent(row["seq_rel_ci_lower"], row["seq_rel_ci_upper"]))
    if row["seq_ci_lower"] is not None:
        return _with_limit(row, _units(row["seq_ci_lower"], row["seq_ci_upper"]))
    return f"none: {in_words(row['reason'] or 'one_look_only')}"


def at_one_look(row: Row) -> str:
    """The interval of the estimate that leads, on its scale; nothing where there is none."""
    scale = "cuped" if _is_adjusted(row) else "abs"
    lower, upper = row[f"{scale}_ci_lower"], row[f"{scale}_ci_upper"]
    if _leads_in_units(row):
        return _units(lower, upper)
    if _is_adjusted(row) and row["mean_control"]:
        return _percent(*sorted(end / row["mean_control"] for end in (lower, upper)))
    if row["rel_ci_lower"] is not None:
        return _percent(row["rel_ci_lower"], row["rel_ci_upper"])
    return "" if lower is None else _units(lower, upper)


def sample_ratio(ratio: Row, view: str = View.ALL) -> str:
    """Who was seen, who was expected, and whether that fits: of all users, whatever the view."""
    counts = ", ".join(
        f"{variant} {count:,} (expected {expected:,.0f})"
        for variant, count, expected in zip(
            ratio["variants"], ratio["counts"], ratio["expected"], strict=True
        )
    )
    return f"users{'' if view == View.ALL else f' of view {View.ALL}'}: {counts}; {_spread(ratio)}"


def decision(row: Row) -> str:
    """What was decided, and when."""
    variant, metric = row["treatment_variant"], row["metric_id"]
    said = {
        "stop": f"STOP {variant}: {metric} is surely beyond its margin",
        "invalid": "INVALID: users did not come as declared, so no number here can be trusted",
        "ship": f"SHIP {variant}: {metric} is surely better, and every guardrail within its margin",
    }
    return f"{said[row['kind']]} (decided {row['decided_at'][:19]}Z)"


def _spread(ratio: Row) -> str:
    """Judged by the test that holds at any look."""
    p_value = ratio["seq_p_value"]
    if ratio["status"] != "ok" or p_value is None:
        return f"whether they are spread as declared is undetermined: {in_words(ratio['reason'])}"
    if ratio["reason"]:
        return f"NOT as declared: {in_words(ratio['reason'])}"
    if p_value < SAMPLE_RATIO_ALPHA:
        return f"NOT spread as declared (p {probability(p_value)} at any look): do not trust the results"
    if p_value == 1:
        return "spread as declared"
    shown = f"p {probability(p_value)} at any look, doubtful below {SAMPLE_RATIO_ALPHA}"
    return f"spread as declared ({shown})"


def _title(key: tuple[str, str], newest: str, rules: Rules, now: datetime, question: Question) -> Text:
    """The experiment, how it is looked at, and up to which event."""
    alpha = rules.alphas.get(key)
    level = "" if alpha is None else f"; intervals of {100 * (1 - alpha):g} %"
    name = escape("/".join(key))
    view = "" if question.view == View.ALL else f", view {question.view}"
    return Text.from_markup(f"[bold]{name}[/bold]{view}  {_counted(newest, now, question.as_of_ms)}{level}")


def _counted(newest: str, now: datetime, as_of_ms: int | None) -> str:
    """Which event was the newest, of now with its age, or at the moment that was asked for."""
    counted = f"counted up to {newest[:19]}Z"
    if as_of_ms is not None:
        then = plain(datetime.fromtimestamp(as_of_ms / 1000, UTC))
        return f"as of {then[:19]}Z, {counted}"
    age_s = max(0.0, (now - datetime.fromisoformat(newest)).total_seconds())
    return f"{counted}, {duration(age_s)} ago"


def _metric(row: Row, rules: Rules) -> tuple[str, ...]:
    """One comparison."""
    role = rules.role(row)
    return (
        f"{row['metric_id']} ({role})" if role else row["metric_id"],
        row["treatment_variant"],
        number(row["mean_control"]),
        number(row["mean_treatment"]),
        _lift(row),
        at_any_look(row),
        at_one_look(row),
    )


def _lift(row: Row) -> str:
    """On the scale of the interval that leads, and with the covariate where that has it; none without one."""
    if row["status"] != "ok":
        return ""
    if row["seq_rel_diff"] is not None:
        return _share(row["seq_rel_diff"])
    if row["rel_ci_lower"] is None or _is_adjusted(row):
        return _in_units(row["cuped_abs_diff"] if _is_adjusted(row) else row["abs_diff"])
    relative = _share(row["rel_diff"])
    return f"{_in_units(row['abs_diff'])} ({relative})" if _leads_in_units(row) else relative


def _share(lift: float) -> str:
    return f"{100 * lift:+.2f} %"


def _in_units(difference: float | None) -> str:
    return "" if difference is None else f"{number(difference, signed=True)} abs"


def _is_adjusted(row: Row) -> bool:
    """The estimate that leads has the covariate's noise taken out."""
    return row["seq_ci_lower"] is not None and row["cuped_ci_lower"] is not None


def _leads_in_units(row: Row) -> bool:
    """The interval for any look is in the metric's unit, because there is none of the lift."""
    return row["seq_ci_lower"] is not None and row["seq_rel_ci_lower"] is None


def _allowed(metric: Mapping[str, Any]) -> str:
    """The lifts within a guardrail's margin: where a decrease is good, those up to it."""
    sign, bound = ("≤ +", "≤ 0") if metric["direction"] == "decrease" else ("≥ -", "≥ 0")
    if metric["margin"]:
        return f"{sign}{100 * metric['margin']:g} %"
    if metric["margin_abs"]:
        return f"{sign}{number(metric['margin_abs'])} abs"
    return bound


def _with_limit(row: Row, interval: str) -> str:
    return f"{interval} ({in_words(row['reason'])})" if row["reason"] else interval


def _percent(lower: float, upper: float) -> str:
    return f"{100 * lower:+.2f} … {100 * upper:+.2f} %"


def _units(lower: float, upper: float) -> str:
    return f"{number(lower, signed=True)} … {number(upper, signed=True)} abs"


def number(value: float | None, *, signed: bool = False) -> str:
    """A number with about four digits; nothing for None."""
    if value is None:
        return ""
    sign = "+" if signed else ""
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 1000:
        return f"{value:{sign},.0f}"
    if size >= 0.001:
        return f"{value:{sign}.4g}"
    return f"{value:{sign}.2e}"


def probability(value: float | None) -> str:
    """A p-value with four decimals, in powers of ten when it is smaller; nothing for None."""
    if value is None:
        return ""
    return f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}"


def duration(seconds: float) -> str:
    """A span of time in its largest unit."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _experiment(row: Row) -> tuple[str, str]:
    return row["tenant_id"], row["experiment_id"]
