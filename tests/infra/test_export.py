"""Exports hold every column and row of a view exactly, and are there whole or not at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from pyarrow import parquet

from config.settings import Settings
from infra.arrow_files import CutOffError, write
from infra.clickhouse import DatabaseError
from infra.export import ExportError, View, export_view
from infra.migrations import apply
from tests.infra.clickhouse_process import clickhouse, connect

pytestmark = pytest.mark.clickhouse

BEGINNING = datetime(2026, 1, 1, 14, 5, tzinfo=UTC)
HUGE = -(2**255)
SLOT = {
    "tenant_id": "acme",
    "experiment_id": "checkout",
    "config_version": 1,
    "variant_id": "control",
    "metric_id": "revenue",
    "segment": 'land="Ö,\nsterreich"',
    "cohort": BEGINNING,
    "unit_class": "clean",
    "region": "local",
    "n": 0,
    "sum_y": HUGE,
    "as_of": BEGINNING,
    "version": 2**63,
}
RESULT = {
    "tenant_id": "acme",
    "experiment_id": "checkout",
    "config_version": 1,
    "view": "all",
    "policy": "first_seen",
    "segment": "",
    "metric_id": "revenue",
    "treatment_variant": "treatment",
    "abs_diff": 0.1 + 0.2,
    "regions": ["eu", "us"],
    "as_of": BEGINNING,
    "version": 1,
}
LEDGER = {
    "tenant_id": "acme",
    "topic": "livelift.acme.outcomes",
    "minute": BEGINNING,
    "received": 7,
    "version": 1,
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with clickhouse(tmp_path_factory.mktemp("clickhouse")) as settings:
        apply(settings)
        with connect(settings) as client:
            insert(client, "slot_rows", SLOT, {**SLOT, "tenant_id": "zenith"})
            insert(client, "result_rows", RESULT, {**RESULT, "experiment_id": "search"})
            insert(client, "ledger_rows", LEDGER)
        yield settings


def insert(client: Client, table: str, *rows: dict[str, Any]) -> None:
    client.insert(table, [list(row.values()) for row in rows], list(rows[0]), settings={"async_insert": 0})


def columns(settings: Settings, view: View) -> list[str]:
    with connect(settings) as client:
        return list(client.query(f"SELECT * FROM {view} LIMIT 0").column_names)


@pytest.mark.parametrize("view", View)
@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_a_file_has_every_column_of_its_view_even_without_rows(
    settings: Settings, view: View, ending: str, tmp_path: Path
) -> None:
    file = tmp_path / f"export{ending}"
    assert export_view(settings, view, "nobody", "", file) == 0
    read = parquet.read_table(file).column_names if ending == ".parquet" else next(csv.reader(file.open()))
    assert read == columns(settings, view)


def test_parquet_holds_sums_exactly_and_names_and_times_as_they_are(
    settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "slots.parquet"
    assert export_view(settings, View.SLOTS, "acme", "checkout", file) == 1
    table = parquet.read_table(file)
    [row] = table.to_pylist()
    assert int(row["sum_y"]) == HUGE
    assert row["version"] == 2**63
    assert (row["segment"], row["cohort"], row["as_of"]) == (SLOT["segment"], BEGINNING, BEGINNING)
    assert table.schema.field("cohort").type == pa.timestamp("ms", "UTC")


def test_csv_holds_the_same(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "slots.csv"
    assert export_view(settings, View.SLOTS, "acme", "checkout", file) == 1
    [row] = csv.DictReader(file.open(newline="", encoding="utf-8"))
    assert (int(row["sum_y"]), int(row["version"]), row["segment"]) == (HUGE, 2**63, SLOT["segment"])
    assert datetime.fromisoformat(row["cohort"]) == BEGINNING


def test_statistics_keep_their_bits_and_what_is_absent_stays_absent(
    settings: Settings, tmp_path: Path
) -> None:
    parquet_file, csv_file = tmp_path / "results.parquet", tmp_path / "results.csv"
    for file in (parquet_file, csv_file):
        assert export_view(settings, View.RESULTS, "acme", "checkout", file) == 1
    [exact] = parquet.read_table(parquet_file).to_pylist()
    assert (exact["abs_diff"], exact["p_value"], exact["regions"]) == (0.1 + 0.2, None, ["eu", "us"])
    [text] = csv.DictReader(csv_file.open(newline="", encoding="utf-8"))
    assert (float(text["abs_diff"]), text["p_value"]) == (0.1 + 0.2, "")
    assert json.loads(text["regions"]) == ["eu", "us"]


def test_a_tenants_export_has_all_its_experiments_and_nobody_elses(
    settings: Settings, tmp_path: Path
) -> None:
    assert export_view(settings, View.RESULTS, "acme", "", tmp_path / "a.parquet") == 2
    assert export_view(settings, View.SLOTS, "acme", "", tmp_path / "b.parquet") == 1


def test_many_rows_come_in_batches(settings: Settings, tmp_path: Path) -> None:
    with connect(settings) as client:
        client.command(
            "INSERT INTO slot_rows (tenant_id, experiment_id, metric_id, n, version) "
            "SELECT 'large', 'checkout', toString(number), 1, 1 FROM numbers(200000)"
        )
    file = tmp_path / "slots.parquet"
    assert export_view(settings, View.SLOTS, "large", "", file) == 200_000
    assert parquet.ParquetFile(file).metadata.num_row_groups > 1
    assert len(set(parquet.read_table(file, columns=["metric_id"])["metric_id"].to_pylist())) == 200_000


def test_a_file_that_is_there_is_replaced_only_when_asked(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "slots.csv"
    file.write_text("mine", encoding="utf-8")
    with pytest.raises(ExportError, match=r"slots\.csv is there already: --force replaces it"):
        export_view(settings, View.SLOTS, "acme", "", file)
    assert file.read_text(encoding="utf-8") == "mine"
    assert export_view(settings, View.SLOTS, "acme", "", file, force=True) == 1
    assert file.read_text(encoding="utf-8") != "mine"


@pytest.mark.parametrize(
    ("view", "experiment", "name", "message"),
    [
        (View.SLOTS, "", "slots.xlsx", "ends neither in .parquet nor in .csv"),
        (View.SLOTS, "", "nowhere/slots.csv", "there is no folder"),
        (
            View.LEDGER,
            "checkout",
            "ledger.csv",
            "ledger knows no experiments, only the tenant: leave out checkout",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused_with_the_reason(
    settings: Settings, view: View, experiment: str, name: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=message):
        export_view(settings, view, "acme", experiment, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_breaks_off_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    whole, cut, file = tmp_path / "whole", tmp_path / "cut", tmp_path / "slots.parquet"
    table = pa.table({"n": list(range(100_000))})
    with pa.ipc.new_stream(whole, table.schema) as writer:
        writer.write_table(table, max_chunksize=10_000)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    file.write_text("before", encoding="utf-8")
    with cut.open("rb") as stream, pytest.raises(CutOffError):
        write(stream, file)
    assert file.read_text(encoding="utf-8") == "before"
    assert {each.name for each in tmp_path.iterdir()} == {"whole", "cut", "slots.parquet"}


def test_an_error_of_the_server_is_one_line_and_leaves_no_file(settings: Settings, tmp_path: Path) -> None:
    with connect(settings) as client:
        client.command("RENAME TABLE activity TO activity_elsewhere")
    try:
        with pytest.raises(DatabaseError, match="activity"):
            export_view(settings, View.ACTIVITY, "acme", "", tmp_path / "activity.csv")
    finally:
        with connect(settings) as client:
            client.command("RENAME TABLE activity_elsewhere TO activity")
    assert list(tmp_path.iterdir()) == []
