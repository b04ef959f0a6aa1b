"""Starting a job from the newest state it left behind, with the jar it was given.

Every job that is submitted here leaves a note under ``<run_dir>/flink/submitted``: the jar it runs, of which
a copy is kept, so that a later build that cannot read the state can be taken back.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote, urlsplit

from config.settings import ROOT, Settings
from infra.cluster import Cluster
from infra.local.flink import client_environment
from infra.local.part import python
from jobs.attribution.lane import Lane
from jobs.wiring.kafka import SCORECARD_GROUP

RUNNING_WITHIN_SECONDS = 120.0
LOOK_EVERY_SECONDS = 0.2
JAR_VARIABLE = "LIVELIFT_ATTRIBUTION_JAR"
LOCK = "jobs.lock"


class SubmissionError(Exception):
    """A job did not start; one line."""


@dataclass(frozen=True)
class Launch:
    """What is submitted under which name."""

    name: str
    arguments: tuple[str, ...]
    """Of the interpreter: the job's module and what it is told."""

    @classmethod
    def of_lane(cls, lane: Lane) -> Launch:
        """A lane of the attribution job."""
        whom = (("--tenant", lane.tenant_id), ("--experiment", lane.experiment_id))
        named = [text for option, value in whom if value for text in (option, value)]
        return cls(lane.name, ("-m", "jobs.attribution", *named, "--epoch", str(lane.epoch)))


SCORECARD = Launch(SCORECARD_GROUP, ("-m", "jobs.scorecard"))


def submit(
    settings: Settings, launch: Launch, state: str | None, *, jar: Path | None = None
) -> subprocess.Popen[bytes]:
    """Begin to submit a job; the process ends once the cluster has it, with status 0.

    Args:
        state: URI of the savepoint or retained checkpoint it takes over; None begins with empty state.
        jar: Of the Java function; otherwise the settings'.
    """
    kept = _kept(settings, jar or settings.attribution_jar)
    _write_note(settings, launch.name, kept)
    restore = ["--restore", state] if state else []
    environment = os.environ | {"PYTHONPATH": str(ROOT), JAR_VARIABLE: str(kept)}
    if settings.local is not None:
        environment |= client_environment(settings)
    return subprocess.Popen(
        python(*launch.arguments, *restore), cwd=ROOT, env=environment, stdin=subprocess.DEVNULL
    )


def await_submitted(launch: Launch, submission: subprocess.Popen[bytes]) -> None:
    """Return once the cluster has the job.

    Raises:
        SubmissionError: It was not taken.
    """
    if submission.wait() != 0:
        command = " ".join(("python", *launch.arguments))
        raise SubmissionError(f"{launch.name}: {command} ended with {submission.returncode}")


def await_running(
    settings: Settings, launch: Launch, *, timeout_seconds: float = RUNNING_WITHIN_SECONDS
) -> None:
    """Return once every task of the job runs.

    Raises:
        SubmissionError: They do not within the time; says why they failed, if they did.
    """
    cluster = Cluster(settings)
    deadline = time.monotonic() + timeout_seconds
    while True:
        job = cluster.jobs().get(launch.name)
        if job is not None and job.state == "RUNNING":
            return
        if time.monotonic() > deadline:
            why = cluster.failure(job) if job is not None else ""
            raise SubmissionError(
                f"{launch.name} not running within {timeout_seconds:.0f} s{f': {why}' if why else ''}"
            )
        time.sleep(LOOK_EVERY_SECONDS)


def newest_state(settings: Settings, name: str) -> str | None:
    """URI of the newest complete checkpoint or savepoint a job left; None if there is none.

    After a stop with savepoint the savepoint is newer than any checkpoint that is left. Checkpoints and
    savepoints kept elsewhere than in a folder of this machine are not looked for.
    """
    found = [
        *_complete(settings.flink.checkpoint_dir, f"{name}/*/chk-*"),
        *_complete(settings.flink.savepoint_dir, f"{name}/savepoint-*"),
    ]
    newest = max(found, key=lambda path: (path / "_metadata").stat().st_mtime_ns, default=None)
    return newest.as_uri() if newest else None


def savepoint_dir(settings: Settings, name: str) -> str:
    """URI of the folder for savepoints of a job."""
    return f"{settings.flink.savepoint_dir}/{name}"


def submitted_jar(settings: Settings, name: str) -> Path | None:
    """The jar a job was last submitted with from here; None if nobody knows or it is gone."""
    try:
        jar = Path(json.loads(_note(settings, name).read_text(encoding="utf-8"))["jar"])
    except FileNotFoundError:
        return None
    return jar if jar.is_file() else None


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """One at a time stops and submits jobs: two would start a job twice, or one the other has stopped."""
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    with (settings.run_dir / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _complete(uri: str, pattern: str) -> list[Path]:
    location = urlsplit(uri)
    if location.scheme != "file":
        return []
    return [file.parent for file in Path(unquote(location.path)).glob(f"{pattern}/_metadata")]


def _kept(settings: Settings, jar: Path) -> Path:
    """The copy of a jar under the name of its content."""
    kept = settings.run_dir / "flink" / "jars" / f"{sha256(jar.read_bytes()).hexdigest()[:16]}.jar"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = kept.with_suffix(f".{os.getpid()}.draft")
        shutil.copyfile(jar, draft)
        draft.rename(kept)
    return kept


def _note(settings: Settings, name: str) -> Path:
    return settings.run_dir / "flink" / "submitted" / f"{name}.json"


def _write_note(settings: Settings, name: str, jar: Path) -> None:
    note = _note(settings, name)
    note.parent.mkdir(parents=True, exist_ok=True)
    draft = note.with_suffix(f".{os.getpid()}.draft")
    draft.write_text(json.dumps({"jar": str(jar)}), encoding="utf-8")
    draft.rename(note)
