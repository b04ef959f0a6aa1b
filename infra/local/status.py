"""How the stack is now: what the supervisor wrote down, checked against what answers."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from config.settings import Settings
from infra.clickhouse import DatabaseError, connect, one_line_errors
from infra.cluster import Cluster, ClusterError, Job
from infra.lanes import Activation, is_superseded, must_run, read_activations, running_lanes
from infra.local import record as records
from infra.local.clickhouse import ClickHouse
from infra.local.members import local_section, members
from infra.local.part import Member, Part, shown
from infra.local.record import Entry, Record, State
from infra.submission import SCORECARD, Launch, obstacle
from jobs.attribution.lane import Lane


@dataclass(frozen=True)
class PartStatus:
    """One part, or one step done at the start."""

    name: str
    state: str
    """As recorded; ``down`` when its process is gone, ``not answering`` when it runs and its check fails."""
    pid: int | None
    port: int | None
    since_s: float | None
    memory_mb: int | None
    restarts: int
    log: str

    def is_well(self) -> bool:
        """Whether it is as it should be."""
        return self.state in (State.UP, State.DONE)


@dataclass(frozen=True)
class JobStatus:
    """The scorecard job, or one lane of the attribution job."""

    name: str
    state: str
    """``RUNNING`` only when every task runs; ``ABSENT`` if it should run, ``HELD`` if it must not go
    on from its state; ``UNKNOWN`` without Flink."""
    serves: str = ""
    """Of a lane: whose results it counts."""
    epoch: int | None = None
    """Of a lane."""
    role: str = ""
    """Of a lane: ``active``, ``rebuilding`` or ``superseded``; empty when ClickHouse does not say."""
    id: str = ""
    restarts: int | None = None
    checkpoint_age_s: float | None = None
    """Since the last completed checkpoint was triggered; None before the first."""

    def is_well(self) -> bool:
        """Whether results are as fresh as they should be, as far as it depends on this job."""
        return self.state == "RUNNING" or self.role in ("rebuilding", "superseded")


@dataclass(frozen=True)
class Report:
    """Every part and job."""

    parts: tuple[PartStatus, ...]
    jobs: tuple[JobStatus, ...]
    metrics: tuple[str, ...] = ()
    """Where Prometheus reads, as URLs."""

    @property
    def down(self) -> tuple[str, ...]:
        """Names of what is not as it should be."""
        parts = [part.name for part in self.parts if not part.is_well()]
        return (*parts, *(job.name for job in self.jobs if not job.is_well()))

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "parts": [asdict(part) for part in self.parts],
            "jobs": [asdict(job) for job in self.jobs],
            "down": list(self.down),
            "metrics": list(self.metrics),
        }


def report(settings: Settings) -> Report:
    """Ask every part and every job how they are.

    Raises:
        StackError: The settings have no section ``local``.
    """
    record = records.read(settings)
    parts = [_supervisor(settings, record)]
    for member in members(settings):
        entry = record.entries.get(member.name, Entry(member.name, State.STOPPED))
        parts.append(_part(member, entry))
    is_clickhouse_up = any(part.name == ClickHouse.name and part.is_well() for part in parts)
    jobs = tuple(_jobs(settings, is_clickhouse_up=is_clickhouse_up))
    return Report(tuple(parts), jobs, metrics_addresses(settings))


def metrics_addresses(settings: Settings) -> tuple[str, ...]:
    """Where the JobManager, the TaskManager and the exporter show their metrics.

    Raises:
        StackError: The settings have no section ``local``.
    """
    local = local_section(settings)
    ports = (local.jobmanager_metrics_port, local.taskmanager_metrics_port)
    return (
        *(f"http://127.0.0.1:{port}/metrics" for port in ports),
        f"{settings.exporter.url}/metrics",
    )


def _supervisor(settings: Settings, record: Record) -> PartStatus:
    process = record.supervisor if record.is_supervised() else None
    return PartStatus(
        name="supervisor",
        state=State.UP if process else "down",
        pid=process.pid if process else None,
        port=None,
        since_s=process.age_s() if process else None,
        memory_mb=_mb(process.memory_bytes()) if process else None,
        restarts=0,
        log=shown(settings.logs_dir / "supervisor.log"),
    )


def _part(member: Member, entry: Entry) -> PartStatus:
    process = entry.process if entry.process and entry.process.is_alive() else None
    return PartStatus(
        name=member.name,
        state=_state(member, entry, is_alive=process is not None),
        pid=process.pid if process else None,
        port=member.ports[0].number if member.ports else None,
        since_s=time.time() - entry.since if entry.since else None,
        memory_mb=_mb(process.memory_bytes()) if process else None,
        restarts=entry.restarts,
        log=shown(member.log),
    )


def _state(member: Member, entry: Entry, *, is_alive: bool) -> str:
    if isinstance(member, Part) and entry.state is State.UP:
        if not is_alive:
            return "down"
        return State.UP if member.is_healthy() else "not answering"
    return entry.state


def _jobs(settings: Settings, *, is_clickhouse_up: bool) -> Iterator[JobStatus]:
    """Every lane that must run or does, and the scorecard job."""
    activations = _activations(settings) if is_clickhouse_up else None
    cluster = Cluster(settings)
    try:
        jobs, lanes = cluster.jobs(), running_lanes(cluster)
    except ClusterError:
        for lane in _wanted(settings, activations, ()):
            yield _lane(lane, activations, "UNKNOWN")
        yield JobStatus(SCORECARD.name, "UNKNOWN")
        return
    for lane in sorted({*lanes, *_wanted(settings, activations, lanes)}):
        absent = "HELD" if obstacle(settings, Launch.of_lane(lane)) else "ABSENT"
        yield _of_job(cluster, _lane(lane, activations, absent), lanes.get(lane))
    yield _of_job(cluster, JobStatus(SCORECARD.name, "ABSENT"), jobs.get(SCORECARD.name))


def _activations(settings: Settings) -> list[Activation] | None:
    """None when ClickHouse does not say."""
    try:
        client = connect(settings)
        with one_line_errors(settings):
            return read_activations(client)
    except DatabaseError:
        return None


def _wanted(
    settings: Settings, activations: list[Activation] | None, running: Collection[Lane]
) -> list[Lane]:
    """The lanes that must run; while nobody knows, those that do, or the one a deployment begins with."""
    if activations is not None:
        return must_run(activations)
    return [] if running else [Lane(epoch=settings.attribution.epoch)]


def _lane(lane: Lane, activations: list[Activation] | None, state: str) -> JobStatus:
    role = ""
    if activations is not None:
        role = "superseded" if is_superseded(lane, activations) else "rebuilding"
        role = "active" if lane in must_run(activations) else role
    whom = "/".join(filter(None, (lane.tenant_id, lane.experiment_id))) or "everyone"
    return JobStatus(lane.name, state, whom, lane.epoch, role)


def _of_job(cluster: Cluster, absent: JobStatus, job: Job | None) -> JobStatus:
    if job is None:
        return absent
    found = replace(absent, state=job.state, id=job.id)
    try:
        newest_at_ms = cluster.checkpoints(job).newest_at_ms
        restarts = cluster.restarts(job)
    except ClusterError:
        return found
    age = time.time() - newest_at_ms / 1000 if newest_at_ms is not None else None
    return replace(found, restarts=restarts, checkpoint_age_s=age)


def _mb(count: int) -> int:
    return round(count / 2**20)
