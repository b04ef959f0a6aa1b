"""How the stack is now: what the supervisor wrote down, checked against what answers."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from config.settings import Settings
from infra.local import jobs
from infra.local import record as records
from infra.local.jobs import Job, JobError
from infra.local.members import members
from infra.local.part import Member, Part, shown
from infra.local.record import Entry, Record, State


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
class Report:
    """Every part and job."""

    parts: tuple[PartStatus, ...]
    jobs: tuple[Job, ...]

    @property
    def down(self) -> tuple[str, ...]:
        """Names of what is not as it should be."""
        parts = [part.name for part in self.parts if not part.is_well()]
        return (*parts, *(job.name for job in self.jobs if job.state != "RUNNING"))

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "parts": [asdict(part) for part in self.parts],
            "jobs": [asdict(job) for job in self.jobs],
            "down": list(self.down),
        }


def report(settings: Settings) -> Report:
    """Ask every part and both jobs how they are.

    Raises:
        StackError: The settings have no section ``local``.
    """
    record = records.read(settings)
    parts = [_supervisor(settings, record)]
    for member in members(settings):
        entry = record.entries.get(member.name, Entry(member.name, State.STOPPED))
        parts.append(_part(member, entry))
    return Report(tuple(parts), tuple(_jobs(settings)))


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


def _jobs(settings: Settings) -> list[Job]:
    try:
        running = jobs.running(settings)
        return [
            jobs.with_details(settings, running[name]) if name in running else Job(name, "", "ABSENT")
            for name in jobs.MODULES
        ]
    except JobError:
        return [Job(name, "", "UNKNOWN") for name in jobs.MODULES]


def _mb(count: int) -> int:
    return round(count / 2**20)
