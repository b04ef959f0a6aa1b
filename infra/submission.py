"""Starting a job from the newest state it left behind, with the jar it was given.

Every job that is submitted here leaves a note under ``<run_dir>/flink/submitted``: the jar it runs, of which
a copy is kept, so that a later build that cannot read the state can be taken back; and what a job that takes
over its state must have in common with it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from config.settings import ROOT, Settings
from infra.cluster import Cluster
from infra.local.flink import client_environment
from infra.local.part import python, shown
from jobs.attribution.lane import Lane
from jobs.attribution.takeover import must_match
from jobs.wiring.kafka import SCORECARD_GROUP

RUNNING_WITHIN_SECONDS = 120.0
ENDED_WITHIN_SECONDS = 60.0
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
    keeps_rules: bool = False
    """Whether its state belongs to a plan and to rules (``jobs/attribution/takeover.py``)."""

    @classmethod
    def of_lane(cls, lane: Lane) -> Launch:
        """A lane of the attribution job."""
        whom = (("--tenant", lane.tenant_id), ("--experiment", lane.experiment_id))
        named = [text for option, value in whom if value for text in (option, value)]
        return cls(
            lane.name, ("-m", "jobs.attribution", *named, "--epoch", str(lane.epoch)), keeps_rules=True
        )


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
    _write_note(settings, launch, kept)
    restore = ["--restore", state] if state else []
    settings.logs_dir.mkdir(parents=True, exist_ok=True)
    with _log(settings).open("ab") as log:
        return subprocess.Popen(
            python(*launch.arguments, *restore),
            cwd=ROOT,
            env=_environment(settings, kept),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def await_submitted(settings: Settings, launch: Launch, submission: subprocess.Popen[bytes]) -> None:
    """Return once the cluster has the job.

    Raises:
        SubmissionError: It was not taken.
    """
    if submission.wait() != 0:
        raise SubmissionError(_ended(launch, submission.returncode, shown(_log(settings))))


def planned(settings: Settings, launch: Launch) -> str:
    """The plan that a lane would be submitted with, by today's code.

    Raises:
        SubmissionError: There is none.
    """
    done = subprocess.run(
        python(*launch.arguments, "--plan"),
        cwd=ROOT,
        env=_environment(settings, settings.attribution_jar),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        raise SubmissionError(_ended(launch, done.returncode, last))
    return done.stdout


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
            why = cluster.failures(job)[:1] if job is not None else []
            said = ": ".join((f"{launch.name} not running within {timeout_seconds:.0f} s", *why))
            raise SubmissionError(said)
        time.sleep(LOOK_EVERY_SECONDS)


def cancel(cluster: Cluster, name: str) -> None:
    """Cancel the job of this name, if it has not ended, and return once it has. Its checkpoints stay.

    Raises:
        ClusterError: Flink does not answer, or the job does not end.
    """
    job = cluster.jobs().get(name)
    if job is not None:
        cluster.cancel(job)
        cluster.await_end(job, timeout_seconds=ENDED_WITHIN_SECONDS)


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
    jar = _note(settings, name).get("jar")
    return Path(jar) if jar is not None and Path(jar).is_file() else None


def obstacle(settings: Settings, launch: Launch) -> str:
    """Why today's code must not take over the state a job left, in words.

    Empty when it may, when there is no state, and when nobody knows with what it was begun.
    """
    before = _note(settings, launch.name).get("must_match")
    if not before or newest_state(settings, launch.name) is None:
        return ""
    return difference(before, must_match(settings))


def difference(before: Mapping[str, str], today: Mapping[str, str]) -> str:
    """What differs between the parameters of a job and those it would have today; empty when nothing does."""
    changed = [name for name in today if before.get(name) != today[name]]
    if "livelift.plan_sha256" in changed:
        return "its plan is another than today's"
    return ", ".join(
        f"its {name.removeprefix('livelift.')} is {before.get(name)} and would be {today[name]}"
        for name in changed
    )


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """One at a time stops and submits jobs: two would start a job twice, or one the other has stopped."""
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    with (settings.run_dir / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def content_of(jar: Path) -> str:
    """A hash of a jar's content."""
    return sha256(jar.read_bytes()).hexdigest()


def _environment(settings: Settings, jar: Path) -> dict[str, str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), JAR_VARIABLE: str(jar)}
    return environment | client_environment(settings) if settings.local is not None else environment


def _log(settings: Settings) -> Path:
    """Where the part of the stack that submits jobs prints, too."""
    return settings.logs_dir / "jobs.log"


def _ended(launch: Launch, status: int, where: str) -> str:
    return f"{launch.name}: `python {' '.join(launch.arguments)}` ended with {status}: {where}"


def _complete(uri: str, pattern: str) -> list[Path]:
    location = urlsplit(uri)
    if location.scheme != "file":
        return []
    return [file.parent for file in Path(unquote(location.path)).glob(f"{pattern}/_metadata")]


def _kept(settings: Settings, jar: Path) -> Path:
    """The copy of a jar under the name of its content."""
    kept = settings.run_dir / "flink" / "jars" / f"{content_of(jar)[:16]}.jar"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = kept.with_suffix(f".{os.getpid()}.draft")
        shutil.copyfile(jar, draft)
        draft.rename(kept)
    return kept


def _note_file(settings: Settings, name: str) -> Path:
    return settings.run_dir / "flink" / "submitted" / f"{name}.json"


def _note(settings: Settings, name: str) -> dict[str, Any]:
    """What was written down of a job; nothing if it was not submitted from here."""
    try:
        content: dict[str, Any] = json.loads(_note_file(settings, name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return content


def _write_note(settings: Settings, launch: Launch, jar: Path) -> None:
    content = {"jar": str(jar), "must_match": must_match(settings) if launch.keeps_rules else {}}
    file = _note_file(settings, launch.name)
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(f".{os.getpid()}.draft")
    draft.write_text(json.dumps(content, indent=1), encoding="utf-8")
    draft.rename(file)
