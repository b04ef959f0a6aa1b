"""How lines of JSON become rows of the ClickHouse tables."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from jobs.scorecard import history
from jobs.scorecard.slots import newest
from jobs.wiring.clickhouse import Columns, Lines
from udfs.attribution import sums as wire
from udfs.attribution.reference import LEDGER_NAMES
from udfs.stats.moments import SUM_NAMES

SLOT_COLUMNS = (
    *(f"sum_{name}" for name in SUM_NAMES),
    *("as_of", "cohort", "kind", "epoch", "tenant_id", "experiment_id", "config_version", "variant_id"),
    *("metric_id", "segment", "unit_class", "region", "n", "updates", "version"),
    *("source_partition", "source_offset"),
)
"""What the lines of ``slot_rows.sql`` hold, in this order."""


class Record(NamedTuple):
    """A record of the counts topic, as ``count_rows.sql`` writes it."""

    kind: str
    epoch: int
    tenant_id: str
    experiment_id: str
    config_version: int
    variant_id: str
    metric_id: str
    segment: str
    cohort: int
    unit_class: str
    region: str
    n: int
    sums: str
    as_of: int
    updates: int
    version: int
    source_partition: int
    source_offset: int

    @property
    def key(self) -> tuple[Any, ...]:
        """What it is absolute for."""
        return self[: Record._fields.index("n")]


def gathered(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of equal keys as one JSON text of columns, the form in which answers travel."""
    return orjson.dumps({name: [row[name] for row in rows] for name in rows[0]}).decode()


def inserts(name: str, batch: str) -> Iterator[tuple[str, Columns | Lines]]:
    """The tables a batch goes to, in the order in which they must be written, with its rows.

    A batch is a JSON list: of rows of ``slot_rows``, as ClickHouse itself reads them; of records of
    ``counts``, which are rows of two tables, and of each key the newest is written; of ``gathered`` rows for
    all other tables, where those of history become more than one. Times of the last two stay epoch
    milliseconds, which the driver takes for ``DateTime64(3)``.
    """
    if name == "slot_rows":
        yield name, Lines(SLOT_COLUMNS, batch[1:-1])
        return
    parts = orjson.loads(batch)
    if name == "counts":
        yield from _counts(list(map(Record._make, parts)))
    else:
        columns = {column: [value for part in parts for value in part[column]] for column in parts[0]}
        yield name, history.kept(columns) if name in history.HISTORY.values() else columns


def parse_sums(text: str) -> tuple[int, ...]:
    """The fourteen sums from the base64 text in which SQL's JSON carries bytes."""
    return wire.decode(base64.b64decode(text))


def _counts(records: Sequence[Record]) -> Iterator[tuple[str, Columns]]:
    """Ledger and activity, in this order.

    ``source_offset`` of a row says that everything of its partition up to there is in both tables once the
    row is: where both get rows, only those written last bear the end of the batch.
    """
    begins: dict[int, int] = {}
    ends: dict[int, int] = {}
    for record in records:
        partition, offset = record.source_partition, record.source_offset
        begins[partition] = min(begins.get(partition, offset), offset)
        ends[partition] = max(ends.get(partition, offset), offset)
    kept = newest(records)
    ledger = [record for record in kept if record.kind == "ledger"]
    activity = [record for record in kept if record.kind == "activity"]
    if ledger:
        unfinished = {record.source_partition: begins[record.source_partition] - 1 for record in activity}
        yield "ledger_rows", _ledger_columns(ledger) | _progress(ledger, ends | unfinished)
    if activity:
        yield "activity_rows", _activity_columns(activity) | _progress(activity, ends)


def _ledger_columns(records: Sequence[Record]) -> dict[str, Sequence[Any]]:
    sums = zip(*(parse_sums(record.sums) for record in records), strict=True)
    return {
        "tenant_id": [record.tenant_id for record in records],
        "epoch": [record.epoch for record in records],
        "topic": [record.metric_id for record in records],
        "minute": [record.cohort // 1000 for record in records],
        "received": [record.n for record in records],
        # The last of a slot's fourteen sums counts nothing here.
        **dict(zip(LEDGER_NAMES, sums, strict=False)),
    }


def _activity_columns(records: Sequence[Record]) -> dict[str, Sequence[Any]]:
    names = (
        "tenant_id",
        "epoch",
        "experiment_id",
        "config_version",
        "variant_id",
        "metric_id",
        "region",
        "n",
    )
    return {
        **{name: [getattr(record, name) for record in records] for name in names},
        "minute": [record.cohort // 1000 for record in records],
        "value_micros": [parse_sums(record.sums)[0] for record in records],
    }


def _progress(records: Sequence[Record], reached: Mapping[int, int]) -> dict[str, Sequence[Any]]:
    return {
        **{name: [getattr(record, name) for record in records] for name in ("as_of", "updates", "version")},
        "source_partition": [record.source_partition for record in records],
        "source_offset": [reached[record.source_partition] for record in records],
    }
