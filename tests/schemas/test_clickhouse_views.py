"""What a reader sees of versioned rows: one row per key, the newest, and nothing that is empty."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from config.settings import Settings
from infra.migrations import apply
from tests.infra.clickhouse_process import clickhouse, connect
from udfs.attribution.reference import LEDGER_NAMES, SUM_NAMES

pytestmark = pytest.mark.clickhouse

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
TABLES = (
    *("epochs", "slot_rows", "ledger_rows", "activity_rows"),
    *("result_rows", "result_history_rows", "sample_ratio_rows", "sample_ratio_history_rows"),
)

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
LEDGER = {
    "tenant_id": "acme",
    "topic": "livelift.acme.outcomes",
    "minute": BEGINNING,
    "received": 100,
    "counted": 80,
    "duplicate": 5,
    "waiting": 4,
    "expired_unmatched": 3,
    "unreadable": 1,
    "mismatch": 1,
    "bad_value": 1,
    "from_future": 1,
    "too_late": 1,
    "unknown_definition": 1,
    "unknown_variant": 1,
    "ended": 1,
    "late": 60,
    "version": 1,
}
"""A minute in which something of everything happened; it balances."""
ACTIVITY = {
    "tenant_id": "acme",
    "experiment_id": "checkout",
    "minute": BEGINNING,
    "config_version": 1,
    "variant_id": "control",
    "metric_id": "revenue",
    "region": "local",
    "n": 3,
    "value_micros": 7_500_000,
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
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with clickhouse(tmp_path_factory.mktemp("clickhouse")) as settings:
        apply(settings)
        yield settings


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[Client]:
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


def test_totals_are_what_was_told_as_such_and_go_when_they_are_empty(client: Client) -> None:
    told = {**SLOT, "kind": "total"}
    insert(
        client,
        "slot_rows",
        [{**told, "n": 1}, {**told, "n": 2, "version": 2}, {**SLOT, "n": 9, "kind": "slot"}],
    )
    assert client.query("SELECT n FROM totals").result_rows == [(2,)]
    insert(client, "slot_rows", [{**told, "n": 0, "version": 3}])
    assert client.query("SELECT n FROM totals").result_rows == []


EVERY_VIEW = {
    "slots": ("slot_rows", {**SLOT, "n": 1}),
    "totals": ("slot_rows", {**SLOT, "n": 1, "kind": "total"}),
    "results": ("result_rows", RESULT),
    "results_history": ("result_history_rows", {**RESULT, "kept": "hour"}),
    "sample_ratio": ("sample_ratio_rows", SAMPLE_RATIO),
    "sample_ratio_history": ("sample_ratio_history_rows", {**SAMPLE_RATIO, "kept": "hour"}),
    "ledger": ("ledger_rows", LEDGER),
    "activity": ("activity_rows", ACTIVITY),
}
"""Of each view the table behind it and a row of that table."""
OF_EXPERIMENTS = [view for view in EVERY_VIEW if view != "ledger"]


def granules_read(client: Client, query: str) -> tuple[int, int]:
    """Granules the primary key leaves to be read, and granules there are."""
    plan = str(client.query(f"EXPLAIN indexes = 1 {query}").result_rows)
    [(read, present)] = re.findall(r"Granules: (\d+)/(\d+)", plan)
    return int(read), int(present)


def fill(client: Client, view: str, tenants: int, rows_each: int) -> None:
    """Rows of so many tenants, each with so many experiments (or topics)."""
    table, row = EVERY_VIEW[view]
    spread = "topic" if view == "ledger" else "experiment_id"
    insert(client, table, [row])
    client.command(
        f"INSERT INTO {table} SELECT {table}.* REPLACE ("
        f"concat('tenant-', toString(intDiv(number, {rows_each}))) AS tenant_id, "
        f"concat('e', leftPad(toString(number % {rows_each}), 5, '0')) AS {spread}) "
        f"FROM {table} CROSS JOIN numbers({tenants * rows_each}) AS numbers"
    )


@pytest.mark.parametrize("view", EVERY_VIEW)
def test_a_tenants_question_reads_no_other_tenants_granules(client: Client, view: str) -> None:
    """Its own rows, and at both ends a granule it shares with a neighbour."""
    fill(client, view, tenants=10, rows_each=20_000)
    activate(client, 3, "tenant-8")
    query = f"SELECT * FROM {view} WHERE tenant_id = 'tenant-4'"
    read, present = granules_read(client, query)
    assert present > 20
    assert read <= 20_000 // 8192 + 2
    assert client.command(f"SELECT count() FROM ({query})") == 20_000


@pytest.mark.parametrize("view", OF_EXPERIMENTS)
def test_an_experiments_question_reads_its_rows_only(client: Client, view: str) -> None:
    fill(client, view, tenants=2, rows_each=50_000)
    query = f"SELECT * FROM {view} WHERE tenant_id = 'tenant-1' AND experiment_id = 'e00042'"
    assert granules_read(client, query)[0] <= 2
    assert client.command(f"SELECT count() FROM ({query})") == 1


@pytest.mark.parametrize("view", EVERY_VIEW)
def test_rows_that_a_rebuild_of_everything_superseded_are_not_read(client: Client, view: str) -> None:
    table, _ = EVERY_VIEW[view]
    fill(client, view, tenants=1, rows_each=50_000)
    client.command(f"INSERT INTO {table} SELECT * REPLACE (1 AS epoch) FROM {table}")
    query = f"SELECT * FROM {view} WHERE tenant_id = 'tenant-0'"
    before, _ = granules_read(client, query)
    activate(client, 1)
    after, _ = granules_read(client, query)
    assert after <= before // 2 + 1
    assert client.command(f"SELECT count() FROM ({query})") == 50_000


def activate(client: Client, epoch: int, tenant_id: str = "", experiment_id: str = "") -> None:
    """The one row that moves all views."""
    place = {"tenant_id": tenant_id, "experiment_id": experiment_id, "epoch": epoch}
    insert(client, "epochs", [place])


def epochs_seen(client: Client, where: str = "1", views: Iterable[str] = EVERY_VIEW) -> set[tuple[int, ...]]:
    """The epochs of the rows a reader sees: one member of the set where all views agree."""
    query = "SELECT arraySort(groupUniqArray(epoch)) FROM {view} WHERE {where}"
    return {tuple(client.query(query.format(view=view, where=where)).result_rows[0][0]) for view in views}


def write_epoch(client: Client, epoch: int, **place: str) -> None:
    """One row of each table in this epoch."""
    for table, row in EVERY_VIEW.values():
        known = {name: value for name, value in place.items() if name in row}
        insert(client, table, [{**row, "epoch": epoch, **known}])


def test_without_any_rebuild_readers_see_epoch_zero(client: Client) -> None:
    for epoch in (0, 1):
        write_epoch(client, epoch)
    assert epochs_seen(client) == {(0,)}


def test_one_row_moves_every_view_to_a_rebuilt_epoch_at_once(client: Client) -> None:
    for epoch in (0, 3):
        write_epoch(client, epoch)
    assert epochs_seen(client) == {(0,)}
    activate(client, 3)
    assert epochs_seen(client) == {(3,)}


def test_an_activation_written_twice_or_late_changes_nothing(client: Client) -> None:
    for epoch in (0, 2, 3):
        write_epoch(client, epoch)
    for epoch in (3, 3, 2):
        activate(client, epoch)
    assert epochs_seen(client) == {(3,)}


def test_an_active_epoch_without_rows_shows_nothing_and_never_the_one_before(client: Client) -> None:
    write_epoch(client, 0)
    activate(client, 1)
    assert epochs_seen(client) == {()}


def test_a_rebuilt_tenant_moves_alone(client: Client) -> None:
    for tenant_id in ("acme", "zenith", "zen"):
        for epoch in (0, 1):
            write_epoch(client, epoch, tenant_id=tenant_id)
    activate(client, 1, "zenith")
    assert epochs_seen(client, "tenant_id = 'zenith'") == {(1,)}
    for other in ("acme", "zen"):
        assert epochs_seen(client, f"tenant_id = '{other}'") == {(0,)}


def test_a_rebuilt_experiment_moves_alone_and_its_tenants_ledger_stays(client: Client) -> None:
    for tenant_id, experiment_id in (("acme", "checkout"), ("acme", "search"), ("zenith", "checkout")):
        for epoch in (0, 1):
            write_epoch(client, epoch, tenant_id=tenant_id, experiment_id=experiment_id)
    activate(client, 1, "acme", "checkout")
    seen = "SELECT tenant_id, experiment_id, epoch FROM {view} ORDER BY ALL"
    for view in OF_EXPERIMENTS:
        assert client.query(seen.format(view=view)).result_rows == [
            ("acme", "checkout", 1),
            ("acme", "search", 0),
            ("zenith", "checkout", 0),
        ]
    assert client.query("SELECT tenant_id, epoch FROM ledger ORDER BY ALL").result_rows == [
        ("acme", 0),
        ("zenith", 0),
    ]


def test_the_greatest_epoch_wins_wherever_it_was_activated(client: Client) -> None:
    """A rebuild of everything supersedes those of its parts, and the other way round."""
    for epoch in (0, 1, 2, 3, 4):
        write_epoch(client, epoch)
    for epoch, place in enumerate([("acme", "checkout"), ("acme",), (), ("acme",)], start=1):
        activate(client, epoch, *place)
        assert epochs_seen(client, views=OF_EXPERIMENTS) == {(epoch,)}


def test_readers_never_see_two_epochs_of_an_experiment_nor_none(client: Client, settings: Settings) -> None:
    """A reader that asks all the time, while an epoch is written slot by slot and then switched to."""
    insert(client, "slot_rows", [{**SLOT, "metric_id": f"m{number}", "sum_y": 1} for number in range(50)])
    seen: list[tuple[int, ...]] = []
    switched = threading.Event()

    def read() -> None:
        with connect(settings) as reader:
            after = 0
            while after < 2:
                after += switched.is_set()
                [row] = reader.query("SELECT count(), toInt64(sum(sum_y)) FROM slots").result_rows
                seen.append(tuple(row))

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        for number in range(50):
            insert(client, "slot_rows", [{**SLOT, "metric_id": f"m{number}", "sum_y": 3, "epoch": 1}])
        activate(client, 1)
        switched.set()
        reading.result(timeout=60)
    assert set(seen) == {(50, 50), (50, 150)}
    assert seen == sorted(seen)


def test_a_minute_of_the_ledger_that_balances_has_no_residue(client: Client) -> None:
    insert(client, "ledger_rows", [LEDGER])
    query = "SELECT rejected, residue FROM ledger"
    assert client.query(query).result_rows == [(8, 0)]


@pytest.mark.parametrize(
    ("column", "residue"),
    [("received", 1)] + [(column, -1) for column in LEDGER_NAMES if column != "late"] + [("late", 0)],
)
def test_the_residue_shows_what_nothing_accounts_for(client: Client, column: str, residue: int) -> None:
    count = LEDGER[column]
    assert isinstance(count, int)
    insert(client, "ledger_rows", [{**LEDGER, column: count + 1}])
    assert client.command("SELECT residue FROM ledger") == residue


def test_a_minute_of_the_ledger_is_its_newest_version(client: Client) -> None:
    later = {**LEDGER, "counted": 84, "waiting": 0, "version": 2}
    insert(client, "ledger_rows", [later])
    insert(client, "ledger_rows", [LEDGER])
    insert(client, "ledger_rows", [{**LEDGER, "minute": datetime(2026, 1, 1, 0, 1, tzinfo=UTC)}])
    query = "SELECT counted, waiting, residue FROM ledger ORDER BY minute"
    assert client.query(query).result_rows == [(84, 0, 0), (80, 4, 0)]


def test_activity_tells_first_exposures_and_outcomes_apart(client: Client) -> None:
    insert(client, "activity_rows", [ACTIVITY, {**ACTIVITY, "metric_id": "", "n": 8, "value_micros": 0}])
    query = "SELECT metric_id, exposures, outcomes, sum_value, value_micros FROM activity ORDER BY metric_id"
    assert client.query(query).result_rows == [("", 8, 0, 0.0, 0), ("revenue", 0, 3, 7.5, 7_500_000)]


def test_a_minute_whose_activity_moved_elsewhere_is_absent(client: Client) -> None:
    """Outcomes that add up to zero are activity; no outcomes are none."""
    insert(client, "activity_rows", [ACTIVITY])
    insert(client, "activity_rows", [{**ACTIVITY, "value_micros": 0, "version": 2}])
    assert client.command("SELECT outcomes FROM activity") == 3
    insert(client, "activity_rows", [{**ACTIVITY, "n": 0, "value_micros": 0, "version": 3}])
    assert client.command("SELECT count() FROM activity") == 0


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


def covered(client: Client, task: int, at: datetime, told_at_s: int, region: str = "local") -> None:
    row = {"tenant_id": "", "kind": "coverage", "region": region, "metric_id": str(task), "as_of": at}
    insert(client, "slot_rows", [SLOT | row | {"version": told_at_s * 1_000_000}])


def coverage(client: Client) -> dict[str, datetime]:
    rows = client.query("SELECT region, watermark FROM coverage").result_rows
    return {region: watermark.replace(tzinfo=UTC) for region, watermark in rows}


def test_a_region_is_covered_as_far_as_the_last_of_its_tasks_has_come(client: Client) -> None:
    later = BEGINNING + timedelta(seconds=5)
    covered(client, 0, later, 100)
    covered(client, 1, BEGINNING, 101)
    covered(client, 0, later, 100, region="eu")
    assert coverage(client) == {"local": BEGINNING, "eu": later}


def test_a_task_that_is_no_more_does_not_hold_coverage_back(client: Client) -> None:
    later = BEGINNING + timedelta(seconds=90)
    covered(client, 1, BEGINNING, 100)
    covered(client, 0, later, 190)
    assert coverage(client) == {"local": later}


HISTORIES = {"results_history": RESULT, "sample_ratio_history": SAMPLE_RATIO}


def remember(client: Client, view: str, ages: dict[str, float], **changes: Any) -> None:
    """Rows kept in these ways, each computed so many hours ago and named by its age."""
    now = datetime.now(UTC)
    rows = [
        {"computed_at": now - timedelta(hours=hours), "kept": kept, "kept_at": now - timedelta(hours=hours)}
        for kept, hours in ages.items()
    ]
    insert(client, EVERY_VIEW[view][0], [{**HISTORIES[view], **row, **changes} for row in rows])


def ages(client: Client, view: str) -> list[int]:
    """Of the rows a reader sees, how many hours ago they were computed."""
    query = (
        f"SELECT intDiv(dateDiff('second', computed_at, now()), 3600) FROM {view} ORDER BY computed_at DESC"
    )
    return [row[0] for row in client.query(query).result_rows]


@pytest.mark.parametrize("view", HISTORIES)
def test_history_is_told_by_minutes_for_two_days_and_by_hours_before(client: Client, view: str) -> None:
    for hours in (1.1, 47.9, 48.1, 500.1):
        remember(client, view, {"minute": hours, "hour": hours})
    assert ages(client, view) == [1, 47, 48, 500]


@pytest.mark.parametrize("view", HISTORIES)
def test_rows_of_minutes_are_deleted_after_two_days_and_the_others_stay(client: Client, view: str) -> None:
    for hours in (1, 100):
        remember(client, view, {"minute": hours, "hour": hours, "decision": hours})
    table = EVERY_VIEW[view][0]
    client.command(f"OPTIMIZE TABLE {table} FINAL")
    query = f"SELECT kept, count() FROM {table} GROUP BY kept ORDER BY kept"
    assert client.query(query).result_rows == [("decision", 2), ("hour", 2), ("minute", 1)]


@pytest.mark.parametrize("view", HISTORIES)
def test_rows_behind_a_decision_are_told_whatever_their_age(client: Client, view: str) -> None:
    for hours in (1.1, 100.1):
        remember(client, view, {"decision": hours})
    assert ages(client, view) == [1, 100]


@pytest.mark.parametrize("view", HISTORIES)
def test_of_a_minute_the_newest_row_is_told(client: Client, view: str) -> None:
    at = datetime.now(UTC).replace(microsecond=0)
    for version in (2, 1, 3):
        row = {"kept": "minute", "kept_at": at, "computed_at": at, "version": version}
        insert(client, EVERY_VIEW[view][0], [{**HISTORIES[view], **row}])
    assert client.query(f"SELECT version FROM {view}").result_rows == [(3,)]
