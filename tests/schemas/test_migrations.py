"""The numbered ClickHouse files: complete, reversible, and refused once edited."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from config.settings import Settings
from infra import migrations
from infra.migrations import FOLDER, MigrationError, apply, revert, status
from tests.infra.clickhouse_process import clickhouse, connect

UP = sorted(path for path in FOLDER.glob("*.sql") if not path.name.endswith(".down.sql"))
VERSIONS = [int(path.name[:4]) for path in UP]
NAME = re.compile(r"(\d{4})_(create|alter|drop|fill)_[a-z_]+\.sql")

SLOTS = """tenant_id epoch experiment_id config_version variant_id metric_id segment cohort unit_class region
    n sum_y sum_d sum_x sum_e sum_yy sum_yd sum_yx sum_ye sum_dd sum_dx sum_de sum_xx sum_xe sum_ee
    version as_of updates"""
RESULTS = """tenant_id epoch experiment_id config_version view policy segment metric_id treatment_variant
    control_variant n_control n_treatment mean_control mean_treatment abs_diff abs_ci_lower abs_ci_upper
    rel_diff rel_ci_lower rel_ci_upper p_value small_ci_lower small_ci_upper cuped_abs_diff cuped_ci_lower
    cuped_ci_upper cuped_p_value cuped_theta variance_reduction seq_ci_lower seq_ci_upper
    seq_rel_diff seq_rel_ci_lower seq_rel_ci_upper seq_p_value seq_p_min crossed_at seq_log_e seq_basis
    p_adjusted chance_to_win expected_loss mde days_left status reason as_of computed_at covers_from regions
    version crossed_p_value slot_updates"""
SAMPLE_RATIO = """tenant_id epoch experiment_id segment bots variants counts expected chi2_p_value seq_p_value
    seq_p_min status reason as_of computed_at version slot_updates"""
LEDGER = """tenant_id epoch topic minute received counted duplicate waiting expired_unmatched rejected
    unreadable mismatch bad_value from_future too_late unknown_definition unknown_variant ended
    late residue as_of updates version"""
ACTIVITY = """tenant_id epoch minute experiment_id config_version variant_id metric_id region
    exposures outcomes sum_value value_micros as_of updates version"""
COVERAGE = "region watermark lag_s"
DECISIONS = """decision_id tenant_id epoch experiment_id config_version kind metric_id treatment_variant
    control_variant decided_at as_of crossed_at n_control n_treatment abs_diff distance bound margin
    margin_abs level log_e message inputs version"""
CONTRACT = {
    "slots": SLOTS,
    "totals": SLOTS.replace(" cohort ", " "),
    "results": RESULTS,
    "results_history": RESULTS,
    "sample_ratio": SAMPLE_RATIO,
    "sample_ratio_history": SAMPLE_RATIO,
    "ledger": LEDGER,
    "activity": ACTIVITY,
    "coverage": COVERAGE,
    "decisions": DECISIONS,
    "looks": "tenant_id epoch experiment_id since as_of version",
}
ROWS = (
    *("slot_rows", "ledger_rows", "activity_rows"),
    *("result_rows", "result_history_rows", "sample_ratio_rows", "sample_ratio_history_rows"),
    *("decision_rows", "look_rows"),
)


def test_every_migration_has_a_number_of_its_own_and_its_way_back() -> None:
    assert sorted(set(VERSIONS)) == VERSIONS
    for path in UP:
        assert NAME.fullmatch(path.name), path.name
        assert path.with_suffix(".down.sql").is_file(), path.name
    assert len(list(FOLDER.iterdir())) == 2 * len(UP)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with clickhouse(tmp_path_factory.mktemp("clickhouse")) as settings:
        yield settings


@pytest.fixture
def settings(server: Settings) -> Iterator[Settings]:
    """A database nobody has touched."""
    yield server
    with connect(server, database="") as client:
        client.command(f"DROP DATABASE IF EXISTS {server.clickhouse.database} SYNC")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations that a test may change."""
    return Path(shutil.copytree(FOLDER, tmp_path / "clickhouse"))


def schema(settings: Settings) -> list[tuple[str, str]]:
    """Every object of the database as the server would create it."""
    query = (
        "SELECT name, create_table_query FROM system.tables"
        " WHERE database = currentDatabase() AND name != 'schema_versions' ORDER BY name"
    )
    with connect(settings) as client:
        return [(str(name), str(created)) for name, created in client.query(query).result_rows]


def columns(settings: Settings, table: str) -> list[str]:
    with connect(settings) as client:
        return [str(row[0]) for row in client.query(f"DESCRIBE TABLE {table}").result_rows]


@pytest.mark.clickhouse
def test_a_new_database_gets_every_migration_once(settings: Settings) -> None:
    assert {each.state for each in status(settings)} == {"pending"}
    assert apply(settings) == VERSIONS
    assert [(each.name, each.state) for each in status(settings)] == [(path.name, "applied") for path in UP]
    assert apply(settings) == []


