"""``livelift results``: what is known about experiments now."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, NoReturn

import typer

from config.settings import Settings, load
from infra.broker import BrokerError
from infra.cli.errors import CliError
from infra.cli.moments import moment
from infra.cli.output import note, print_json, stdout
from infra.cli.refusals import refusals
from infra.cli.results_table import Rules, results_table
from infra.cohorts import Cohorts
from infra.decisions import read_decisions
from infra.definitions import read_published
from infra.questions import check_asked
from infra.results import Question, Row, View, plain, read_results, read_sample_ratios


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
    """Show results, of now or of a moment: lift, interval for any look, sample ratio, guardrails.

    With `--cohorts 2026-11-20..2026-11-22` (both inclusive; `2026-11-20T14` is an hour, an absent
    bound is open) the slots of those days are summed and judged now.
    """
    settings = load()
    question = Question(tenant, experiment, view, policy, segment, config_version, as_of)
    with refusals():
        rows, ratios = (
            slice_of(settings, question, cohorts) if cohorts else newest(settings, question, output)
        )
        decided = decisions_then(settings, question) if output is ResultFormat.TABLE else []
    if output is ResultFormat.JSON:
        print_json(rows)
    elif output is ResultFormat.CSV:
        print_csv(rows)
    elif rows:
        now = datetime.now(UTC)
        stdout().print(results_table(rows, ratios, decided, rules(settings), now, question))
    else:
        refuse_nothing(settings, question)


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


def decisions_then(settings: Settings, question: Question) -> list[Row]:
    """What had been decided by the moment that is asked for."""
    rows = read_decisions(settings, question.tenant_id, question.experiment_id)
    if question.as_of_ms is None:
        return rows
    then = plain(datetime.fromtimestamp(question.as_of_ms / 1000, UTC))
    return [row for row in rows if row["decided_at"] <= then]


def rules(settings: Settings) -> Rules:
    """What the definitions say of the metrics; without Kafka nothing, since results are there without it."""
    try:
        return Rules.of(read_published(settings))
    except BrokerError as error:
        note(f"roles, margins and levels are not shown: {error}")
        return Rules()


def print_csv(rows: Sequence[Row]) -> None:
    """Print rows with a header; without rows there is nothing to print."""
    if rows:
        writer = csv.DictWriter(sys.stdout, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def refuse_nothing(settings: Settings, question: Question) -> NoReturn:
    """Say why there are no rows: what is asked about does not exist, or nothing of it is counted yet."""
    with refusals(), suppress(BrokerError):
        check_asked(settings, question)
    of = f" of {question.name}" if question.name else ""
    how = f" in view {question.view}" if question.view != View.ALL else ""
    raise CliError(f"no results{of}{how} {'yet' if question.as_of_ms is None else 'then'}")
