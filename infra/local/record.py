"""What the supervisor writes down and everyone else reads: ``<run_dir>/stack.json``."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

from config.settings import Settings
from infra.local.processes import ProcessId


class State(StrEnum):
    """How a part or a step is."""

    WAITING = "waiting"
    STARTING = "starting"
    UP = "up"
    DONE = "done"
    FAILED = "failed"
    """It ended or did not come up in time; it is tried again after a pause."""
    STOPPED = "stopped"


@dataclass(frozen=True)
class Entry:
    """One part or step; ``since`` is when it entered its state, in seconds of the epoch."""

    name: str
    state: State = State.WAITING
    since: float = 0.0
    process: ProcessId | None = None
    restarts: int = 0
    reason: str = ""
    """Why it failed, in words that follow the part's name."""

    def is_ready(self) -> bool:
        """Whether those that need it may start."""
        return self.state in (State.UP, State.DONE)


@dataclass(frozen=True)
class Record:
    """The stack as its supervisor last saw it."""

    supervisor: ProcessId | None = None
    round: int = 0
    """Grows each time the supervisor has been told to bring up what is missing."""
    entries: dict[str, Entry] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    """The supervisor's, by ``fingerprints``."""

    def with_entry(self, entry: Entry) -> Record:
        """The record with one entry replaced or added."""
        return replace(self, entries={**self.entries, entry.name: entry})

    def is_supervised(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        return self.supervisor is not None and self.supervisor.is_alive()


def fingerprints(settings: Settings) -> dict[str, str]:
    """A hash of each section of the settings, for the record is no place for secrets.

    The database's password is left out: a first start makes it only after its supervisor read the settings.
    """
    settings = replace(settings, clickhouse=replace(settings.clickhouse, password=""))
    return {
        each.name: sha256(repr(getattr(settings, each.name)).encode()).hexdigest()[:16]
        for each in fields(settings)
    }


def record_file(settings: Settings) -> Path:
    """Where the record of this deployment is."""
    return settings.run_dir / "stack.json"


def read(settings: Settings) -> Record:
    """The record; an empty one when there is none."""
    try:
        content = json.loads(record_file(settings).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Record()
    entries = [
        Entry(**{**each, "state": State(each["state"]), "process": _process(each["process"])})
        for each in content["entries"]
    ]
    return Record(
        _process(content["supervisor"]),
        content["round"],
        {each.name: each for each in entries},
        content.get("settings", {}),  # an older release wrote none
    )


def write(settings: Settings, record: Record) -> None:
    """Replace the record; a reader sees the old one or the new one."""
    content = {
        "supervisor": asdict(record.supervisor) if record.supervisor else None,
        "round": record.round,
        "entries": [asdict(entry) for entry in record.entries.values()],
        "settings": record.settings,
    }
    file = record_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(f".{os.getpid()}.draft")
    draft.write_text(json.dumps(content, indent=1), encoding="utf-8")
    draft.rename(file)


def _process(content: dict[str, Any] | None) -> ProcessId | None:
    return ProcessId(**content) if content else None
