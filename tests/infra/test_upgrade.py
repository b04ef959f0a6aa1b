"""What an upgrade refuses, and sees to, before it stops anything."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from config.settings import load
from infra import migrations, upgrade
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


@pytest.mark.clickhouse
def test_the_tables_have_todays_columns_before_the_scorecard_job_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    with clickhouse(tmp_path) as settings:
        migrations.apply(settings)
        newest = migrations.status(settings)[-1].version
        migrations.revert(settings, newest - 1)
        job = SimpleNamespace(jobs=lambda: {SCORECARD.name: "the job"})
        monkeypatch.setattr(upgrade, "Cluster", lambda _: job)
        monkeypatch.setattr(upgrade, "alone", nullcontext)
        monkeypatch.setattr(upgrade, "_upgrade", lambda *_: said.append("stopping"))
        for _ in range(2):
            upgrade.upgrade_scorecard(settings, said.append)
    assert said == [f"tables: migrated to {newest}", "stopping", "stopping"]
