"""What a reader sees of versioned rows: one row per key, the newest, and nothing that is empty."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from infra.migrations import apply
from tests.infra.clickhouse_process import clickhouse, connect
from udfs.attribution.reference import SUM_NAMES

pytestmark = pytest.mark.clickhouse

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
TABLES = ("slot_rows", "result_rows", "sample_ratio_rows")

SLOT = {
    "tenant_id": "acme",
    "experiment_id": "checkout",
    "config_version": 1,
    "variant_id": "control",
    "metric_id": "",
    "segment": "",
    "cohort": BEGINNING,
    "unit_class": "clean",
    "region": "local",
    "n": 0,
    "version": 1,
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
    "version": 1,
}
SAMPLE_RATIO = {
    "tenant_id": "acme",
    "experiment_id": "checkout",
    "segment": "",
    "bots": "excluded",
    "variants": ["control", "treatment"],
    "counts": [5, 6],
    "expected": [5.5, 5.5],
    "version": 1,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with clickhouse(tmp_path_factory.mktemp("clickhouse")) as settings:
        apply(settings)
        with connect(settings) as client:
            yield client


@pytest.fixture
def client(server: Client) -> Client:
    """Empty tables."""
    for table in TABLES:
        server.command(f"TRUNCATE TABLE {table}")
    return server


def insert(client: Client, table: str, rows: Sequence[dict[str, Any]]) -> None:
    names = list(rows[0])
    client.insert(table, [[row[name] for name in names] for row in rows], names, settings={"async_insert": 0})


def slots(client: Client, columns: str = "n") -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(f"SELECT {columns} FROM slots ORDER BY ALL").result_rows]


def test_the_newest_version_wins_whatever_the_order_of_arrival(client: Client) -> None:
    versions = [{**SLOT, "n": number, "version": 100 + number} for number in range(1, 31)]
    random.Random(1).shuffle(versions)
    for start in range(0, 30, 7):
        insert(client, "slot_rows", versions[start : start + 7])
    assert slots(client, "n, version") == [(30, 130)]
    client.command("OPTIMIZE TABLE slot_rows FINAL")
    assert slots(client, "n, version") == [(30, 130)]


def test_a_row_written_twice_is_one_row(client: Client) -> None:
    for _ in range(3):
        insert(client, "slot_rows", [{**SLOT, "n": 7}])
    assert slots(client) == [(7,)]
    assert client.command("SELECT sum(n) FROM slots") == 7


@pytest.mark.parametrize("total", [f"sum_{name}" for name in SUM_NAMES])
@pytest.mark.parametrize("value", [1, -1, 2**255 - 1, -(2**255)])
def test_a_slot_with_any_sum_is_there(client: Client, total: str, value: int) -> None:
    insert(client, "slot_rows", [{**SLOT, "metric_id": "revenue", total: value}])
    assert slots(client, f"metric_id, {total}") == [("revenue", value)]


def test_a_slot_that_became_empty_is_gone_and_can_come_back(client: Client) -> None:
    metric = {**SLOT, "metric_id": "revenue", "sum_y": 5, "sum_yy": 25}
    insert(client, "slot_rows", [{**SLOT, "n": 2}])
    insert(client, "slot_rows", [metric])
    assert len(slots(client)) == 2
    insert(client, "slot_rows", [{**metric, "sum_y": 0, "sum_yy": 0, "version": 2}])
    insert(client, "slot_rows", [{**SLOT, "version": 2}])
    assert slots(client) == []
    insert(client, "slot_rows", [{**SLOT, "n": 1, "version": 3}])
    assert slots(client) == [(1,)]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("tenant_id", "zenith"),
        ("experiment_id", "search"),
        ("config_version", 2),
        ("variant_id", "treatment"),
        ("metric_id", "revenue"),
        ("segment", "country=DE"),
        ("cohort", datetime(2026, 1, 1, 1, tzinfo=UTC)),
        ("unit_class", "bot"),
        ("region", "eu"),
    ],
)
def test_every_part_of_the_key_keeps_slots_apart(client: Client, name: str, other: object) -> None:
    insert(client, "slot_rows", [{**SLOT, "n": 1}, {**SLOT, "n": 2, name: other}])
    assert slots(client) == [(1,), (2,)]


def test_other_kinds_of_counters_are_no_slots(client: Client) -> None:
    insert(
        client,
        "slot_rows",
        [{**SLOT, "n": 1, "kind": "ledger", "version": 9}, {**SLOT, "n": 2, "kind": "slot"}],
    )
    assert slots(client) == [(2,)]


def test_reading_one_experiment_touches_its_rows_only(client: Client) -> None:
    many = [{**SLOT, "experiment_id": f"e{number:05}", "n": 1} for number in range(50_000)]
    insert(client, "slot_rows", many)
    where = "tenant_id = 'acme' AND experiment_id = 'e00042'"
    plan = str(client.query(f"EXPLAIN indexes = 1 SELECT n FROM slots WHERE {where}").result_rows)
    granules = [part.split("\\n")[0].split("'")[0] for part in plan.split("Granules: ")[1:]]
    assert any(text.startswith("1/") and not text.startswith("1/1") for text in granules), plan
    assert client.query(f"SELECT n FROM slots WHERE {where}").result_rows == [(1,)]


def test_a_result_is_its_newest_version_and_what_is_not_known_is_null(client: Client) -> None:
    insert(client, "result_rows", [{**RESULT, "status": "ok", "p_value": 0.25, "reason": "", "version": 2}])
    insert(client, "result_rows", [{**RESULT, "status": "undetermined", "reason": "too_few_units"}])
    query = "SELECT status, reason, p_value, abs_diff, seq_basis, crossed_at, regions, version FROM results"
    assert client.query(query).result_rows == [("ok", "", 0.25, None, None, None, [], 2)]


@pytest.mark.parametrize("name", ["view", "policy", "segment", "metric_id", "treatment_variant"])
def test_every_question_has_its_own_result(client: Client, name: str) -> None:
    insert(client, "result_rows", [RESULT, {**RESULT, name: "another"}])
    assert client.command("SELECT count() FROM results") == 2


def test_a_sample_ratio_is_its_newest_version(client: Client) -> None:
    insert(
        client,
        "sample_ratio_rows",
        [{**SAMPLE_RATIO, "counts": [50, 60], "chi2_p_value": 0.34, "version": 2}],
    )
    insert(
        client, "sample_ratio_rows", [SAMPLE_RATIO, {**SAMPLE_RATIO, "bots": "included", "counts": [7, 8]}]
    )
    query = "SELECT bots, variants, counts, chi2_p_value, seq_p_value FROM sample_ratio ORDER BY bots"
    assert client.query(query).result_rows == [
        ("excluded", ["control", "treatment"], [50, 60], 0.34, None),
        ("included", ["control", "treatment"], [7, 8], None, None),
    ]
