"""``livelift verify``: every slot against the executable specification."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from config.settings import load
from infra import verification
from infra.cli.errors import CliError
from infra.cli.output import Column, print_table
from infra.cli.progress import bar
from infra.cli.refusals import refusals
from infra.verification import Difference, Verification

DIFFERENCES_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(verify)


def verify() -> None:
    """Compute every slot again from all events in Kafka and compare it with ClickHouse, to the last bit.

    Prints `verify: N of N slots equal`; otherwise shows what differs, with exit status 1. Events still on
    their way through the jobs count as differences: run `livelift wait` first.
    """
    settings = load()
    with refusals(), bar("reading") as reading, bar("computing") as computing:
        result = verification.verify(settings, reading=reading, computing=computing)
    report(result)


def report(result: Verification) -> None:
    """Print the outcome; any difference is an error.

    Raises:
        CliError: Not all slots are equal, or there are none.
    """
    if result.differences:
        _print_differences(result.differences)
    print(f"verify: {result.equal} of {result.total} slots equal")
    if result.differences:
        raise CliError(f"{len(result.differences)} slots differ (if events are on their way: livelift wait)")
    if not result.total:
        raise CliError("there are no slots, neither expected nor found")


def _print_differences(differences: list[Difference]) -> None:
    rows = [
        (_name(difference), field, f"{want:,}", f"{have:,}")
        for difference in differences[:DIFFERENCES_SHOWN]
        for field, want, have in difference.fields
    ]
    columns = (
        Column("slot", may_fold=True),
        Column("field"),
        Column("expected", "right", may_fold=True),
        Column("found", "right", may_fold=True),
    )
    print_table(columns, rows)
    if len(differences) > DIFFERENCES_SHOWN:
        print(f"and {len(differences) - DIFFERENCES_SHOWN} more slots")


def _name(difference: Difference) -> str:
    key = difference.key
    cohort = datetime.fromtimestamp(key.cohort_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M")
    parts = (
        f"{key.tenant_id}/{key.experiment_id}/{key.config_version}",
        key.variant_id,
        key.metric_id or "(exposures)",
        key.segment or "(everyone)",
        cohort,
        key.unit_class,
        key.region,
    )
    return " ".join(parts)
