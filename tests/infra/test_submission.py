"""Where a job goes on from, and with which jar."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings, load
from infra import submission
from infra.submission import (
    SCORECARD,
    Launch,
    SubmissionError,
    await_submitted,
    difference,
    newest_state,
    obstacle,
    submit,
)
from jobs.attribution.lane import Lane

NAME = "livelift-attribution"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(environ={"LIVELIFT_RUN_DIR": str(tmp_path)})


def left(settings: Settings, path: str, *, at: int, is_complete: bool = True) -> str:
    folder = settings.run_dir / path
    folder.mkdir(parents=True)
    if is_complete:
        (folder / "_metadata").touch()
        os.utime(folder / "_metadata", (at, at))
    return folder.as_uri()


class Begun:
    """What was started instead of a process."""

    def __init__(self, status: int = 0) -> None:
        self.returncode = status
        self.command: list[str] = []
        self.environment: dict[str, str] = {}

    def __call__(self, command: list[str], *, env: dict[str, str], **_: Any) -> Begun:
        self.command, self.environment = command, env
        return self

    def wait(self) -> int:
        return self.returncode


def begun(settings: Settings, monkeypatch: pytest.MonkeyPatch, launch: Launch, **changes: Any) -> Begun:
    process = Begun()
    monkeypatch.setattr(subprocess, "Popen", process)
    monkeypatch.setattr(submission, "client_environment", lambda _: {"FLINK_HOME": "flink"})
    submit(settings, launch, **{"state": None} | changes)
    return process


def test_a_job_that_never_ran_begins_with_nothing(settings: Settings) -> None:
    assert newest_state(settings, NAME) is None


def test_the_newest_complete_checkpoint_of_the_job_is_taken_whatever_its_number(settings: Settings) -> None:
    left(settings, f"checkpoints/{NAME}/a/chk-900", at=1_000)
    newest = left(settings, f"checkpoints/{NAME}/b/chk-7", at=2_000)
    left(settings, f"checkpoints/{NAME}/b/chk-8", at=3_000, is_complete=False)
    left(settings, "checkpoints/livelift-scorecard/c/chk-9", at=4_000)
    left(settings, f"checkpoints/{NAME}-e1/c/chk-9", at=5_000)
    assert newest_state(settings, NAME) == newest


def test_a_savepoint_that_is_newer_than_every_checkpoint_is_taken_and_an_older_one_is_not(
    settings: Settings,
) -> None:
    left(settings, f"savepoints/{NAME}/savepoint-1", at=1_000)
    checkpoint = left(settings, f"checkpoints/{NAME}/a/chk-1", at=2_000)
    assert newest_state(settings, NAME) == checkpoint
    savepoint = left(settings, f"savepoints/{NAME}/savepoint-2", at=3_000)
    left(settings, f"savepoints/{NAME}-acme-e1/savepoint-3", at=4_000)
    assert newest_state(settings, NAME) == savepoint


def test_state_kept_elsewhere_is_not_looked_for() -> None:
    away = load(
        environ={
            "LIVELIFT_FLINK_CHECKPOINT_DIR": "s3://bucket/checkpoints",
            "LIVELIFT_FLINK_SAVEPOINT_DIR": "s3://bucket/savepoints",
        }
    )
    assert newest_state(away, NAME) is None


@pytest.mark.parametrize(
    ("launch", "arguments"),
    [
        (SCORECARD, "-m jobs.scorecard"),
        (Launch.of_lane(Lane()), "-m jobs.attribution --epoch 0"),
        (Launch.of_lane(Lane("acme", "", 3)), "-m jobs.attribution --tenant acme --epoch 3"),
        (
            Launch.of_lane(Lane("acme", "Button", 4)),
            "-m jobs.attribution --tenant acme --experiment Button --epoch 4",
        ),
    ],
    ids=lambda each: each.name if isinstance(each, Launch) else "",
)
def test_a_job_is_submitted_by_its_module(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, jar: Path, launch: Launch, arguments: str
) -> None:
    assert begun(settings, monkeypatch, launch, jar=jar).command[1:] == arguments.split()
    restored = begun(settings, monkeypatch, launch, jar=jar, state="file:/s")
    assert restored.command[1:] == [*arguments.split(), "--restore", "file:/s"]


@pytest.fixture
def jar(tmp_path: Path) -> Path:
    file = tmp_path / "built.jar"
    file.write_bytes(b"one")
    return file


def test_the_jar_a_job_runs_is_kept_when_another_is_built_in_its_place(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, jar: Path
) -> None:
    launch = Launch.of_lane(Lane())
    assert submission.submitted_jar(settings, launch.name) is None
    environment = begun(settings, monkeypatch, launch, jar=jar).environment
    jar.write_bytes(b"two")
    kept = submission.submitted_jar(settings, launch.name)
    assert kept is not None
    assert kept.read_bytes() == b"one"
    assert environment["LIVELIFT_ATTRIBUTION_JAR"] == str(kept)
    again = begun(settings, monkeypatch, launch, jar=kept).environment
    assert again["LIVELIFT_ATTRIBUTION_JAR"] == str(kept)


def test_a_submission_that_fails_names_the_command_and_where_it_says_why(settings: Settings) -> None:
    process: Any = Begun(status=1)
    log = settings.logs_dir / "jobs.log"
    refusal = rf"^livelift-scorecard: `python -m jobs\.scorecard` ended with 1: {log}$"
    with pytest.raises(SubmissionError, match=refusal):
        await_submitted(settings, SCORECARD, process)


def test_a_job_is_held_back_while_its_plan_or_its_rules_are_not_those_of_its_state(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, jar: Path
) -> None:
    lane = Launch.of_lane(Lane())
    changed = replace(settings, attribution=replace(settings.attribution, horizon_ms=5))
    assert obstacle(changed, lane) == ""  # it never ran
    begun(settings, monkeypatch, lane, jar=jar)
    assert obstacle(changed, lane) == ""  # it left nothing
    left(settings, f"checkpoints/{lane.name}/a/chk-1", at=1_000)
    assert obstacle(settings, lane) == ""
    assert obstacle(changed, lane) == "its horizon_ms is 604800000 and would be 5"
    monkeypatch.setattr("infra.submission.must_match", lambda _: {"livelift.plan_sha256": "another"})
    assert obstacle(settings, lane) == "its plan is another than today's"
    assert obstacle(settings, SCORECARD) == ""


def test_what_differs_is_named_and_parameters_that_need_not_be_equal_are_not() -> None:
    before = {"livelift.region": "eu", "livelift.horizon_ms": "1", "livelift.bootstrap": "k:1"}
    assert difference(before, {"livelift.region": "eu", "livelift.horizon_ms": "1"}) == ""
    assert difference(before, {"livelift.region": "us", "livelift.horizon_ms": "2"}) == (
        "its region is eu and would be us, its horizon_ms is 1 and would be 2"
    )
