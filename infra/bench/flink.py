"""What the bench does with Flink jobs: submit one to a fresh JVM, look at how far it is, let it go."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil

from config.settings import ROOT, Settings
from infra.bench.progress import Look
from infra.cluster import ENDED, Cluster, Job
from infra.local import java
from infra.local import record as records
from infra.local.flink import client_environment
from infra.local.part import python

SUBMITTED_WITHIN_S = 120.0
ANSWER_WITHIN_S = 10.0
READY_WITHIN_S = 60.0
CHECKPOINT_WITHIN_S = 180.0
POLL_S = 0.1
READ_BY_SOURCE = re.compile(r"Source__.*\.numRecordsIn")
"""The metric in which a source counts what it has read, whatever is chained to it."""


class JobError(Exception):
    """A job could not be submitted, failed or was started again, or nobody answers; one line."""


class Checkpoint(NamedTuple):
    """A completed checkpoint: bytes of all state it refers to, and how long it took."""

    state_bytes: int
    seconds: float


class Watched:
    """A submitted job of the bench's own cluster.

    Raises:
        JobError, ClusterError: From every method: it failed, or Flink does not answer.
    """

    def __init__(self, settings: Settings, job_id: str) -> None:
        self.id = job_id
        self._job = Job(job_id, job_id, "")
        self._settings = settings
        self._cluster = Cluster(settings)
        self._client = httpx.Client(
            base_url=settings.flink.rest_url, timeout=ANSWER_WITHIN_S, trust_env=False
        )
        self._read: Callable[[], float] = lambda: 0.0

    def await_reading(self) -> None:
        """Return once every source of the job says how many records it has read."""
        self._read = self.counter(READ_BY_SOURCE, lambda vertex: "Source:" in vertex)

    def look(self) -> Look:
        """How far it is now; Flink's own numbers, which are up to a second old."""
        read = self._read()
        return Look(time.monotonic(), read, cpu_s(process_of(self._settings, "taskmanager")))

    def counter(self, metric: re.Pattern[str], is_wanted: Callable[[str], bool]) -> Callable[[], float]:
        """A function that sums a metric over all subtasks; returns once all wanted vertices have it.

        Args:
            is_wanted: Whether a vertex of this name must have it.
        """
        paths: list[str] = []

        def is_there() -> bool:
            self.check()
            paths[:] = self._metric_paths(metric, is_wanted)
            return bool(paths)

        _until(is_there, READY_WITHIN_S, f"metric {metric.pattern} of job {self.id}")
        return lambda: sum(float(each["sum"]) for path in paths for each in self._get(path))

    def check(self) -> None:
        """Raise if the job does not run as it was submitted; one that was started again measures nothing."""
        state = next((each.state for each in self._cluster.all_jobs() if each.id == self.id), "UNKNOWN")
        if state in ENDED or state == "UNKNOWN" or self._cluster.restarts(self._job):
            reasons = self._cluster.failures(self._job)
            raise JobError(f"job {self.id} is {state.lower()}: {next(iter(reasons), 'nobody says why')}")

    def checkpoints(self) -> list[Checkpoint]:
        """The completed checkpoints that are remembered, oldest first."""
        history = self._get(f"/jobs/{self.id}/checkpoints")["history"]
        return [
            Checkpoint(int(each["state_size"]), each["end_to_end_duration"] / 1000)
            for each in reversed(history)
            if each["status"] == "COMPLETED" and not each["is_savepoint"]
        ]

    def await_checkpoint(self) -> None:
        """Return once a checkpoint is complete that was triggered after the call."""
        since_ms = time.time() * 1000

        def is_complete() -> bool:
            self.check()
            newest = (self._get(f"/jobs/{self.id}/checkpoints")["latest"] or {}).get("completed")
            return newest is not None and newest["trigger_timestamp"] > since_ms

        _until(is_complete, CHECKPOINT_WITHIN_S, f"a checkpoint of job {self.id}")

    def state_by_vertex(self) -> dict[str, int]:
        """Bytes in the newest checkpoint, by the name of the job's vertex."""
        vertices = {each["id"]: str(each["name"]) for each in self._get(f"/jobs/{self.id}")["vertices"]}
        newest = self._get(f"/jobs/{self.id}/checkpoints")["latest"]["completed"]["id"]
        tasks = self._get(f"/jobs/{self.id}/checkpoints/details/{newest}")["tasks"]
        return {vertices[vertex]: int(task["state_size"]) for vertex, task in tasks.items()}

    def cancel(self) -> None:
        """End the job and return when it has."""
        self._cluster.cancel(self._job)
        self._cluster.await_end(self._job, timeout_seconds=READY_WITHIN_S)

    def _metric_paths(self, metric: re.Pattern[str], is_wanted: Callable[[str], bool]) -> list[str]:
        """Where the vertices tell it; none unless all do that are wanted."""
        paths = []
        for vertex in self._get(f"/jobs/{self.id}")["vertices"]:
            if is_wanted(vertex["name"]):
                path = f"/jobs/{self.id}/vertices/{vertex['id']}/subtasks/metrics"
                names = [each["id"] for each in self._get(path) if metric.fullmatch(each["id"])]
                if not names:
                    return []
                paths.append(f"{path}?get={','.join(names)}&agg=sum")
        return paths

    def _get(self, path: str) -> Any:
        try:
            return self._client.get(path).raise_for_status().json()
        except httpx.HTTPError as error:
            raise JobError(f"Flink at {self._settings.flink.rest_url}{path}: {error}") from error


