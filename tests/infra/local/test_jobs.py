"""Where a job goes on from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.settings import Settings, load
from infra.local import jobs

NAME = "livelift-attribution"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(environ={"LIVELIFT_RUN_DIR": str(tmp_path)})


def checkpoint(settings: Settings, path: str, *, at: int, is_complete: bool = True) -> Path:
    folder = settings.run_dir / "checkpoints" / path
    folder.mkdir(parents=True)
    if is_complete:
        (folder / "_metadata").touch()
        os.utime(folder / "_metadata", (at, at))
    return folder


def test_a_job_that_never_ran_has_no_checkpoint(settings: Settings) -> None:
    assert jobs.newest_checkpoint(settings, NAME) is None


def test_the_newest_complete_checkpoint_of_the_job_is_taken_whatever_its_number(settings: Settings) -> None:
    checkpoint(settings, f"{NAME}/a/chk-900", at=1_000)
    newest = checkpoint(settings, f"{NAME}/b/chk-7", at=2_000)
    checkpoint(settings, f"{NAME}/b/chk-8", at=3_000, is_complete=False)
    checkpoint(settings, "livelift-scorecard/c/chk-9", at=4_000)
    assert jobs.newest_checkpoint(settings, NAME) == newest


def test_checkpoints_kept_elsewhere_are_not_looked_for() -> None:
    away = load(environ={"LIVELIFT_FLINK_CHECKPOINT_DIR": "s3://bucket/checkpoints"})
    assert jobs.newest_checkpoint(away, NAME) is None
