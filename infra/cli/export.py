"""``livelift export``: views as files for notebooks and other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from config.settings import load
from infra.cli.refusals import refusals
from infra.export import View, export_view


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(export)


def export(
    view: Annotated[View, typer.Argument(help="What is exported.")],
    tenant: Annotated[str, typer.Argument(help="Whose rows.")],
    experiment: Annotated[str, typer.Argument(help="Only this experiment of it.")] = "",
    *,
    to: Annotated[Path, typer.Option(metavar="FILE", help="Ends in .parquet or .csv.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write all columns of a view to a Parquet or CSV file, which appears once it is whole.

    The exact sums (256 bits) are text in both, times are UTC; lists are JSON in CSV.
    """
    with refusals():
        rows = export_view(load(), view, tenant, experiment, to, force=force)
    whose = f"{tenant}/{experiment}" if experiment else tenant
    typer.echo(f"{to}: {rows:,} {'row' if rows == 1 else 'rows'} of {view} of {whose}")
