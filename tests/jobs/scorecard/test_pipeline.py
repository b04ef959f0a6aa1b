"""The job as Flink would run it: what is read once, what waits for what, what finds its state again."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from pyflink.table import EnvironmentSettings, StreamTableEnvironment, TableEnvironment

from config.settings import load
from jobs.scorecard import pipeline
from jobs.scorecard.__main__ import environment
from jobs.scorecard.slots import Change, parse_changes
from jobs.scorecard.tables import SLOT_COLUMNS, Record
from jobs.wiring.flink import declare_functions
from jobs.wiring.kafka import SLOT_KEY, SLOT_VALUE
from tests.jobs.scorecard.builders import NOON_MS, a_count
from udfs.stats import SUM_NAMES

pytestmark = pytest.mark.jvm


@dataclass(frozen=True)
class Declared:
    """The job, declared and not started."""

    environment: Any
    tables: StreamTableEnvironment

    @property
    def nodes(self) -> list[dict[str, Any]]:
        plan: dict[str, Any] = json.loads(self.environment.get_execution_plan())
        return list(plan["nodes"])

    @property
    def operators(self) -> list[Any]:
        """The nodes of Flink's graph, as Java objects."""
        graph = self.environment._j_stream_execution_environment.getStreamGraph(False)
        return list(graph.getStreamNodes().toArray())


@pytest.fixture(scope="module")
def declared() -> Declared:
    settings = load(environ={})
    assert settings.attribution_jar.is_file(), f"{settings.attribution_jar} is not built: run `make setup`"
    running = environment(settings)
    tables = StreamTableEnvironment.create(running)
    pipeline.scorecard(tables, settings)
    return Declared(running, tables)


def test_every_topic_is_read_once_the_slots_for_rows_and_for_sums(declared: Declared) -> None:
    sources = [node["type"] for node in declared.nodes if node["pact"] == "Data Source"]
    assert sorted(name.rsplit(".", 1)[1] for name in sources) == ["counts", "definitions", "slots"]


def test_every_operator_with_state_has_a_name_of_its_own(declared: Declared) -> None:
    stateful = [node for node in declared.operators if node.getStateKeySerializer() is not None]
    uids = [node.getTransformationUID() for node in stateful]
    assert None not in uids, [node.getOperatorName() for node in stateful]
    assert len(set(uids)) == len(uids)
    assert "scorecard-experiments" in uids


def test_what_is_written_is_written_by_named_operators(declared: Declared) -> None:
    uids = {node.getTransformationUID() for node in declared.operators}
    assert {"write-slot-rows", "write-answers", "write-count-rows"} <= uids


def test_a_record_of_the_counts_topic_is_the_line_that_python_reads() -> None:
    """By position, so a column in another place would be another number."""
    activity = a_count("activity", sums=[7], metric_id="reven\"ue'ü", epoch=3)
    ledger = a_count(sums=[1, 2]), a_count(sums=[])
    slot = a_count()._replace(kind="slot")
    tables = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    columns = (*SLOT_KEY, *SLOT_VALUE, ("source_partition", "INT"), ("source_offset", "BIGINT"))
    rows = ", ".join(_values(count, columns) for count in (activity, *ledger, slot))
    names = ", ".join(name for name, _ in columns)
    counts = tables.sql_query(f"SELECT * FROM (VALUES {rows}) AS given ({names})")
    tables.create_temporary_view("counts", counts)
    lines = tables.sql_query(f"SELECT line FROM ({pipeline._sql('count_rows')})").execute()
    with lines.collect() as found:
        assert {Record(*json.loads(row[0])) for row in found} == {activity, *ledger}


def test_a_record_of_the_slots_topic_is_the_row_that_clickhouse_reads() -> None:
    sums = (-(10**40), *range(13))
    slot = a_count("slot", sums, metric_id="reven\"ue'ü", epoch=3, as_of=NOON_MS + 5)
    settings = load(environ={})
    tables = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    tables.get_config().set("pipeline.jars", settings.attribution_jar.as_uri())
    declare_functions(tables, pipeline.FUNCTIONS)
    columns = (*SLOT_KEY, *SLOT_VALUE, ("source_partition", "INT"), ("source_offset", "BIGINT"))
    names = ", ".join(name for name, _ in columns)
    given = f"SELECT *, PROCTIME() AS arrived_at FROM (VALUES {_values(slot, columns)}) AS given ({names})"
    tables.create_temporary_view("slot_records", tables.sql_query(given))
    lines = tables.sql_query(f"SELECT lane, table_name, line FROM ({pipeline._sql('slot_rows')})").execute()
    with lines.collect() as found:
        [(lane, table, line)] = [tuple(row) for row in found]
    assert (lane, table) == (slot.source_partition, "slot_rows")
    row = dict(zip(SLOT_COLUMNS, json.loads(line, parse_float=str), strict=True))
    expected = {**slot._asdict(), "as_of": f"{NOON_MS // 1000}.005", "cohort": slot.cohort // 1000}
    del expected["sums"]
    assert row == expected | {f"sum_{name}": number for name, number in zip(SUM_NAMES, sums, strict=True)}


def test_a_changed_slot_is_told_to_python_by_position(declared: Declared) -> None:
    """Of the window's clock nothing can be told without running it; the query is read without its window."""
    slot = a_count("slot", sums=[7, 8], metric_id="reven\"ue'ü", epoch=3, version=12)
    activity = a_count("activity")
    tables = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    columns = (*SLOT_KEY, *SLOT_VALUE, ("source_partition", "INT"), ("source_offset", "BIGINT"))
    rows = ", ".join(_values(each, columns) for each in (slot, activity))
    names = ", ".join(name for name, _ in columns)
    given = f"SELECT *, TIMESTAMP '2026-01-01 00:00:00' AS arrived_at FROM (VALUES {rows}) AS given ({names})"
    tables.create_temporary_view("slot_records", tables.sql_query(given))
    query = pipeline._sql("changes", window="1.000")
    with tables.sql_query(query).execute().collect() as found:
        [(experiment, text)] = [tuple(row) for row in found]
    [change] = parse_changes(text)
    assert experiment == "acme/checkout"
    assert change == Change(
        *("slot", 3, 1, "control", slot.metric_id, "", slot.cohort, "", "local", slot.n, slot.sums),
        *(slot.as_of, slot.updates, 12),
    )


def _values(record: Record, columns: Sequence[tuple[str, str]]) -> str:
    """One row for SQL's VALUES."""
    given = {**record._asdict(), "sums": base64.b64decode(record.sums).hex()}
    texts = {name: "'" + str(given[name]).replace("'", "''") + "'" for name, _ in columns}
    return "(" + ", ".join(_typed(texts[name], kind) for name, kind in columns) + ")"


def _typed(text: str, kind: str) -> str:
    return f"x{text}" if kind == "BYTES" else f"CAST({text} AS {kind})"
