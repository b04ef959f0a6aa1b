"""Views ``slots``, ``totals``, ``ledger`` and ``activity`` as the reference's own types, for comparison."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from config.settings import Settings
from infra.clickhouse import connect, one_line_errors
from udfs.attribution.reference import (
    LEDGER_NAMES,
    SUM_NAMES,
    Activity,
    ActivityKey,
    LedgerEntry,
    LedgerKey,
    Slot,
    SlotKey,
)

Slots = dict[SlotKey, Slot]
Ledger = dict[LedgerKey, LedgerEntry]
ActivityRows = dict[ActivityKey, Activity]


def slots_in_view(settings: Settings) -> Slots:
    """What the view ``slots`` shows.

    Raises:
        DatabaseError: ClickHouse does not answer.
    """
    return _sums_in(settings, "slots", "toUnixTimestamp(cohort) * 1000")


def totals_in_view(settings: Settings) -> Slots:
    """What the view ``totals`` shows, as if there were one cohort, at 0; fails as ``slots_in_view`` does."""
    return _sums_in(settings, "totals", "0")


def _sums_in(settings: Settings, view: str, cohort_ms: str) -> Slots:
    sums = ", ".join(f"sum_{name}" for name in SUM_NAMES)
    query = (
        "SELECT tenant_id, experiment_id, config_version, variant_id, metric_id, segment, "
        f"{cohort_ms} AS cohort_ms, unit_class, region, n, {sums} FROM {view}"
    )
    width = len(SlotKey._fields)
    with _rows(settings, query) as rows:
        return {SlotKey(*row[:width]): Slot(row[width], tuple(row[width + 1 :])) for row in rows}


def ledger_in_view(settings: Settings, tenant_id: str = "") -> Ledger:
    """What the view ``ledger`` shows, of one tenant or of all.

    Raises:
        DatabaseError: ClickHouse does not answer.
    """
    query = (
        "SELECT tenant_id, topic, toUnixTimestamp(minute) * 1000 AS minute_ms, "
        f"received, {', '.join(LEDGER_NAMES)} FROM ledger "
        "WHERE {tenant:String} = '' OR tenant_id = {tenant:String}"
    )
    width = len(LedgerKey._fields)
    with _rows(settings, query, tenant=tenant_id) as rows:
        return {LedgerKey(*row[:width]): LedgerEntry(*row[width:]) for row in rows}


def activity_in_view(settings: Settings) -> ActivityRows:
    """What the view ``activity`` shows.

    Raises:
        DatabaseError: ClickHouse does not answer.
    """
    query = (
        "SELECT tenant_id, experiment_id, config_version, variant_id, metric_id, "
        "toUnixTimestamp(minute) * 1000 AS minute_ms, region, exposures + outcomes AS n, value_micros "
        "FROM activity"
    )
    width = len(ActivityKey._fields)
    with _rows(settings, query) as rows:
        return {ActivityKey(*row[:width]): Activity(*row[width:]) for row in rows}


@contextmanager
def _rows(settings: Settings, query: str, **parameters: str) -> Iterator[Iterator[Any]]:
    client = connect(settings)
    with one_line_errors(settings), client.query_rows_stream(query, parameters=parameters) as rows:
        yield iter(rows)
