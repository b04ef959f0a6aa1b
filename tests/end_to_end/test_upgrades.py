"""A new release of a job goes on where the old one stopped; what must not be taken over is refused."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from infra.cluster import Cluster, Job
from infra.lanes import running_lanes
from infra.local import status
from infra.submission import newest_state, submitted_jar
from infra.upgrade import UpgradeError, upgrade_attribution
from jobs.attribution.lane import Lane
from tests.running_stack import RunningStack

pytestmark = pytest.mark.stack

TENANT = "upgraded"
DEFINITION = """
tenant_id: {tenant}
experiment_id: button
config_version: {version}
variants: {{control: 1, treatment: 1}}
metrics:
  - {{id: revenue, source: purchase, kind: mean}}
"""
UNITS = 30
WAITING_UNIT = "early-bird"

LOADED_WHEN_IT_RUNS = "io/livelift/attribution/EventDecoder.class"


def publish(stack: RunningStack, kind: str, *events: dict[str, Any]) -> None:
    lines = "".join(json.dumps(event) + "\n" for event in events)
    done = stack.livelift("publish", kind, "-", stdin=lines)
    assert done.returncode == 0, done.stderr


def assignment(unit: str, variant: str, version: int = 1) -> dict[str, Any]:
    return {
        "tenant_id": TENANT,
        "unit_id": unit,
        "event_id": "a",
        "experiment_id": "button",
        "config_version": version,
        "variant_id": variant,
        "assigned_at": time.time_ns() // 1_000_000,
    }


def outcome(unit: str, event_id: str) -> dict[str, Any]:
    return {
        "tenant_id": TENANT,
        "unit_id": unit,
        "event_id": event_id,
        "metric_id": "purchase",
        "value": 2.5,
        "occurred_at": time.time_ns() // 1_000_000,
    }


def define(stack: RunningStack, folder: Path, version: int) -> None:
    file = folder / f"{version}.yaml"
    file.write_text(DEFINITION.format(tenant=TENANT, version=version), encoding="utf-8")
    done = stack.livelift("define", str(file))
    assert done.returncode == 0, done.stderr


def with_jar(stack: RunningStack, jar: Path) -> RunningStack:
    """The same stack, for whose commands another function is built."""
    return replace(stack, environment={**stack.environment, "LIVELIFT_ATTRIBUTION_JAR": str(jar)})


def jobs(stack: RunningStack) -> dict[Lane, Job]:
    return running_lanes(Cluster(stack.settings))


def everyones_job(stack: RunningStack) -> Job:
    return jobs(stack)[stack.everyone]


def users(stack: RunningStack, version: int) -> int:
    query = f"SELECT sum(n) AS n FROM slots WHERE tenant_id = '{TENANT}' AND config_version = {version}"
    return int(json.loads(stack.livelift("sql", query, "--format", "JSONEachRow").stdout)["n"])


@pytest.fixture(scope="module")
def begun(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> RunningStack:
    """Units with exposures and outcomes, and one that waits for a definition nobody has published."""
    define(stack, tmp_path_factory.mktemp("begun"), 1)
    units = [f"unit-{number}" for number in range(UNITS)]
    publish(
        stack, "assignments", *(assignment(unit, ("control", "treatment")[len(unit) % 2]) for unit in units)
    )
    publish(stack, "outcomes", *(outcome(unit, "before") for unit in units))
    publish(stack, "assignments", assignment(WAITING_UNIT, "treatment", version=2))
    assert stack.livelift("wait").returncode == 0
    return stack


@pytest.fixture(scope="module")
def changed_jar(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The function as a later build would make it: the same classes, another file."""
    jar = tmp_path_factory.mktemp("changed") / "changed.jar"
    jar.write_bytes(stack.settings.attribution_jar.read_bytes())
    with ZipFile(jar, "a") as content:
        content.writestr("META-INF/livelift-release", "the next one")
    return jar


