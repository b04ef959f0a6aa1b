"""Lines of JSON become columns that the driver writes."""

from __future__ import annotations

import json
import random
from typing import Any

from jobs.scorecard.tables import SLOT_COLUMNS, Record, gathered, inserts
from jobs.wiring.clickhouse import Lines
from tests.jobs.scorecard.builders import NOON_MS, a_count
from udfs.attribution.reference import LEDGER_NAMES


def columns(name: str, batch: str) -> dict[str, Any]:
    """The columns of a batch for one table."""
    [(table, found)] = inserts(name, batch)
    assert table == name
    return dict(found)


def written(*counts: Record) -> dict[str, list[dict[str, Any]]]:
    """The rows that a batch of counts makes, by table in the order of writing."""
    found = {}
    for table, by_column in inserts("counts", json.dumps(counts)):
        rows = zip(*by_column.values(), strict=True)
        found[table] = [dict(zip(by_column, row, strict=True)) for row in rows]
    return found


def test_rows_of_slots_go_to_clickhouse_as_sql_made_them() -> None:
    assert list(inserts("slot_rows", "[[1],[2]]")) == [("slot_rows", Lines(SLOT_COLUMNS, "[1],[2]"))]


def test_answers_of_several_experiments_are_put_under_each_other() -> None:
    first = gathered([{"a": 1, "b": "x"}, {"a": 2, "b": None}])
    second = gathered([{"a": 3, "b": "ü"}])
    assert columns("result_rows", f"[{first},{second}]") == {"a": [1, 2, 3], "b": ["x", None, "ü"]}


def test_a_minute_of_the_ledger_has_a_column_for_each_end_of_a_record() -> None:
    [row] = written(a_count(n=99, sums=range(1, 14), epoch=4))["ledger_rows"]
    assert [row[name] for name in LEDGER_NAMES] == list(range(1, 14))
    assert {name: value for name, value in row.items() if name not in LEDGER_NAMES} == {
        "tenant_id": "acme",
        "epoch": 4,
        "topic": "livelift.acme.outcomes",
        "minute": NOON_MS // 1000,
        "received": 99,
        "as_of": NOON_MS + 7,
        "updates": 3,
        "version": 9,
        "source_partition": 0,
        "source_offset": 5,
    }


def test_a_minute_of_activity_keeps_its_values_in_micros() -> None:
    [row] = written(a_count("activity", sums=[-(10**30)], metric_id="revenue", epoch=4))["activity_rows"]
    assert row == {
        "tenant_id": "acme",
        "epoch": 4,
        "experiment_id": "checkout",
        "minute": NOON_MS // 1000,
        "config_version": 1,
        "variant_id": "control",
        "metric_id": "revenue",
        "region": "local",
        "n": 3,
        "value_micros": -(10**30),
        "as_of": NOON_MS + 7,
        "updates": 3,
        "version": 9,
        "source_partition": 0,
        "source_offset": 5,
    }


def test_of_a_minute_that_changed_often_the_newest_row_is_written() -> None:
    changes = [a_count(n=number, version=number, source_offset=number) for number in range(30)]
    random.Random(1).shuffle(changes)
    [row] = written(*changes)["ledger_rows"]
    assert (row["received"], row["version"], row["source_offset"]) == (29, 29, 29)


def test_every_part_of_the_key_keeps_minutes_apart() -> None:
    other = {
        "kind": "ledger",
        "epoch": 1,
        "tenant_id": "zenith",
        "experiment_id": "search",
        "config_version": 2,
        "variant_id": "treatment",
        "metric_id": "revenue",
        "segment": "country=DE",
        "cohort": NOON_MS + 60_000,
        "unit_class": "bot",
        "region": "eu",
    }
    assert tuple(other.values()) == Record(*other.values(), *[0] * 7).key
    one = a_count("activity")
    rows = written(one, *(one._replace(**{name: value}) for name, value in other.items()))
    assert {table: len(found) for table, found in rows.items()} == {"ledger_rows": 1, "activity_rows": 11}


def test_an_offset_in_either_table_says_that_both_have_everything_before_it() -> None:
    """Whoever looks between the two inserts must not take the end of the batch for written."""
    tables = written(
        a_count(source_offset=10),
        a_count("activity", source_offset=11),
        a_count(source_offset=12, cohort=0),
        a_count("activity", source_offset=7, source_partition=1, cohort=0),
        a_count(source_offset=3, source_partition=2, cohort=NOON_MS + 60_000),
        a_count(source_offset=4, source_partition=2, cohort=NOON_MS + 60_000, version=10),
    )
    reached = {
        table: {row["source_partition"]: row["source_offset"] for row in rows}
        for table, rows in tables.items()
    }
    assert list(tables) == ["ledger_rows", "activity_rows"]
    assert reached == {"ledger_rows": {0: 9, 2: 4}, "activity_rows": {0: 12, 1: 7}}
