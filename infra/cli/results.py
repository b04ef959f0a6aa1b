"""``livelift results``: what is known about experiments now."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from enum import StrEnum
from itertools import groupby
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from config.settings import Settings, load
from infra.cli.errors import CliError
from infra.cli.moments import moment
from infra.cli.output import Column, print_json, stdout, table
from infra.cli.refusals import refusals
from infra.cohorts import Cohorts
from infra.results import Question, Row, read_results, read_sample_ratios


class View(StrEnum):
    """Which users count."""

    ALL = "all"
    MATURED = "matured"
    ROLLING_24H = "rolling_24h"
    ROLLING_7D = "rolling_7d"


class Policy(StrEnum):
    """What becomes of users seen in more than one variant."""

    FIRST_SEEN = "first_seen"
    EXCLUDE_CROSSED = "exclude_crossed"


class ResultFormat(StrEnum):
    """How results are printed; the machines' forms have every column of the view."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(results)


def results(
    tenant: Annotated[str, typer.Argument(help="Only this tenant.")] = "",
    experiment: Annotated[str, typer.Argument(help="Only this experiment of it.")] = "",
    view: Annotated[View, typer.Option(help="Which users count.")] = View.ALL,
    policy: Annotated[Policy, typer.Option(help="What becomes of crossed users.")] = Policy.FIRST_SEEN,
    segment: Annotated[str, typer.Option(metavar="DIMENSION=VALUE", help="Empty is everyone.")] = "",
    config_version: Annotated[int, typer.Option(min=0, help="0 is all of them together.")] = 0,
    as_of: Annotated[
        int | None,
        typer.Option(
            parser=moment, metavar="TIME", help="What was known then: ISO 8601 or epoch milliseconds."
        ),
    ] = None,
    cohorts: Annotated[
        str,
        typer.Option(
            metavar="FROM..TO", help="Only users first exposed on these days or in these hours (UTC)."
        ),
    ] = "",
    output: Annotated[
        ResultFormat, typer.Option("--format", help="For people or for machines.")
    ] = ResultFormat.TABLE,
) -> None:
    """Show results, of now or of a moment: lift, the interval that holds at any look, sample ratio, guardrails.

    With `--cohorts 2026-11-20..2026-11-22` (both inclusive; `2026-11-20T14` is an hour, an absent
    bound is open) the slots of those days are summed and judged now.
    """
    settings = load()
    question = Question(tenant, experiment, view, policy, segment, config_version, as_of)
    with refusals():
        rows, ratios = (
            slice_of(settings, question, cohorts) if cohorts else newest(settings, question, output)
        )
    if output is ResultFormat.JSON:
        print_json(rows)
    elif output is ResultFormat.CSV:
        print_csv(rows)
    elif rows or ratios:
        stdout().print(results_table(rows, ratios))
    else:
        raise CliError(f"no results{_of(tenant, experiment)} {'yet' if as_of is None else 'then'}")


def newest(settings: Settings, question: Question, output: ResultFormat) -> tuple[list[Row], list[Row]]:
    """Results as the job has told them last, and for people the sample ratio."""
    rows = read_results(settings, question)
    return rows, read_sample_ratios(settings, question) if output is ResultFormat.TABLE else []


def slice_of(settings: Settings, question: Question, cohorts: str) -> tuple[list[Row], list[Row]]:
    """Results and sample ratio of some cohorts, computed now."""
    from infra.slices import read_slice  # the statistics take half a second to load, which only slices need

    if not (question.tenant_id and question.experiment_id):
        raise CliError("--cohorts cuts one experiment: name a tenant and an experiment")
    if question.view != View.ALL:
        raise CliError(f"--cohorts says itself which users count: leave out --view {question.view}")
    if question.as_of_ms is not None:
        raise CliError("--cohorts judges the slots of now: leave out --as-of")
    return read_slice(settings, question, Cohorts.parse(cohorts))


def print_csv(rows: Sequence[Row]) -> None:
    """Print rows with a header; without rows there is nothing to print."""
    if rows:
        writer = csv.DictWriter(sys.stdout, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def results_table(rows: Sequence[Row], ratios: Sequence[Row]) -> Group:
    """Each experiment's metrics under its name, as wide as a terminal of 80 to 100 columns."""
    ratio_of = {_experiment(ratio): ratio for ratio in ratios}
    metrics_of = {key: list(group) for key, group in groupby(rows, _experiment)}
    parts: list[RenderableType] = []
    for key in sorted(ratio_of.keys() | metrics_of.keys()):
        metrics, ratio = metrics_of.get(key, []), ratio_of.get(key)
        as_of = max(row["as_of"] for row in (*metrics, *([ratio] if ratio else [])))
        parts.append(Text.from_markup(f"[bold]{escape('/'.join(key))}[/bold]  as of {as_of[:19]}Z"))
        if ratio:
            parts.append(Text(_sample_ratio(ratio)))
        if metrics:
            parts.append(_metrics(metrics))
        parts.append(Text())
    return Group(*parts[:-1])


def _metrics(rows: Sequence[Row]) -> RenderableType:
    columns = (
        Column("metric", may_fold=True),
        Column("variant", may_fold=True),
        Column("control", "right"),
        Column("treatment", "right"),
        Column("lift", "right"),
        Column("interval", "right", may_fold=True),
        Column("p", "right"),
    )
    return table(columns, [_metric(row) for row in rows])


def _metric(row: Row) -> tuple[str, ...]:
    """One comparison."""
    return (
        row["metric_id"],
        row["treatment_variant"],
        number(row["mean_control"]),
        number(row["mean_treatment"]),
        *lift_and_interval(row),
        probability(row["p_value"]),
    )


def lift_and_interval(row: Row) -> tuple[str, str]:
    """The relative lift and its interval; where there is none, the difference in the metric's unit."""
    if row["rel_diff"] is not None and row["rel_ci_lower"] is not None:
        lift = f"{100 * row['rel_diff']:+.2f} %"
        interval = f"{100 * row['rel_ci_lower']:+.2f} … {100 * row['rel_ci_upper']:+.2f} %"
    elif row["abs_diff"] is not None and row["abs_ci_lower"] is not None:
        lift = f"{number(row['abs_diff'], signed=True)} abs"
        interval = (
            f"{number(row['abs_ci_lower'], signed=True)} … {number(row['abs_ci_upper'], signed=True)} abs"
        )
    else:
        lift, interval = "", ""
    if row["status"] != "ok" or not interval:
        interval = f"{interval} undetermined: {words(row['reason'])}".strip()
    elif row["reason"]:
        interval = f"{interval} ({words(row['reason'])})"
    return lift, interval


def _sample_ratio(ratio: Row) -> str:
    counts = ", ".join(
        f"{variant} {count:,} (expected {expected:,.0f})"
        for variant, count, expected in zip(
            ratio["variants"], ratio["counts"], ratio["expected"], strict=True
        )
    )
    verdict = (
        f"p {probability(ratio['chi2_p_value'])}"
        if ratio["chi2_p_value"] is not None
        else f"undetermined: {words(ratio['reason'])}"
    )
    if ratio["status"] == "ok" and ratio["reason"]:
        verdict = f"{verdict} ({words(ratio['reason'])})"
    return f"users: {counts}; sample ratio {verdict}"


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


def words(reason: str) -> str:
    """A reason's name as words."""
    return reason.replace("_", " ")


def _experiment(row: Row) -> tuple[str, str]:
    return row["tenant_id"], row["experiment_id"]


def _of(tenant: str, experiment: str) -> str:
    return f" of {tenant}{f'/{experiment}' if experiment else ''}" if tenant else ""
