"""How lines of JSON become columns of the ClickHouse tables."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jobs.scorecard import history
from udfs.attribution import sums as wire
from udfs.attribution.reference import LEDGER_NAMES
from udfs.stats.moments import SUM_NAMES

Columns = Mapping[str, Sequence[Any]]


class Count(NamedTuple):
    """A record of the counts topic, as ``count_rows.sql`` writes it."""

    kind: str
    epoch: int
    tenant_id: str
    experiment_id: str
    config_version: int
    variant_id: str
    metric_id: str
    cohort: int
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
        return self[: Count._fields.index("n")]


def gathered(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of equal keys as one JSON text of columns, the form in which answers travel."""
    return json.dumps({name: [row[name] for row in rows] for name in rows[0]}, ensure_ascii=False)


def inserts(name: str, batch: str) -> Iterator[tuple[str, Columns]]:
    """The tables a batch goes to, in the order in which they must be written, with its rows column by column.

    A batch is a JSON list of rows (``slot_rows``), of rows without their columns' names (``counts``, which
    are rows of two tables) or of ``gathered`` rows (all other tables; of those in history, more than one).
    Times stay epoch milliseconds, which the driver takes for ``DateTime64(3)``.
    """
    parts = json.loads(batch)
    if name == "slot_rows":
        yield name, _slot_columns(parts)
    elif name == "counts":
        yield from _counts(map(Count._make, parts))
    else:
        columns = {column: [value for part in parts for value in part[column]] for column in parts[0]}
        yield name, history.kept(columns) if name in history.HISTORY.values() else columns


def parse_sums(text: str) -> tuple[int, ...]:
    """The fourteen sums from the base64 text in which SQL's JSON carries bytes."""
    return wire.decode(base64.b64decode(text))


def _slot_columns(rows: list[dict[str, Any]]) -> Columns:
    kept: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in rows[0] if name != "sums"}
    kept["cohort"] = [cohort_ms // 1000 for cohort_ms in kept["cohort"]]
    sums = zip(*(parse_sums(row["sums"]) for row in rows), strict=True)
    return kept | {f"sum_{name}": list(column) for name, column in zip(SUM_NAMES, sums, strict=True)}


def _counts(counts: Iterable[Count]) -> Iterator[tuple[str, Columns]]:
    """Of each minute the newest row: ledger and activity, in this order.

    ``source_offset`` of a row says that everything of its partition up to there is in both tables once the
    row is: where both get rows, only those written last bear the end of the batch.
    """
    newest: dict[tuple[Any, ...], Count] = {}
    begins: dict[int, int] = {}
    ends: dict[int, int] = {}
    for count in counts:
        known = newest.get(count.key)
        if known is None or known.version <= count.version:
            newest[count.key] = count
        partition, offset = count.source_partition, count.source_offset
        begins[partition] = min(begins.get(partition, offset), offset)
        ends[partition] = max(ends.get(partition, offset), offset)
    ledger = [count for count in newest.values() if count.kind == "ledger"]
    activity = [count for count in newest.values() if count.kind == "activity"]
    if ledger:
        unfinished = {count.source_partition: begins[count.source_partition] - 1 for count in activity}
        yield "ledger_rows", _ledger_columns(ledger) | _progress(ledger, ends | unfinished)
    if activity:
        yield "activity_rows", _activity_columns(activity) | _progress(activity, ends)


def _ledger_columns(counts: Sequence[Count]) -> dict[str, Sequence[Any]]:
    sums = zip(*(parse_sums(count.sums) for count in counts), strict=True)
    return {
        "tenant_id": [count.tenant_id for count in counts],
        "epoch": [count.epoch for count in counts],
        "topic": [count.metric_id for count in counts],
        "minute": [count.cohort // 1000 for count in counts],
        "received": [count.n for count in counts],
        # The last of a slot's fourteen sums counts nothing here.
        **dict(zip(LEDGER_NAMES, sums, strict=False)),
    }


def _activity_columns(counts: Sequence[Count]) -> dict[str, Sequence[Any]]:
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
        **{name: [getattr(count, name) for count in counts] for name in names},
        "minute": [count.cohort // 1000 for count in counts],
        "value_micros": [parse_sums(count.sums)[0] for count in counts],
    }


def _progress(counts: Sequence[Count], reached: Mapping[int, int]) -> dict[str, Sequence[Any]]:
    return {
        **{name: [getattr(count, name) for count in counts] for name in ("as_of", "updates", "version")},
        "source_partition": [count.source_partition for count in counts],
        "source_offset": [reached[count.source_partition] for count in counts],
    }
