"""``livelift verify``: slots, totals, ledger and activity against the executable specification."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import typer

from config.settings import load
from infra import verification
from infra.cli.errors import CliError
from infra.cli.output import Column, print_table
from infra.cli.progress import bar
from infra.cli.refusals import refusals
from infra.verification import Comparison, Verification
from udfs.attribution.reference import ActivityKey, LedgerKey, SlotKey

DIFFERENCES_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(verify)


def verify() -> None:
    """Compute everything again from all events in Kafka and compare it with ClickHouse, to the last bit.

    Prints `verify: N of N slots equal`, and the same of their totals, the ledger and the activity; otherwise
    shows what differs, with exit status 1. Events still on their way through the jobs count as differences:
    run `livelift wait` first.
    """
    settings = load()
    with refusals(), bar("reading") as reading, bar("computing") as computing:
        result = verification.verify(settings, reading=reading, computing=computing)
    report(result)


def report(result: Verification) -> None:
    """Print the outcome; any difference is an error.

    Raises:
        CliError: Not everything is equal, or there are no slots.
    """
    for name, comparison, what, named in (
        ("verify", result.slots, "slots", _slot),
        ("totals", result.totals, "rows", _total),
        ("ledger", result.ledger, "rows", _ledger_minute),
        ("activity", result.activity, "rows", _activity_minute),
    ):
        _print_differences(comparison, what, named)
        print(f"{name}: {comparison.equal} of {comparison.total} {what} equal")
    counts = {
        "slots": len(result.slots.differences),
        "totals": len(result.totals.differences),
        "ledger rows": len(result.ledger.differences),
        "activity rows": len(result.activity.differences),
    }
    wrong = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    if wrong:
        raise CliError(f"{wrong} differ (if events are on their way: livelift wait)")
    if not result.slots.total:
        raise CliError("there are no slots, neither expected nor found")


def _print_differences(comparison: Comparison, what: str, named: Callable[[Any], str]) -> None:
    if not comparison.differences:
        return
    rows = [
        (named(difference.key), field, f"{want:,}", f"{have:,}")
        for difference in comparison.differences[:DIFFERENCES_SHOWN]
        for field, want, have in difference.fields
    ]
    columns = (
        Column(what, may_fold=True),
        Column("field"),
        Column("expected", "right", may_fold=True),
        Column("found", "right", may_fold=True),
    )
    print_table(columns, rows)
    if len(comparison.differences) > DIFFERENCES_SHOWN:
        print(f"and {len(comparison.differences) - DIFFERENCES_SHOWN} more {what}")


def _slot(key: SlotKey) -> str:
    return _sums(key, _minute(key.cohort_ms))


def _total(key: SlotKey) -> str:
    return _sums(key, "(all cohorts)")


def _sums(key: SlotKey, cohort: str) -> str:
    segment = key.segment or "(everyone)"
    return " ".join((*_experiment_and_metric(key), segment, cohort, key.unit_class, key.region))


def _ledger_minute(key: LedgerKey) -> str:
    return f"{key.topic} {_minute(key.minute_ms)}"


def _activity_minute(key: ActivityKey) -> str:
    return " ".join((*_experiment_and_metric(key), _minute(key.minute_ms), key.region))


def _experiment_and_metric(key: SlotKey | ActivityKey) -> tuple[str, str, str]:
    experiment = f"{key.tenant_id}/{key.experiment_id}/{key.config_version}"
    return experiment, key.variant_id, key.metric_id or "(exposures)"


def _minute(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M")
