"""How lines of JSON become columns of the ClickHouse tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jobs.scorecard.book import parse_sums
from udfs.stats.moments import SUM_NAMES

Columns = Mapping[str, Sequence[Any]]


def gathered(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of equal keys as one JSON text of columns, the form in which answers travel."""
    return json.dumps({name: [row[name] for row in rows] for name in rows[0]}, ensure_ascii=False)


def columns(table: str, batch: str) -> Columns:
    """The rows of a batch, column by column.

    A batch is a JSON list of rows (``slot_rows``) or of ``gathered`` rows (all other tables). Times stay
    epoch milliseconds, which the driver takes for ``DateTime64(3)``.
    """
    parts = json.loads(batch)
    if table == "slot_rows":
        return _slot_columns(parts)
    return {name: [value for part in parts for value in part[name]] for name in parts[0]}


def _slot_columns(rows: list[dict[str, Any]]) -> Columns:
    kept: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in rows[0] if name != "sums"}
    kept["cohort"] = [cohort_ms // 1000 for cohort_ms in kept["cohort"]]
    sums = zip(*(parse_sums(row["sums"]) for row in rows), strict=True)
    return kept | {f"sum_{name}": list(column) for name, column in zip(SUM_NAMES, sums, strict=True)}
