"""What the exporter tells is what is in ClickHouse and Kafka; what does not answer is told as down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry

from config.settings import Settings, load
from infra.clickhouse import connect
from infra.lanes import Activation, activate
from infra.local.elsewhere import free_environment
from infra.migrations import apply
from infra.observability.exporter.looking import Looking
from infra.observability.exporter.page import Page
from infra.observability.exporter.sample import Sample, by_tenant
from infra.observability.exporter.tables import FATES, Tables
from jobs.attribution.lane import Lane
from jobs.wiring.metric_names import EXPORTER, MOST_TENANTS, OTHER_TENANTS
from tests.infra.clickhouse_process import clickhouse


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with clickhouse(tmp_path_factory.mktemp("exporter")) as found:
        apply(found)
        yield found


def told(settings: Settings) -> dict[tuple[str, ...], float]:
    """By name and labels."""
    return {(name, *labels): value for name, labels, value in Tables(settings).look()}


def add_ledger(settings: Settings, tenant_id: str, minutes_ago: int, epoch: int = 0, **counts: int) -> None:
    columns = "".join(f", {name}" for name in counts)
    values = "".join(f", {count}" for count in counts.values())
    connect(settings).command(
        f"INSERT INTO ledger_rows (tenant_id, epoch, topic, minute, as_of, version{columns}) "
        f"SELECT '{tenant_id}', {epoch}, 'livelift.{tenant_id}.outcomes', "
        f"toStartOfMinute(now() - INTERVAL {minutes_ago} MINUTE), now64(3), 1{values}"
    )


@pytest.mark.clickhouse
def test_a_residue_counts_once_it_is_no_longer_on_its_way(settings: Settings) -> None:
    add_ledger(settings, "whole", 10, received=5, counted=3, waiting=1, duplicate=1)
    add_ledger(settings, "lossy", 10, received=5, counted=3)
    add_ledger(settings, "moving", 0, received=5, counted=3)
    found = told(settings)
    assert found["livelift_ledger_residue_records", "whole"] == 0
    assert found["livelift_ledger_residue_records", "lossy"] == 2
    assert found["livelift_ledger_residue_records", "moving"] == 0


@pytest.mark.clickhouse
def test_the_refused_share_is_that_of_recent_records_if_there_are_enough(settings: Settings) -> None:
    add_ledger(settings, "careless", 1, received=200, counted=140, duplicate=20, bad_value=30, too_late=10)
    add_ledger(settings, "small", 1, received=99, unreadable=99)
    add_ledger(settings, "reformed", 30, received=200, unreadable=200)
    found = told(settings)
    assert found["livelift_rejected_share", "careless"] == 0.2
    assert found["livelift_rejected_share", "small"] == 0.0
    assert ("livelift_rejected_share", "reformed") not in found
    assert found["livelift_recent_records", "unreadable"] == 99
    assert {key[1] for key in found if key[0] == "livelift_recent_records"} == set(FATES)


@pytest.mark.clickhouse
def test_results_are_behind_by_what_their_totals_are_newer(settings: Settings) -> None:
    client = connect(settings)
    for tenant_id, results_at in (("prompt", 50), ("slow", 20)):
        client.command(
            "INSERT INTO slot_rows (tenant_id, epoch, kind, experiment_id, as_of, version) "
            f"SELECT '{tenant_id}', 0, 'total', 'button', fromUnixTimestamp64Milli(1000 * number), number "
            "FROM numbers(51)"
        )
        client.command(
            "INSERT INTO result_rows (tenant_id, epoch, experiment_id, as_of, version) "
            f"SELECT '{tenant_id}', 0, 'button', fromUnixTimestamp64Milli(1000 * {results_at}), 1"
        )
    found = told(settings)
    assert found["livelift_results_behind_seconds", "prompt"] == 0
    assert found["livelift_results_behind_seconds", "slow"] == 30
    ages = [found["livelift_results_age_seconds", tenant_id] for tenant_id in ("slow", "prompt")]
    assert ages[0] - ages[1] == pytest.approx(30, abs=0.01)
    assert found["livelift_table_rows", "result_rows"] >= 2


@pytest.mark.clickhouse
def test_only_the_epoch_that_readers_see_is_told(settings: Settings) -> None:
    add_ledger(settings, "rebuilt", 1, epoch=0, received=200, unreadable=200)
    add_ledger(settings, "rebuilt", 1, epoch=4, received=200, counted=200)
    assert told(settings)["livelift_rejected_share", "rebuilt"] == 1.0
    activate(connect(settings), Lane("rebuilt", epoch=4))
    assert told(settings)["livelift_rejected_share", "rebuilt"] == 0.0


@pytest.mark.clickhouse
def test_which_jobs_must_run_is_known_after_a_look(settings: Settings) -> None:
    tables = Tables(settings)
    assert tables.activations is None
    list(tables.look())
    assert tables.activations is not None
    assert set(tables.activations) <= {Activation("rebuilt", "", 4)}


@pytest.mark.clickhouse
def test_regions_and_decisions_are_told_where_the_database_has_them(settings: Settings) -> None:
    client = connect(settings)
    client.command("CREATE OR REPLACE VIEW coverage AS SELECT 'eu' AS region, 7.5 AS lag_s")
    client.command(
        "CREATE OR REPLACE VIEW decisions AS "
        "SELECT ['stop', 'stop', 'stop', 'stop', 'ship', 'invalid'][number] AS kind, "
        "now64(3) - INTERVAL number * number * 3 MINUTE AS decided_at, "
        "if(kind = 'invalid', NULL, decided_at - INTERVAL number * number SECOND) AS crossed_at "
        "FROM numbers(1, 6)"
    )
    found = told(settings)
    assert found["livelift_coverage_lag_seconds", "eu"] == 7.5
    assert 179 < found["livelift_last_decision_age_seconds", "stop"] < 239
    delays = {key[1]: value for key, value in found.items() if key[0] == "livelift_decision_delay_seconds"}
    assert delays == {"stop": 16.0}, "48 min ago; ships wait for days, and this crossing is not known"
    client.command("DROP VIEW coverage")
    client.command("DROP VIEW decisions")
    assert not [key for key in told(settings) if key[0] == "livelift_coverage_lag_seconds"]


@pytest.mark.processes
def test_where_nothing_answers_every_part_is_down_and_nothing_else_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.broker.ANSWER_WITHIN_SECONDS", 0.2)
    samples = Looking(load(environ=free_environment(tmp_path))).look()
    assert [sample.name for sample in samples] == ["livelift_up"] * len(samples)
    assert {sample.labels[0]: sample.value for sample in samples} == dict.fromkeys(
        ("kafka", "registry", "clickhouse", "flink", "console"), 0
    )


@pytest.mark.clickhouse
def test_what_answers_is_told_while_others_are_away(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.broker.ANSWER_WITHIN_SECONDS", 0.2)
    nobody = load(environ=free_environment(tmp_path))
    found = Looking(replace(nobody, clickhouse=settings.clickhouse)).look()
    up = {sample.labels[0] for sample in found if sample.name == "livelift_up" and sample.value}
    assert up == {"clickhouse"}
    assert "livelift_recent_records" in {sample.name for sample in found}


def test_the_page_has_every_name_of_the_catalogue_and_what_was_seen_last() -> None:
    page, registry = Page(), CollectorRegistry(auto_describe=False)
    registry.register(page)
    page.show([Sample("livelift_up", ("kafka",), 1)])
    sent = Sample("livelift_log_records_total", ("a-b", "outcomes"), 7)
    page.show([Sample("livelift_up", ("flink",), 0), sent])
    text = generate_latest(registry).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {metric.name.removesuffix("_total") for metric in EXPORTER} == set(families)
    (up,) = families["livelift_up"].samples
    assert (up.labels, up.value) == ({"part": "flink"}, 0)
    (records,) = families["livelift_log_records"].samples
    assert records.name == "livelift_log_records_total"
    assert records.labels == {"tenant": "a-b", "kind": "outcomes"}


def test_more_tenants_than_a_page_can_have_are_one_series_together() -> None:
    tenants = {f"tenant-{number:04}": float(number) for number in range(MOST_TENANTS + 3)}
    samples = list(by_tenant("livelift_rejected_share", tenants, max))
    assert len(samples) == MOST_TENANTS + 1
    assert samples[-1] == Sample("livelift_rejected_share", (OTHER_TENANTS,), MOST_TENANTS + 2)
    few = dict(list(tenants.items())[:MOST_TENANTS])
    assert len(list(by_tenant("livelift_rejected_share", few, max))) == MOST_TENANTS
