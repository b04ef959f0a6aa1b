"""What ClickHouse tells: how old results are, what became of records, how large the tables are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from config.settings import Settings
from infra.clickhouse import connect, one_line_errors
from infra.lanes import Activation, read_activations
from infra.observability.exporter.sample import Sample, by_tenant
from udfs.attribution.reference import LEDGER_NAMES, Reason

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

FEWEST = 100
"""A share of fewer records says nothing (the same as in ``RejectedShares.java``)."""

FATES = tuple(name for name in LEDGER_NAMES if name != "late")
"""What a record becomes, exactly one of them; late is only a note on the counted ones."""

REFUSED = tuple(reason.value for reason in Reason if reason is not Reason.DUPLICATE)

AGES = """
SELECT tenant_id, (toUnixTimestamp64Milli(now64(3)) - max(toUnixTimestamp64Milli(as_of))) / 1000
FROM results GROUP BY tenant_id
"""

BEHIND = """
SELECT tenant_id, max(greatest(0, stored.newest_ms - computed.newest_ms)) / 1000
FROM (
    SELECT tenant_id, experiment_id, epoch, max(toUnixTimestamp64Milli(as_of)) AS newest_ms
    FROM slot_rows WHERE kind = 'total' GROUP BY ALL
) AS stored
JOIN (
    SELECT tenant_id, experiment_id, epoch, max(toUnixTimestamp64Milli(as_of)) AS newest_ms
    FROM results GROUP BY ALL
) AS computed USING (tenant_id, experiment_id, epoch)
GROUP BY tenant_id
"""
"""An older version of a row has no newer moment, so no version needs to be left out."""

RESIDUES = """
SELECT tenant_id, sumIf(abs(residue), minute < now() - INTERVAL 3 MINUTE) FROM ledger
WHERE minute >= now() - INTERVAL 6 HOUR
GROUP BY tenant_id
"""
"""A tenant whose first records are younger has none yet: 0."""

RECENT = f"""
SELECT tenant_id, {", ".join(f"sum({fate})" for fate in FATES)} FROM ledger
WHERE minute >= now() - INTERVAL 10 MINUTE
GROUP BY tenant_id
"""

LATER_VIEWS = {
    "livelift_coverage_lag_seconds": ("coverage", "SELECT region, lag_s FROM coverage"),
    "livelift_last_decision_age_seconds": (
        "decisions",
        "SELECT kind, (toUnixTimestamp64Milli(now64(3)) - max(toUnixTimestamp64Milli(decided_at))) / 1000 "
        "FROM decisions GROUP BY kind",
    ),
    "livelift_decision_delay_seconds": (
        "decisions",
        "SELECT kind, max(toUnixTimestamp64Milli(decided_at) - toUnixTimestamp64Milli(crossed_at)) / 1000 "
        "FROM decisions WHERE kind IN ('stop', 'invalid') AND crossed_at IS NOT NULL "
        "AND decided_at > now64(3) - INTERVAL 1 HOUR GROUP BY kind",
    ),
}
"""Of views that a database may not have yet: then there are no series."""

VIEWS = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View'"

SIZES = """
SELECT name, total_rows, total_bytes FROM system.tables
WHERE database = currentDatabase() AND endsWith(name, '_rows')
"""


class Tables:
    """The views readers use, and the tables behind them.

    Raises:
        DatabaseError: From ``look``: ClickHouse does not answer, or its tables are not there yet.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.activations: list[Activation] | None = None
        """What the last look found in ``epochs``; None before the first."""

    def look(self) -> Iterator[Sample]:
        """All of it; a tenant without results or records has no series."""
        with one_line_errors(self._settings):
            self.activations = read_activations(self._client)
            yield from self._tenants("livelift_results_age_seconds", AGES)
            yield from self._tenants("livelift_results_behind_seconds", BEHIND)
            yield from self._tenants("livelift_ledger_residue_records", RESIDUES)
            yield from self._recent()
            yield from self._later()
            for table, rows, size in self._client.query(SIZES).result_rows:
                yield Sample("livelift_table_rows", (table,), rows)
                yield Sample("livelift_table_bytes", (table,), size)

    @cached_property
    def _client(self) -> Client:
        return connect(self._settings)

    def _tenants(self, name: str, query: str) -> Iterator[Sample]:
        """Values of which the greatest is the one that matters."""
        values = {str(tenant_id): float(value) for tenant_id, value in self._client.query(query).result_rows}
        return by_tenant(name, values, max)

    def _later(self) -> Iterator[Sample]:
        views = {name for (name,) in self._client.query(VIEWS).result_rows}
        for name, (view, query) in LATER_VIEWS.items():
            for label, value in self._client.query(query).result_rows if view in views else ():
                yield Sample(name, (label,), value)

    def _recent(self) -> Iterator[Sample]:
        fates = dict.fromkeys(FATES, 0)
        shares = {}
        for tenant_id, *counts in self._client.query(RECENT).result_rows:
            became = Counter(dict(zip(FATES, counts, strict=True)))
            fates = {fate: total + became[fate] for fate, total in fates.items()}
            shares[tenant_id] = _share(sum(became[reason] for reason in REFUSED), became.total())
        yield from by_tenant("livelift_rejected_share", shares, max)
        for fate, total in fates.items():
            yield Sample("livelift_recent_records", (fate,), total)


def _share(refused: int, all_records: int) -> float:
    return refused / all_records if all_records >= FEWEST else 0.0
