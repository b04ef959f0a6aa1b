"""What of the answers is remembered for ``results_history``, and how often.

Of a row that changed, the newest of each minute and of each hour: two absolute rows, told apart by ``kept``,
so that writing one again changes nothing. ClickHouse drops those of minutes after two days. Rows behind a
decision are kept as they are, whatever comes after them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

HISTORY = {"result_rows": "result_history_rows", "sample_ratio_rows": "sample_ratio_history_rows"}
"""The table that remembers the rows of a table."""

KEYS = {
    "result_rows": ("config_version", "view", "policy", "segment", "metric_id", "treatment_variant"),
    "sample_ratio_rows": ("segment", "bots"),
}
"""What tells the rows of one experiment and epoch apart."""

MOMENTS = frozenset({"as_of", "computed_at", "slot_updates", "version"})
"""Columns that are others in every answer: they alone are no change."""

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS

DECISION = "decision"
"""``kept`` of rows behind a decision; of others it is empty."""

Row = Mapping[str, Any]


class Recorded:
    """What was remembered last of each row of a book; in memory only: forgotten, it is written once more."""

    def __init__(self) -> None:
        self._contents: dict[tuple[str, ...], int] = {}

    def changed(self, table: str, rows: Sequence[Row]) -> list[Row]:
        """The rows that say something new, to be kept, which from now on count as remembered."""
        found: list[Row] = []
        for row in rows:
            key = (table, *(str(row[name]) for name in KEYS[table]))
            content = hash(str([value for name, value in row.items() if name not in MOMENTS]))
            if self._contents.get(key) != content:
                self._contents[key] = content
                found.append({**row, "kept": ""})
        return found


def behind_a_decision(rows: Sequence[Row]) -> list[Row]:
    """The same rows, to be kept for good: emit them for the table that ``HISTORY`` names."""
    return [{**row, "kept": DECISION} for row in rows]


def kept(columns: Mapping[str, Sequence[Any]]) -> Mapping[str, Sequence[Any]]:
    """The columns of rows as the tables of history take them: a row of a decision once, others twice."""
    places = list(_places(columns["computed_at"], columns["kept"]))
    repeated = {
        name: [values[index] for index, _, _ in places] for name, values in columns.items() if name != "kept"
    }
    return repeated | {"kept": [each for _, each, _ in places], "kept_at": [at_ms for _, _, at_ms in places]}


def _places(computed_at: Sequence[int], decided: Sequence[str]) -> Iterator[tuple[int, str, int]]:
    """Index of a row, how it is kept, and the moment it is kept for."""
    for index, at_ms in enumerate(computed_at):
        if decided[index] == DECISION:
            yield index, DECISION, at_ms
        else:
            yield index, "minute", at_ms // MINUTE_MS * MINUTE_MS
            yield index, "hour", at_ms // HOUR_MS * HOUR_MS
