"""``livelift decisions`` and ``livelift decision``: what was decided, and computed again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated

import typer

from config.settings import load
from infra.cli.errors import CliError
from infra.cli.output import Column, Format, note, print_json, print_table
from infra.cli.refusals import refusals
from infra.decisions import follow_decisions, read_decisions
from infra.results import Row

group = typer.Typer(help="One decision.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(decisions)
    app.add_typer(group, name="decision")


def decisions(
    tenant: Annotated[str, typer.Argument(help="Only this tenant.", show_default=False)] = "",
    experiment: Annotated[str, typer.Argument(help="Only this experiment of it.", show_default=False)] = "",
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with those to come, until stopped.")
    ] = False,
    output: Annotated[Format, typer.Option("--format", help="For people or for machines.")] = Format.TABLE,
) -> None:
    """Show which experiments were to be stopped, are invalid, or can be shipped, oldest first.

    With --follow each is printed once as soon as it is made: as a line, or with --format json as one JSON
    document on a line.
    """
    settings = load()
    with refusals():
        if follow:
            _follow(follow_decisions(settings, note, tenant, experiment), output)
            return
        rows = read_decisions(settings, tenant, experiment)
    if output is Format.JSON:
        print_json(rows)
        return
    columns = (
        Column("decided at"),
        Column("kind"),
        Column("experiment"),
        Column("metric"),
        Column("variant"),
        Column("decision"),
        Column("message", may_fold=True),
    )
    if not rows:
        named = "/".join(filter(None, (tenant, experiment)))
        note(f"nothing was decided{f' about {named}' if named else ''} yet")
        return
    print_table(columns, map(_cells, rows))
    note("1 decision" if len(rows) == 1 else f"{len(rows)} decisions")


@group.command()
def replay(
    decision_id: Annotated[str, typer.Argument(metavar="ID", help="As `decisions` shows it.")],
) -> None:
    """Compute a decision again from the sums it was made of; exit 1 if they say something else."""
    from infra.decision_replay import disagreements  # the statistics take half a second to load

    with refusals():
        rows = read_decisions(load(), decision_id=decision_id)
    if not rows:
        raise CliError(f"there is no decision {decision_id}")
    found = disagreements(rows[0])
    if found:
        raise CliError(f"{decision_id}: {'; '.join(found)}")
    print(f"{decision_id}: the sums say the same: {rows[0]['message']}")


def _follow(rows: Iterable[Row], output: Format) -> None:
    try:
        for row in rows:
            if output is Format.JSON:
                print(json.dumps(row, ensure_ascii=False), flush=True)
            else:
                print("  ".join(filter(None, _cells(row))), flush=True)
    except KeyboardInterrupt:
        return


def _cells(row: Row) -> tuple[str, ...]:
    return (
        f"{row['decided_at'][:19]}Z",
        row["kind"],
        f"{row['tenant_id']}/{row['experiment_id']}",
        row["metric_id"],
        row["treatment_variant"],
        row["decision_id"],
        row["message"],
    )
