"""Submits the jobs that do not run: ``python -m infra.local.jobs``.

Each is restored from its newest retained checkpoint, if it has one: what was counted before stays counted.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from config.settings import ROOT, Settings, load
from infra.local.part import get, python

MODULES = {"livelift-attribution": "jobs.attribution", "livelift-scorecard": "jobs.scorecard"}
ENDED = frozenset({"FAILED", "CANCELED", "FINISHED", "SUSPENDED"})
DEADLINE_S = 120.0
POLL_S = 0.2


class JobError(Exception):
    """A job did not start; one line."""


@dataclass(frozen=True)
class Job:
    """One job as the cluster sees it."""

    name: str
    id: str
    state: str
    """``RUNNING`` only when every task of it runs; otherwise the job's or the first other task's state."""
    restarts: int | None = None
    checkpoint_age_s: float | None = None
    """Since the last completed checkpoint was triggered; None before the first."""


def running(settings: Settings) -> dict[str, Job]:
    """The jobs that have not ended, by name.

    Raises:
        JobError: The cluster does not answer.
    """
    listed = _ask(settings, "/jobs/overview")["jobs"]
    return {each["name"]: _job(each) for each in listed if each["state"] not in ENDED}


def with_details(settings: Settings, job: Job) -> Job:
    """The job with its restarts and the age of its last checkpoint."""
    metrics = _ask(settings, f"/jobs/{job.id}/metrics?get=numRestarts")
    restarts = next((int(each["value"]) for each in metrics if each["id"] == "numRestarts"), None)
    latest = (_ask(settings, f"/jobs/{job.id}/checkpoints").get("latest") or {}).get("completed")
    age = time.time() - latest["trigger_timestamp"] / 1000 if latest else None
    return Job(job.name, job.id, job.state, restarts, age)


def newest_checkpoint(settings: Settings, name: str) -> Path | None:
    """The newest complete checkpoint of a job below ``<checkpoint_dir>/<name>``; None if there is none.

    Checkpoints kept elsewhere than in a folder of this machine are not looked for.
    """
    location = urlsplit(settings.flink.checkpoint_dir)
    if location.scheme != "file":
        return None
    folder = Path(unquote(location.path)) / name
    complete = [file.parent for file in folder.glob("*/chk-*/_metadata")]
    return max(complete, key=lambda path: (path / "_metadata").stat().st_mtime_ns, default=None)


def ensure(settings: Settings) -> None:
    """Submit the jobs that do not run and return when all of them do.

    Raises:
        JobError: A submission failed, or a job is not running within two minutes.
    """
    present = running(settings)
    submissions = {name: _submit(settings, name) for name in MODULES if name not in present}
    for name, submission in submissions.items():
        if submission.wait() != 0:
            raise JobError(f"{name}: python -m {MODULES[name]} ended with {submission.returncode}")
    deadline = time.monotonic() + DEADLINE_S
    while missing := [name for name in MODULES if not _runs(running(settings).get(name))]:
        if time.monotonic() > deadline:
            raise JobError(f"{', '.join(missing)} not running within {DEADLINE_S:.0f} s")
        time.sleep(POLL_S)


def _submit(settings: Settings, name: str) -> subprocess.Popen[bytes]:
    checkpoint = newest_checkpoint(settings, name)
    restore = ["--restore", checkpoint.as_uri()] if checkpoint else []
    print(f"submitting {name}" + (f" from {checkpoint}" if checkpoint else ""), flush=True)
    return subprocess.Popen(python("-m", MODULES[name], *restore), cwd=ROOT, stdin=subprocess.DEVNULL)


def _runs(job: Job | None) -> bool:
    return job is not None and job.state == "RUNNING"


def _job(listed: dict[str, Any]) -> Job:
    """A job counts as RUNNING to Flink while its tasks are still being deployed."""
    tasks = listed["tasks"]
    state = listed["state"]
    if state == "RUNNING" and tasks["running"] + tasks["finished"] < tasks["total"]:
        state = "STARTING"
    return Job(listed["name"], listed["jid"], state)


def _ask(settings: Settings, path: str) -> Any:
    answer = get(f"{settings.flink.rest_url}{path}")
    if answer is None:
        raise JobError(f"Flink does not answer at {settings.flink.rest_url}{path}")
    return answer.json()


def main() -> None:
    """Bring up the jobs of the settings in the environment."""
    try:
        ensure(load())
    except JobError as error:
        sys.exit(f"jobs: {error}")


if __name__ == "__main__":
    main()
