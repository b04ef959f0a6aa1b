"""Periodic SQL: the same sums computed from all raw events in ClickHouse, as batch tools do at each refresh.

Its price depends on all there is and not on what is new, so it is measured as processor time a refresh, at
several sizes. Divided by livelift's price of an event it says from how many new events on it is the cheaper.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from config.settings import Settings
from infra.bench.dataset import (
    CAP,
    DAY_MS,
    PRE_PERIOD_DAYS,
    VARIANTS,
    WINDOW_DAYS,
    DataSet,
    Events,
    Longs,
    Shape,
    event_ids,
    experiment_id,
    source_id,
    tenant_id,
    unit_ids,
    variant_of,
)
from infra.bench.flink import cpu_s, process_of
from infra.clickhouse import connect, one_line_errors

FOLDER = Path(__file__).parent
REFRESH_WITHIN_S = 600
QUESTIONS = ("exposed", "moments")
PARAMETERS = {"window_ms": WINDOW_DAYS * DAY_MS, "pre_period_ms": PRE_PERIOD_DAYS * DAY_MS, "cap": float(CAP)}


class Refresh(NamedTuple):
    """One computation from all events there are."""

    events: int
    seconds: float
    cpu_s: float


class RawEvents:
    """Tables of raw events in the ClickHouse of the settings, that grow by what a data set still holds.

    Raises:
        DatabaseError: From every method: ClickHouse does not answer or refuses.
    """

    def __init__(self, settings: Settings, shape: Shape) -> None:
        self._settings = settings
        self._shape = shape
        self._chunks = DataSet(shape).chunks()
        self._client = connect(settings)
        self.events = 0
        for table in ("assignments", "outcomes"):
            with one_line_errors(settings):
                self._client.command(f"DROP TABLE IF EXISTS bench_{table}")
                self._client.command(_sql(table))

    def grow(self, events: int) -> None:
        """Insert the next events, until there are at least so many or none are left."""
        with one_line_errors(self._settings):
            while self.events < events and (chunk := next(self._chunks, None)) is not None:
                for table, rows in _tables(self._shape, chunk):
                    self._client.insert_arrow(table, rows)
                self.events += len(chunk)
            for table in ("assignments", "outcomes"):
                # Batch tools find tables whose parts were merged long ago.
                self._client.command(f"OPTIMIZE TABLE bench_{table} FINAL", settings=_patience())

    def refresh(self) -> Refresh:
        """Compute everything once."""
        front = process_of(self._settings, "clickhouse")
        began, used = time.monotonic(), cpu_s(front)
        self.answers()
        return Refresh(self.events, time.monotonic() - began, cpu_s(front) - used)

    def answers(self) -> dict[str, Sequence[Sequence[Any]]]:
        """The rows of both questions."""
        with one_line_errors(self._settings):
            return {
                name: self._client.query(_sql(name), PARAMETERS, settings=_patience()).result_rows
                for name in QUESTIONS
            }


def _tables(shape: Shape, events: Events) -> Iterator[tuple[str, pa.Table]]:
    tenants = [tenant_id(number) for number in range(shape.tenants)]
    experiments = [experiment_id(number) for number in range(shape.experiments)]
    sources = [source_id(number) for number in range(shape.sources)]

    def common(chosen: Events) -> dict[str, pa.Array]:
        return {
            "tenant_id": _chosen(tenants, chosen.unit % shape.tenants),
            "unit_id": _texts(unit_ids(chosen.unit)),
            "event_id": _texts(event_ids(chosen.number)),
        }

    assignments = events.rows(events.is_assignment)
    yield (
        "bench_assignments",
        pa.table(
            {
                **common(assignments),
                "experiment_id": _chosen(experiments, assignments.subject),
                "variant_id": _chosen(list(VARIANTS), variant_of(assignments.unit, assignments.subject)),
                "assigned_at": assignments.since_start_ms,
                "is_bot": np.zeros(len(assignments), np.uint8),
            }
        ),
    )
    outcomes = events.rows(~events.is_assignment)
    yield (
        "bench_outcomes",
        pa.table(
            {
                **common(outcomes),
                "source": _chosen(sources, outcomes.subject),
                "amount": outcomes.cents / 100,
                "weight": outcomes.weight.astype(np.float64),
                "occurred_at": outcomes.since_start_ms,
            }
        ),
    )


def _chosen(texts: list[str], which: Longs) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(which, pa.int32()), pa.array(texts)).cast(pa.string())


def _texts(rows: np.ndarray[Any, np.dtype[np.uint8]]) -> pa.Array:
    """A column of texts of one length without making a Python object of each."""
    count, width = rows.shape
    ends = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(rows)))


def _patience() -> dict[str, int]:
    return {"max_execution_time": REFRESH_WITHIN_S}


def _sql(name: str) -> str:
    return (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