@pytest.mark.clickhouse
def test_each_way_back_undoes_exactly_its_migration(settings: Settings, folder: Path) -> None:
    before: dict[int, list[tuple[str, str]]] = {0: []}
    for path in UP:
        (folder / path.name).unlink()
    for earlier, version, path in zip([0, *VERSIONS], VERSIONS, UP, strict=False):
        shutil.copy(path, folder)
        assert apply(settings, folder=folder) == [version]
        before[version] = schema(settings)
        assert before[version] != before[earlier]
    for earlier, version in reversed(list(pairwise([0, *VERSIONS]))):
        assert revert(settings, earlier) == [version]
        assert schema(settings) == before[earlier]
    assert apply(settings) == VERSIONS
    assert schema(settings) == before[VERSIONS[-1]]


@pytest.mark.clickhouse
def test_reverting_goes_back_to_the_version_named_newest_first(settings: Settings) -> None:
    apply(settings)
    assert revert(settings, 2) == VERSIONS[:1:-1]
    assert [each.state for each in status(settings)] == ["applied"] * 2 + ["pending"] * (len(UP) - 2)
    assert revert(settings, 2) == []


@pytest.mark.clickhouse
def test_a_migration_edited_after_it_ran_is_reported_and_nothing_runs(
    settings: Settings, folder: Path
) -> None:
    apply(settings, folder=folder)
    with (folder / UP[1].name).open("a", encoding="utf-8") as file:
        file.write("-- a small change\n")
    (folder / "0099_create_more.sql").write_text("CREATE TABLE more (a Int8) ENGINE = MergeTree ORDER BY a")
    with pytest.raises(MigrationError, match=f"{UP[1].name} was edited after it was applied"):
        apply(settings, folder=folder)
    with pytest.raises(MigrationError, match=UP[1].name):
        revert(settings, 0, folder=folder)
    states = {each.version: each.state for each in status(settings, folder=folder)}
    assert (states[2], states[99]) == ("edited", "pending")
    assert "more" not in dict(schema(settings))


@pytest.mark.clickhouse
def test_a_migration_this_code_does_not_know_is_reported(settings: Settings, folder: Path) -> None:
    (folder / "0099_create_more.sql").write_text("CREATE TABLE more (a Int8) ENGINE = MergeTree ORDER BY a")
    apply(settings, folder=folder)
    assert status(settings)[-1] == migrations.Migration(99, "", "unknown")
    with pytest.raises(MigrationError, match="has migration 99, which has no file here"):
        apply(settings)


@pytest.mark.clickhouse
def test_a_migration_that_fails_is_named_by_the_server_and_stays_pending(
    settings: Settings, folder: Path
) -> None:
    (folder / "0099_create_more.sql").write_text(
        "CREATE TABLE more (a Nonsense) ENGINE = MergeTree ORDER BY a"
    )
    with pytest.raises(MigrationError, match="Nonsense") as refused:
        apply(settings, folder=folder)
    assert "\n" not in str(refused.value)
    assert [each.state for each in status(settings, folder=folder)][-2:] == ["applied", "pending"]


@pytest.mark.clickhouse
def test_without_a_way_back_nothing_is_reverted(settings: Settings, folder: Path) -> None:
    (folder / UP[0].with_suffix(".down.sql").name).unlink()
    apply(settings, folder=folder)
    with pytest.raises(MigrationError, match="No down migration"):
        revert(settings, 0, folder=folder)
    assert {each.state for each in status(settings, folder=folder)} == {"applied"}


@pytest.mark.clickhouse
def test_a_server_that_does_not_answer_is_one_line(settings: Settings) -> None:
    nowhere = replace(settings, clickhouse=replace(settings.clickhouse, url="http://127.0.0.1:9"))
    with pytest.raises(MigrationError, match=r"cannot read migrations of \w+: .*127\.0\.0\.1") as refused:
        apply(nowhere)
    assert "\n" not in str(refused.value)


@pytest.mark.clickhouse
def test_the_views_have_the_columns_of_the_contract(settings: Settings) -> None:
    apply(settings)
    for view, contract in CONTRACT.items():
        assert set(columns(settings, view)) == set(contract.split())


@pytest.mark.clickhouse
def test_rows_of_every_table_lie_together_by_tenant_and_epoch(settings: Settings) -> None:
    """So that a tenant's question reads few granules, and an old epoch's rows lie apart from the new."""
    apply(settings)
    query = "SELECT name, sorting_key FROM system.tables WHERE database = currentDatabase()"
    with connect(settings) as client:
        keys = {row[0]: row[1].split(", ") for row in client.query(query).result_rows}
    for table in ROWS:
        assert keys[table][:2] == ["tenant_id", "epoch"]
