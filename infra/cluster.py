"""Flink's cluster by its REST interface: which jobs there are, and what an operator does to one of them.

PyFlink 2.3 cannot stop a job with a savepoint (its client calls a method that is not there), so REST does it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import httpx

from config.settings import Settings

ENDED = frozenset({"FAILED", "CANCELED", "FINISHED", "SUSPENDED"})
ANSWER_WITHIN_SECONDS = 10.0
LOOK_EVERY_SECONDS = 0.2
LONGEST_CAUSE = 300
TOLD = "sums.currentOutputWatermark"
"""Flink's name of the metric at the operator ``sums``."""
NAMES_AT_A_TIME = 50
"""Of metrics in one question: Flink takes addresses of 4,096 bytes."""


class ClusterError(Exception):
    """Flink does not answer or refuses; one line for people."""


class SavepointError(ClusterError):
    """A job was not stopped with a savepoint; it goes on, as Flink does after a failed savepoint."""


@dataclass(frozen=True)
class Job:
    """One job as the cluster sees it."""

    name: str
    id: str
    state: str
    """``RUNNING`` only when every task of it runs; otherwise the job's state, or ``STARTING``."""


@dataclass(frozen=True)
class Checkpoints:
    """How far a job is with its checkpoints."""

    completed: int
    """Since it was submitted."""
    newest_at_ms: int | None
    """When the last completed one was triggered; None before the first."""


class Cluster:
    """The JobManager's REST interface at the address of the settings; no proxy is asked.

    Raises:
        ClusterError: From every method: nobody answers, or the answer is a refusal.
    """

    def __init__(self, settings: Settings) -> None:
        self._url = settings.flink.rest_url

    def jobs(self) -> dict[str, Job]:
        """The jobs that have not ended, by name."""
        return {job.name: job for job in self.all_jobs() if job.state not in ENDED}

    def all_jobs(self) -> list[Job]:
        """The jobs the cluster remembers, ended ones too."""
        return [_job(each) for each in self._get("/jobs/overview")["jobs"]]

    def parameters(self, job: Job) -> dict[str, str]:
        """The job's global parameters, as it was submitted with them."""
        found = self._get(f"/jobs/{job.id}/config")["execution-config"]["user-config"]
        return {str(name): str(value) for name, value in found.items()}

    def restarts(self, job: Job) -> int | None:
        """How often the job was started again after a failure; None where that is not known."""
        metrics = self._get(f"/jobs/{job.id}/metrics?get=numRestarts")
        return next((int(each["value"]) for each in metrics if each["id"] == "numRestarts"), None)

    def checkpoints(self, job: Job) -> Checkpoints:
        """The job's checkpoints."""
        found = self._get(f"/jobs/{job.id}/checkpoints")
        newest = (found.get("latest") or {}).get("completed")
        return Checkpoints(found["counts"]["completed"], newest["trigger_timestamp"] if newest else None)

    def failures(self, job: Job) -> list[str]:
        """Why the job failed, each time in one line, the last time first; at most five times."""
        history = self._get(f"/jobs/{job.id}/exceptions?maxExceptions=5").get("exceptionHistory") or {}
        return [_cause(entry["stacktrace"]) for entry in history.get("entries") or []]

    def free_slots(self) -> int:
        """Places for tasks that no job has taken."""
        return int(self._get("/overview")["slots-available"])

    def watermark(self, job: Job) -> int | None:
        """Up to which append time, in epoch ms, everything that an attribution job counted is told.

        None before every task has said so. What is held back holds the watermark back (``SumsOperator``).
        """
        told: list[int] = []
        tasks = 0
        for vertex in self._get(f"/jobs/{job.id}")["vertices"]:
            metrics = f"/jobs/{job.id}/vertices/{vertex['id']}/metrics"
            names = [f"{task}.{TOLD}" for task in range(vertex["parallelism"])]
            found = [
                int(each["value"])
                for begin in range(0, len(names), NAMES_AT_A_TIME)
                for each in self._get(f"{metrics}?get={','.join(names[begin : begin + NAMES_AT_A_TIME])}")
            ]
            told += found
            tasks += len(names) if found else 0
        return min(told) if told and len(told) == tasks else None

    def stop_with_savepoint(self, job: Job, directory: str, *, timeout_seconds: float) -> str:
        """Stop the job without drain and return the URI of its savepoint once the job has ended.

        Args:
            directory: URI of the folder in which the savepoint gets a folder of its own.

        Raises:
            SavepointError: It failed, or was not done within the time.
        """
        body = {"targetDirectory": directory, "drain": False}
        trigger = self._send("POST", f"/jobs/{job.id}/stop", json=body).json()["request-id"]
        deadline = time.monotonic() + timeout_seconds
        while True:
            answer = self._get(f"/jobs/{job.id}/savepoints/{trigger}")
            if answer["status"]["id"] == "COMPLETED":
                break
            if time.monotonic() > deadline:
                raise SavepointError(f"{job.name}: no savepoint within {timeout_seconds:g} s")
            time.sleep(LOOK_EVERY_SECONDS)
        operation = answer["operation"]
        if "location" not in operation:
            raise SavepointError(f"{job.name}: {_cause(operation['failure-cause']['stack-trace'])}")
        self.await_end(job, timeout_seconds=timeout_seconds)
        return str(operation["location"])

    def cancel(self, job: Job) -> None:
        """Cancel the job; its newest checkpoint stays. Harmless when it has ended."""
        response = self._answer("PATCH", f"/jobs/{job.id}?mode=cancel")
        if response.status_code not in (httpx.codes.CONFLICT, httpx.codes.NOT_FOUND):
            self._checked(response)

    def await_end(self, job: Job, *, timeout_seconds: float) -> None:
        """Return once the job has ended.

        Raises:
            ClusterError: It has not, within the time.
        """
        deadline = time.monotonic() + timeout_seconds
        while any(each.id == job.id for each in self.jobs().values()):
            if time.monotonic() > deadline:
                raise ClusterError(f"{job.name} has not ended within {timeout_seconds:g} s")
            time.sleep(LOOK_EVERY_SECONDS)

    def _get(self, path: str) -> Any:
        return self._send("GET", path).json()

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        return self._checked(self._answer(method, path, **content))

    def _answer(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            return httpx.request(
                method, f"{self._url}{path}", timeout=ANSWER_WITHIN_SECONDS, trust_env=False, **content
            )
        except httpx.HTTPError as error:
            raise ClusterError(
                f"no Flink answers at {self._url}; start the stack with: livelift up"
            ) from error

    def _checked(self, response: httpx.Response) -> httpx.Response:
        if response.is_success:
            return response
        words = " ".join(response.text.split())
        raise ClusterError(f"Flink at {self._url}: {response.status_code} {words[:300]}")


def _job(listed: dict[str, Any]) -> Job:
    """A job counts as RUNNING to Flink while its tasks are still being deployed."""
    tasks = listed["tasks"]
    state = listed["state"]
    if state == "RUNNING" and tasks["running"] + tasks["finished"] < tasks["total"]:
        state = "STARTING"
    return Job(listed["name"], listed["jid"], state)


def _cause(trace: str) -> str:
    """The innermost cause of a Java stack trace, which says what went wrong.

    Of a long one the middle is left out: it begins with what failed, and Flink says why at its end.
    """
    lines = [line.strip() for line in trace.splitlines()]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    cause = causes[-1] if causes else next(iter(lines), "")
    half = LONGEST_CAUSE // 2
    return cause if len(cause) <= LONGEST_CAUSE else f"{cause[:half]} … {cause[-half:]}"
