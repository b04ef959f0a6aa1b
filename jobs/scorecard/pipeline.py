"""The scorecard job: slots in, statistics in ClickHouse out. Batches in SQL, sums and statistics in Python.

slots ─┬─ rows ──────────────────────── batches ── write                       → slot_rows
       └─ changes per experiment ─┬─ Scorecard ─┬─ batches ── write          → result_rows, …
definitions ──────────────────────┘             └─ decisions                 → decisions topic
counts ── rows ── batches ── write                                              → ledger_rows, activity_rows
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import DataStream
from pyflink.table import Schema, StreamTableEnvironment, Table

from config.settings import ClickHouse, Settings
from jobs.scorecard.operators import Scorecard, WriteRows
from jobs.scorecard.pace import Times
from jobs.wiring import kafka
from jobs.wiring.clickhouse import Writer, writer_to
from jobs.wiring.flink import declare_functions, python_workers

Connect = Callable[[ClickHouse], Writer]

NAME = "livelift-scorecard"
FOLDER = Path(__file__).parent

BUNDLE_MS = 20
"""Part of every result's age; longer ones save little, since what comes is already condensed."""

ROWS_WINDOW_MS = 2000
"""What comes in so long is written together: all rows of slots, the newest of each minute of the counts."""

FUNCTIONS = {"sum_numbers": "SumNumbers"}
"""In Java: with it a row of a slot needs no Python."""

ROWS = Types.ROW_NAMED(["table_name", "answered"], [Types.STRING(), Types.STRING()])


def options() -> dict[str, str]:
    """How the job must be planned and run."""
    return {
        # Operators of SQL are named, too, so that a change in Python leaves them their state.
        "table.exec.uid.generation": "ALWAYS",
        # While ClickHouse is away no checkpoint can be complete; that is no reason to begin anew.
        "execution.checkpointing.tolerable-failed-checkpoints": "1000000",
        **python_workers(BUNDLE_MS),
    }


def scorecard(tables: StreamTableEnvironment, settings: Settings, connect: Connect = writer_to) -> None:
    """Declare the whole job in an environment that has ``options``."""
    declare_functions(tables, FUNCTIONS)
    tables.execute_sql(kafka.slots_read(settings))
    tables.execute_sql(kafka.definitions_read(settings))
    tables.execute_sql(kafka.counts_read(settings))
    tables.execute_sql(kafka.decisions_written(settings))
    _view(tables, "slot_records", tables.to_data_stream(tables.sql_query(_sql("slot_records"))))
    slot_rows(tables, settings, connect)
    results(tables, settings, connect)
    count_rows(tables, settings, connect)
    decisions(tables)


def slot_rows(tables: StreamTableEnvironment, settings: Settings, connect: Connect) -> None:
    """All that the slots topic says, per partition in the order of its log; ClickHouse keeps the newest."""
    tables.create_temporary_view("slot_rows", tables.sql_query(_sql("slot_rows")))
    batches = tables.sql_query(_sql("batches", rows="slot_rows", window=_seconds(ROWS_WINDOW_MS)))
    write(tables, batches, WriteRows(settings.clickhouse, connect), "write-slot-rows")


def results(tables: StreamTableEnvironment, settings: Settings, connect: Connect) -> None:
    """The statistics of an experiment, whenever its sums change and as time passes."""
    window = _seconds(settings.scorecard.window_ms)
    changes = keyed_by_experiment(tables, tables.sql_query(_sql("changes", window=window)))
    definitions = keyed_by_experiment(tables, tables.sql_query(_sql("definitions")))
    times = Times(settings.scorecard.views_ms, settings.scorecard.history_ms)
    answers = (
        changes.connect(definitions)
        .process(Scorecard(settings.clickhouse, times), output_type=ROWS)
        .uid("scorecard-experiments")
        .name("scorecard")
    )
    _view(tables, "answers", answers)
    tables.create_temporary_view("answer_rows", tables.sql_query(_sql("answer_rows")))
    batches = tables.sql_query(
        _sql("batches", rows="answer_rows", window=_seconds(settings.scorecard.flush_ms))
    )
    write(tables, batches, WriteRows(settings.clickhouse, connect), "write-answers")


def count_rows(tables: StreamTableEnvironment, settings: Settings, connect: Connect) -> None:
    """The newest of what the counts topic says of each minute."""
    tables.create_temporary_view("count_rows", tables.sql_query(_sql("count_rows")))
    batches = tables.sql_query(_sql("batches", rows="count_rows", window=_seconds(ROWS_WINDOW_MS)))
    write(tables, batches, WriteRows(settings.clickhouse, connect), "write-count-rows")


def decisions(tables: StreamTableEnvironment) -> None:
    """Each decision to its topic as soon as it is made."""
    written = tables.create_statement_set()
    written.add_insert("decisions", tables.sql_query(_sql("decisions")))
    written.attach_as_datastream()


def keyed_by_experiment(tables: StreamTableEnvironment, table: Table) -> Any:
    """Rows whose first column is ``tenant_id/experiment_id``, keyed by it."""
    return tables.to_data_stream(table).key_by(_experiment, key_type=Types.STRING())


def write(tables: StreamTableEnvironment, batches: Table, writing: WriteRows, name: str) -> None:
    """Write each batch in one insert."""
    written = tables.to_data_stream(batches).map(writing, output_type=Types.INT())
    written.uid(name).name(name)


def _view(tables: StreamTableEnvironment, name: str, stream: DataStream) -> None:
    """A table of the stream's rows and the processing time at which each arrived."""
    schema = Schema.new_builder().column_by_expression("arrived_at", "PROCTIME()").build()
    tables.create_temporary_view(name, tables.from_data_stream(stream, schema))


def _sql(name: str, **places: str) -> str:
    return (FOLDER / f"{name}.sql").read_text(encoding="utf-8").format(**places)


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.3f}"


def _experiment(row: Row) -> str:
    experiment: str = row[0]
    return experiment
