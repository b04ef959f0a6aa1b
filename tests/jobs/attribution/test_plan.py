"""The plan of the attribution job: what runs, and what its state's layout hangs on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pyflink.table import StatementSet

from config.settings import DAY_MS, Settings, load
from jobs.attribution import pipeline
from jobs.attribution.__main__ import environment
from jobs.attribution.lane import Lane
from jobs.attribution.takeover import KEPT_PLAN, layout_sha256, plan_sha256

pytestmark = pytest.mark.jvm


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load(environ={})


@pytest.fixture(scope="module")
def statements(settings: Settings) -> Iterator[StatementSet]:
    assert settings.attribution_jar.is_file(), f"{settings.attribution_jar} is not built: run `make setup`"
    return pipeline.attribution(environment(settings, Lane()), settings, Lane())


@pytest.fixture(scope="module")
def plan(statements: StatementSet) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pipeline.compiled(statements))
    return found


def nodes_of(plan: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [node for node in plan["nodes"] if node["type"].startswith(f"stream-exec-{kind}")]


def test_the_plan_is_the_one_the_running_jobs_state_was_written_by(plan: dict[str, Any]) -> None:
    """Another plan cannot take over the state: rebuild with a higher epoch, then keep the new plan by

    python -m jobs.attribution --plan > jobs/attribution/plan.json
    """
    assert plan == json.loads(KEPT_PLAN.read_text(encoding="utf-8"))


def test_the_plan_is_the_same_in_every_environment_and_lane(settings: Settings, plan: dict[str, Any]) -> None:
    elsewhere = replace(
        settings,
        region="eu",
        kafka=replace(settings.kafka, bootstrap="kafka.example:9092"),
        registry=replace(settings.registry, url="https://registry.example"),
        attribution=replace(settings.attribution, epoch=7, horizon_ms=1, retention_ms=2, future_ms=3),
    )
    lane = Lane("acme", "checkout-button", 7)
    found = pipeline.compiled(pipeline.attribution(environment(elsewhere, lane), elsewhere, lane))
    assert json.loads(found) == plan


def test_figures_of_settings_leave_the_layout_as_it_is(settings: Settings, plan: dict[str, Any]) -> None:
    """The state of a job is good for one with another latency, or which keeps its counts for longer."""
    rules = replace(settings.attribution, mini_batch_ms=70, idle_timeout_ms=2000, retention_ms=90 * DAY_MS)
    others = replace(settings, attribution=rules)
    found = pipeline.compiled(pipeline.attribution(environment(others, Lane()), others, Lane()))
    assert json.loads(found) != plan
    assert layout_sha256(found) == plan_sha256()


def test_sums_are_aggregated_once_for_they_come_added_up(plan: dict[str, Any]) -> None:
    assert nodes_of(plan, "local-group-aggregate") == []
    assert [node["aggCalls"][1]["name"] for node in nodes_of(plan, "group-aggregate")] == 2 * ["sums"]


def test_one_source_with_one_state_feeds_all_sinks(plan: dict[str, Any]) -> None:
    (source,) = nodes_of(plan, "table-source-scan")
    (assigner,) = nodes_of(plan, "mini-batch-assigner")
    assert [edge["target"] for edge in plan["edges"] if edge["source"] == source["id"]] == [assigner["id"]]
    readers = [edge["target"] for edge in plan["edges"] if edge["source"] == assigner["id"]]
    assert len(readers) == len(nodes_of(plan, "sink")) == 3


def test_mini_batches_go_by_the_clock(settings: Settings, plan: dict[str, Any]) -> None:
    (assigner,) = nodes_of(plan, "mini-batch-assigner")
    assert assigner["miniBatchInterval"] == {
        "interval": settings.attribution.mini_batch_ms // 5,
        "mode": "ProcTime",
    }


def test_only_the_sums_of_counts_expire_and_only_when_nothing_can_change_them(plan: dict[str, Any]) -> None:
    assert [sink["dynamicTableSink"]["table"]["identifier"] for sink in nodes_of(plan, "sink")] == [
        f"`default_catalog`.`default_database`.`{name}`" for name in ("slots", "counts", "rejected")
    ]
    slots, counts = ([state["ttl"] for state in node["state"]] for node in nodes_of(plan, "group-aggregate"))
    assert (slots, counts) == (["0 ms"], ["60 d"])
    others = [node for node in plan["nodes"] if "group-aggregate" not in node["type"]]
    assert [state for node in others for state in node.get("state", [])] == []