@pytest.fixture(scope="module")
def broken_jar(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build that can be planned with and fails as soon as it runs."""
    jar = tmp_path_factory.mktemp("broken") / "broken.jar"
    with ZipFile(stack.settings.attribution_jar) as sound, ZipFile(jar, "w", ZIP_DEFLATED) as broken:
        for entry in sound.infolist():
            if entry.filename != LOADED_WHEN_IT_RUNS:
                broken.writestr(entry, sound.read(entry))
    return jar


def test_a_changed_function_goes_on_with_the_state_of_the_one_before(
    begun: RunningStack, changed_jar: Path
) -> None:
    before = everyones_job(begun)
    upgraded = with_jar(begun, changed_jar).livelift("upgrade", "attribution")
    assert upgraded.returncode == 0, upgraded.stderr
    assert upgraded.stdout == "attribution upgraded\n"
    after = everyones_job(begun)
    assert (after.name, after.state) == (before.name, "RUNNING")
    assert after.id != before.id
    running = submitted_jar(begun.settings, after.name)
    assert running is not None
    assert running.read_bytes() == changed_jar.read_bytes()
    lines = [line.partition(": ") for line in upgraded.stderr.splitlines()]
    steps = [step.split(" file:")[0] for name, _, step in lines if name == before.name]
    assert steps == [
        "stopping with a savepoint",
        "stopped; from now on livelift up would go on from",
        "runs again and has made a checkpoint; the savepoint may be deleted",
    ]


def test_a_unit_that_waited_counts_when_its_definition_comes_after_the_upgrade(
    begun: RunningStack, tmp_path: Path
) -> None:
    define(begun, tmp_path, 2)
    publish(begun, "outcomes", *(outcome(f"unit-{number}", "after") for number in range(UNITS)))
    assert begun.disproof() == ""
    assert (users(begun, 1), users(begun, 2)) == (UNITS, 1)


def test_a_function_that_cannot_go_on_is_taken_back_and_nothing_is_lost(
    begun: RunningStack, broken_jar: Path
) -> None:
    before = everyones_job(begun)
    sound = submitted_jar(begun.settings, before.name)
    refused = with_jar(begun, broken_jar).livelift("upgrade", "attribution", timeout_s=240)
    assert refused.returncode == 1
    assert f"cannot go on with {broken_jar}" in refused.stderr
    assert "ClassNotFoundException: io.livelift.attribution.EventDecoder" in refused.stderr
    assert "runs again as before and nothing is lost" in refused.stderr
    after = everyones_job(begun)
    assert after.id != before.id
    assert sound is not None
    assert submitted_jar(begun.settings, after.name) == sound
    publish(begun, "outcomes", outcome("unit-1", "after it was taken back"))
    assert begun.disproof() == ""


def test_a_changed_plan_is_refused_and_the_job_goes_on_untouched(
    begun: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = jobs(begun)
    monkeypatch.setattr("infra.upgrade.must_match", lambda _: {"livelift.plan_sha256": "of another plan"})
    said: list[str] = []
    with pytest.raises(UpgradeError, match=r"its plan is another than today's\. .* livelift rebuild --all"):
        upgrade_attribution(begun.settings, said.append)
    assert (said, jobs(begun)) == ([], before)


def test_changed_rules_are_refused_by_name(begun: RunningStack) -> None:
    before = jobs(begun)
    stricter = {**begun.environment, "LIVELIFT_ATTRIBUTION_HORIZON_MS": "3600000"}
    refused = replace(begun, environment=stricter).livelift("upgrade", "attribution")
    assert refused.returncode == 1
    assert "its horizon_ms is 604800000 and would be 3600000" in refused.stderr
    assert jobs(begun) == before


def test_the_scorecard_is_upgraded_too(begun: RunningStack) -> None:
    upgraded = begun.livelift("upgrade", "scorecard")
    assert upgraded.returncode == 0, upgraded.stderr
    publish(begun, "outcomes", outcome("unit-2", "after the scorecard was upgraded"))
    assert begun.disproof() == ""
    assert status.report(begun.settings).down == ()


def test_the_newest_state_is_a_checkpoint_again(begun: RunningStack) -> None:
    job = everyones_job(begun)
    assert "/chk-" in (newest_state(begun.settings, job.name) or "")
