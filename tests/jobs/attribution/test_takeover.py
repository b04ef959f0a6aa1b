"""Which jobs may take over each other's state."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from config.settings import Settings, load
from jobs.attribution.takeover import KEPT_PLAN, layout_sha256, must_match, plan_sha256


@pytest.fixture
def settings() -> Settings:
    return load(environ={})


@pytest.fixture
def plan() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(KEPT_PLAN.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", ["horizon_ms", "future_ms", "retention_ms"])
def test_other_rules_do_not_match(settings: Settings, name: str) -> None:
    others = replace(settings, attribution=replace(settings.attribution, **{name: 1}))
    ours, theirs = must_match(settings), must_match(others)
    assert {key for key in ours if ours[key] != theirs[key]} == {f"livelift.{name}"}


@pytest.mark.parametrize(
    "name", ["max_skew_ms", "rejected_percent_limit", "mini_batch_ms", "idle_timeout_ms"]
)
def test_what_changes_no_sum_may_differ(settings: Settings, name: str) -> None:
    others = replace(settings, attribution=replace(settings.attribution, **{name: 1}))
    assert must_match(others) == must_match(settings)


def test_the_hash_is_that_of_the_plan_that_is_kept(settings: Settings, plan: dict[str, Any]) -> None:
    assert must_match(settings)["livelift.plan_sha256"] == plan_sha256() == layout_sha256(json.dumps(plan))


def test_one_more_node_is_another_plan(plan: dict[str, Any]) -> None:
    plan["nodes"].append(plan["nodes"][-1])
    assert layout_sha256(json.dumps(plan)) != plan_sha256()
