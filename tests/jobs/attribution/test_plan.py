"""The plan of the attribution job: what runs, and what its state's layout hangs on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pyflink.table import StatementSet

from config.settings import Settings, load
from jobs.attribution import pipeline
from jobs.attribution.__main__ import environment
from jobs.attribution.lane import Lane
from jobs.attribution.takeover import KEPT_PLAN

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
        attribution=replace(settings.attribution, epoch=7, horizon_ms=1, retention_ms=2, mini_batch_ms=3),
    )
    lane = Lane("acme", "checkout-button", 7)
    found = pipeline.compiled(pipeline.attribution(environment(elsewhere, lane), elsewhere, lane))
    assert json.loads(found) == plan


def test_one_source_with_one_state_feeds_all_sinks(plan: dict[str, Any]) -> None:
    (source,) = nodes_of(plan, "table-source-scan")
    readers = [edge["target"] for edge in plan["edges"] if edge["source"] == source["id"]]
    assert len(readers) == len(nodes_of(plan, "sink")) == 3


def test_all_state_is_the_sources(plan: dict[str, Any]) -> None:
    assert [state for node in plan["nodes"] for state in node.get("state", [])] == []


def test_every_kind_of_row_has_its_sink(plan: dict[str, Any]) -> None:
    assert [sink["dynamicTableSink"]["table"]["identifier"] for sink in nodes_of(plan, "sink")] == [
        f"`default_catalog`.`default_database`.`{name}`" for name in ("slots", "counts", "rejected")
    ]