def submit(settings: Settings, module: str, environment: Mapping[str, str], *arguments: str) -> Watched:
    """Run ``python -m module``, which submits a job and prints its id last.

    Raises:
        JobError: It ended with an error, which is told.
    """
    ended = subprocess.run(
        python("-m", module, *arguments),
        cwd=ROOT,
        env={**os.environ, **client_environment(settings), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SUBMITTED_WITHIN_S,
        check=False,
    )
    printed = ended.stdout.split()
    if ended.returncode != 0 or not printed:
        raise JobError(f"python -m {module} ended with {ended.returncode}: {_reason(ended.stderr)}")
    return Watched(settings, printed[-1])


def refresh_taskmanager(settings: Settings) -> None:
    """Replace the TaskManager, so that no job finds what another left in its JVM.

    Raises:
        JobError: No new one came up.
    """
    url = f"{settings.flink.rest_url}/taskmanagers"

    def listed() -> set[str]:
        found = httpx.get(url, timeout=ANSWER_WITHIN_S, trust_env=False).json()["taskmanagers"]
        return {str(each["id"]) for each in found}

    old = listed()
    process_of(settings, "taskmanager").send_signal(signal.SIGKILL)
    _until(lambda: bool(now := listed()) and not now & old, READY_WITHIN_S, "a new TaskManager")


def process_of(settings: Settings, part: str) -> psutil.Process:
    """The process of a part of the local stack.

    Raises:
        JobError: It does not run.
    """
    entry = records.read(settings).entries.get(part)
    if entry is None or entry.process is None or not entry.process.is_alive():
        raise JobError(f"{part} does not run")
    return psutil.Process(entry.process.pid)


def live_heap_bytes(settings: Settings) -> int:
    """What the TaskManager's heap holds after everything that is not needed was thrown away.

    Raises:
        JobError: It does not run.
    """
    listed = _ask_jvm(settings, "GC.class_histogram")
    totals = re.search(r"^Total\s+\d+\s+(\d+)", listed, re.MULTILINE)
    if totals is None:
        raise JobError(f"the TaskManager's JVM told no total: {listed[:200]}")
    return int(totals[1])


@contextmanager
def flight_recorded(settings: Settings, file: Path) -> Iterator[None]:
    """Record what the TaskManager's JVM does meanwhile (JDK Flight Recorder) into a file.

    Raises:
        JobError: It does not run, or does not record.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    _ask_jvm(settings, "JFR.start", "name=bench", "settings=profile")
    yield
    _ask_jvm(settings, "JFR.stop", "name=bench", f"filename={file.resolve()}")


def _ask_jvm(settings: Settings, *command: str) -> str:
    pid = str(process_of(settings, "taskmanager").pid)
    asked = [str(java.home() / "bin" / "jcmd"), pid, *command]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise JobError(f"{' '.join(asked)}: {(answer.stdout + answer.stderr).strip()[:300]}")
    return answer.stdout


def cpu_s(process: psutil.Process) -> float:
    """Seconds of processor time of a process and those it started, as far as they live."""
    total = 0.0
    for each in [process, *process.children(recursive=True)]:
        with suppress(psutil.Error):
            times = each.cpu_times()
            total += times.user + times.system
    return total


def _reason(printed: str) -> str:
    """The innermost cause of a Java stack trace in a Python one, or the last line."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith(("Caused by: ", ": org.apache.flink"))]
    return (causes or lines or ["no output"])[-1][:500]


def _until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise JobError(f"waited {seconds:.0f} s for {what}")
        time.sleep(POLL_S)
