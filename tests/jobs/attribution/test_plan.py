"""The plan of the attribution job: what runs, and what its state's layout hangs on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyflink.table import StatementSet

from config.settings import Settings, load
from jobs.attribution import pipeline
from jobs.attribution.__main__ import environment

pytestmark = pytest.mark.jvm

KEPT_PLAN = Path(pipeline.__file__).with_name("plan.json")


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load(environ={})


@pytest.fixture(scope="module")
def statements(settings: Settings) -> Iterator[StatementSet]:
    assert settings.attribution_jar.is_file(), f"{settings.attribution_jar} is not built: run `make setup`"
    return pipeline.attribution(environment(settings), settings)


@pytest.fixture(scope="module")
def plan(statements: StatementSet) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pipeline.compiled(statements))
    return found


def nodes_of(plan: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [node for node in plan["nodes"] if node["type"].startswith(f"stream-exec-{kind}_")]


def test_the_plan_is_the_one_the_running_jobs_state_was_written_by(plan: dict[str, Any]) -> None:
    """Another plan cannot take over the state: rebuild with a higher epoch, then keep the new plan by

    python -m jobs.attribution --plan > jobs/attribution/plan.json
    """
    assert plan == json.loads(KEPT_PLAN.read_text(encoding="utf-8"))


def test_the_plan_is_the_same_in_every_environment(settings: Settings, plan: dict[str, Any]) -> None:
    elsewhere = replace(
        settings,
        region="eu",
        kafka=replace(settings.kafka, bootstrap="kafka.example:9092"),
        registry=replace(settings.registry, url="https://registry.example"),
        attribution=replace(settings.attribution, epoch=7, horizon_ms=1, retention_ms=2, future_ms=3),
    )
    found = pipeline.compiled(pipeline.attribution(environment(elsewhere), elsewhere))
    assert json.loads(found) == plan


def test_changes_are_added_up_before_they_travel(plan: dict[str, Any]) -> None:
    (local,) = nodes_of(plan, "local-group-aggregate")
    (total,) = nodes_of(plan, "global-group-aggregate")
    assert local["aggCalls"][1]["name"] == total["aggCalls"][1]["name"] == "sums"


def test_one_function_with_one_state_feeds_both_sinks(plan: dict[str, Any]) -> None:
    (function,) = nodes_of(plan, "process-table-function")
    assert function["uid"] == "attribution-by-unit"
    readers = [edge["target"] for edge in plan["edges"] if edge["source"] == function["id"]]
    assert len(readers) == len(nodes_of(plan, "sink")) == 2


def test_mini_batches_follow_append_time_and_idle_partitions_do_not_hold_it(
    settings: Settings, plan: dict[str, Any]
) -> None:
    (assigner,) = nodes_of(plan, "mini-batch-assigner")
    (source,) = nodes_of(plan, "table-source-scan")
    assert assigner["miniBatchInterval"] == {
        "interval": settings.attribution.mini_batch_ms,
        "mode": "RowTime",
    }
    (watermark,) = (
        ability
        for ability in source["scanTableSource"]["abilities"]
        if ability["type"] == "WatermarkPushDown"
    )
    assert watermark["watermarkParams"]["sourceIdleTimeout"] == settings.attribution.idle_timeout_ms


def test_no_state_of_the_job_expires(plan: dict[str, Any]) -> None:
    ttls = {state["ttl"] for node in plan["nodes"] for state in node.get("state", [])}
    assert ttls == {"0 ms"}


def test_the_heartbeat_moves_time_and_goes_no_further(plan: dict[str, Any]) -> None:
    (source,) = nodes_of(plan, "table-source-scan")
    assigner, filtered = plan["nodes"][1], plan["nodes"][2]
    assert [edge["target"] for edge in plan["edges"] if edge["source"] == source["id"]] == [assigner["id"]]
    assert "topic <> 'livelift-internal.heartbeat'" in filtered["description"]
