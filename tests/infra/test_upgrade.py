"""What an upgrade refuses, and sees to, before it stops anything."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from config.settings import load
from infra import migrations, upgrade
from infra.cluster import Cluster, Job
from infra.submission import SCORECARD
from infra.upgrade import UpgradeError, refuse_difference
from jobs.attribution.lane import Lane
from jobs.attribution.takeover import must_match
from tests.infra.clickhouse_process import clickhouse

TODAY = must_match(load(environ={}))


def test_a_job_with_todays_plan_and_rules_is_taken_over_whatever_else_it_was_told() -> None:
    refuse_difference(
        "a-job", TODAY | Lane("acme", epoch=3).parameters | {"livelift.bootstrap": "k:1"}, TODAY
    )


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("livelift.plan_sha256", "its plan is another than today's"),
        ("livelift.horizon_ms", "its horizon_ms is 5 and would be 604800000"),
        ("livelift.retention_ms", "its retention_ms is 5 and would be 2419200000"),
        ("livelift.region", "its region is 5 and would be local"),
    ],
)
def test_another_plan_or_other_rules_are_refused_with_the_reason_and_the_way(
    parameter: str, words: str
) -> None:
    with pytest.raises(UpgradeError) as caught:
        refuse_difference("a-job", TODAY | {parameter: "5"}, TODAY)
    assert str(caught.value).startswith(f"a-job cannot be upgraded: {words}. ")
    assert "livelift rebuild --all" in str(caught.value)


def test_a_job_that_says_nothing_of_its_plan_is_refused() -> None:
    with pytest.raises(UpgradeError, match="its plan is another"):
        refuse_difference("a-job", {}, TODAY)


@pytest.mark.parametrize("state", ["RESTARTING", "STARTING", "INITIALIZING"])
def test_a_job_that_does_not_run_steadily_is_refused_with_the_way(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(SCORECARD.name, "1", state)
    monkeypatch.setattr(upgrade, "Cluster", lambda _: SimpleNamespace(jobs=lambda: {job.name: job}))
    monkeypatch.setattr(upgrade, "alone", nullcontext)
    for each in ("_migrate", "_upgrade"):
        monkeypatch.setattr(upgrade, each, lambda *_: pytest.fail("nothing may be changed"))
    with pytest.raises(UpgradeError) as caught:
        upgrade.upgrade_scorecard(load(environ={}), print)
    assert str(caught.value) == (
        f"livelift-scorecard is {state.lower()}, so it can make no savepoint now and nothing was stopped: "
        f"{upgrade.WITHOUT_SAVEPOINT}"
    )


def test_a_long_reason_keeps_its_end_and_the_way_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flink names the task, with everything that is chained to it, before it says what was wrong."""
    trace = (
        "java.util.concurrent.CompletionException: no\n"
        f"Caused by: CheckpointException: Checkpoint triggering task Source: {'slots -> ' * 50}(1/2) of job "
        "1 is not being executed. Failure reason: Not all required tasks are currently running.\n"
        "\tat org.apache.flink\n"
    )
    answers = {
        "/jobs/1/stop": {"request-id": "7"},
        "/jobs/1/savepoints/7": {
            "status": {"id": "COMPLETED"},
            "operation": {"failure-cause": {"stack-trace": trace}},
        },
    }
    monkeypatch.setattr(
        Cluster, "_answer", lambda _, method, path, **content: httpx.Response(200, json=answers[path])
    )
    settings = load(environ={})
    with pytest.raises(UpgradeError) as caught:
        upgrade._upgrade(settings, SCORECARD, Job(SCORECARD.name, "1", "RUNNING"), print)
    said = str(caught.value)
    assert said.startswith("livelift-scorecard made no savepoint (livelift-scorecard: CheckpointException: ")
    assert "Not all required tasks are currently running.), so it was not upgraded: once" in said


@pytest.mark.clickhouse
def test_the_tables_have_todays_columns_before_the_scorecard_job_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    with clickhouse(tmp_path) as settings:
        migrations.apply(settings)
        newest = migrations.status(settings)[-1].version
        migrations.revert(settings, newest - 1)
        job = Job(SCORECARD.name, "1", "RUNNING")
        monkeypatch.setattr(upgrade, "Cluster", lambda _: SimpleNamespace(jobs=lambda: {job.name: job}))
        monkeypatch.setattr(upgrade, "alone", nullcontext)
        monkeypatch.setattr(upgrade, "_upgrade", lambda *_: said.append("stopping"))
        for _ in range(2):
            upgrade.upgrade_scorecard(settings, said.append)
    assert said == [f"tables: migrated to {newest}", "stopping", "stopping"]
