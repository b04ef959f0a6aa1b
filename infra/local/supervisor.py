"""Keeps the parts of one machine running: ``python -m infra.local.supervisor [PART…]``.

It starts what is missing once its needs are met, watches it, starts again what died, and on SIGTERM stops
everything in reverse order. SIGHUP means: bring up what is missing now, and do the steps again. If it is
killed itself the parts go on, and the next supervisor takes them over by process id and start time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import FrameType

from config.settings import Settings, load
from infra.local import record as records
from infra.local.members import members
from infra.local.part import Member, Part, Step
from infra.local.processes import ProcessId, port_holder
from infra.local.record import Entry, Record, State

TICK_S = 0.1
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0
"""A part that was up this long begins with the shortest pause again."""


class Supervisor:
    """Drives every part and step towards up and done.

    Args:
        members: In dependency order; each may need only earlier ones.
        clock: Seconds of the epoch.
    """

    def __init__(
        self, settings: Settings, members: Sequence[Member], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._members = members
        self._clock = clock
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._pauses: dict[str, float] = {}
        self._is_stopping = False
        self._is_asked = False
        self._record = Record()

    def run(self) -> None:
        """Supervise until SIGTERM or SIGINT, then stop everything."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_ask)
        self.take_over()
        while not self._is_stopping:
            if self._is_asked:
                self._is_asked = False
                self._begin_round()
            self.tick()
            time.sleep(TICK_S)
        self.stop()

    def take_over(self) -> None:
        """Go on from what an earlier supervisor left: live parts stay, everything else starts."""
        left = records.read(self._settings)
        self._record = Record(
            ProcessId.of(os.getpid()), left.round, settings=records.fingerprints(self._settings)
        )
        for member in self._members:
            entry = left.entries.get(member.name, Entry(member.name))
            self._record = self._record.with_entry(self._taken_over(member, entry))
        self._begin_round()

    def tick(self) -> None:
        """Look at every member once and take its next step."""
        for member in self._members:
            if self._is_stopping:
                return
            entry = self._record.entries[member.name]
            match entry.state:
                case State.WAITING if self._needs_met(member):
                    self._start(member, entry)
                case State.FAILED if self._clock() >= entry.since + self._pauses.get(member.name, 0.0):
                    self._set(entry, State.WAITING, reason=entry.reason)
                case State.STARTING:
                    self._watch_start(member, entry)
                case State.UP:
                    self._watch(member, entry)
                case _:
                    pass

    def stop(self) -> None:
        """Stop everything, last started first."""
        for member in reversed(self._members):
            entry = self._record.entries[member.name]
            stop(member, entry)
            self._set(entry, State.STOPPED, process=None)

    def _begin_round(self) -> None:
        """Do the steps anew, and what failed without its pause."""
        for member in self._members:
            entry = self._record.entries[member.name]
            if entry.state is State.FAILED or (isinstance(member, Step) and entry.state is State.DONE):
                self._record = self._record.with_entry(replace(entry, state=State.WAITING, reason=""))
        self._pauses.clear()
        self._record = replace(self._record, round=self._record.round + 1)
        records.write(self._settings, self._record)

    def _taken_over(self, member: Member, entry: Entry) -> Entry:
        if entry.process and isinstance(member, Part) and entry.process.is_alive():
            return entry
        stop(member, entry)
        return Entry(member.name, since=self._clock(), restarts=entry.restarts)

    def _needs_met(self, member: Member) -> bool:
        return all(self._record.entries[need].is_ready() for need in member.needs)

    def _start(self, member: Member, entry: Entry) -> None:
        taken = taken_port(member)
        if taken:
            self._fail(member, entry, taken)
            return
        member.log.parent.mkdir(parents=True, exist_ok=True)
        try:
            member.prepare()
            with member.log.open("ab") as log:
                child = subprocess.Popen(
                    member.command(),
                    cwd=self._settings.run_dir,
                    env=member.environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            self._fail(member, entry, f"cannot be started: {error}")
            return
        self._children[member.name] = child
        self._set(entry, State.STARTING, process=ProcessId.of(child.pid), reason="")

    def _watch_start(self, member: Member, entry: Entry) -> None:
        if self._has_ended(member, entry):
            status = self._exit_status(member)
            if isinstance(member, Step) and status == 0:
                self._set(entry, State.DONE, process=None)
            else:
                stop(member, entry)
                self._fail(member, entry, f"ended while starting ({_meaning(status)})")
        elif isinstance(member, Part) and member.is_healthy():
            self._set(entry, State.UP)
        elif self._clock() > entry.since + member.deadline_s:
            stop(member, entry)
            self._fail(member, entry, f"was not {_goal(member)} within {member.deadline_s:g} s")

    def _watch(self, member: Member, entry: Entry) -> None:
        if not self._has_ended(member, entry):
            return
        reason = f"died ({_meaning(self._exit_status(member))})"
        if self._clock() > entry.since + STEADY_S:
            self._pauses.pop(member.name, None)
        stop(member, entry)
        self._fail(member, replace(entry, restarts=entry.restarts + 1), reason)
        self._redo_steps_after(member)

    def _redo_steps_after(self, member: Member) -> None:
        """What a step did may have died with the part: a new JobManager knows of no job."""
        for each in self._members:
            entry = self._record.entries[each.name]
            if isinstance(each, Step) and member.name in each.needs and entry.state is State.DONE:
                self._set(entry, State.WAITING)

    def _has_ended(self, member: Member, entry: Entry) -> bool:
        child = self._children.get(member.name)
        if child is not None and entry.process is not None and child.pid == entry.process.pid:
            return child.poll() is not None
        return entry.process is None or not entry.process.is_alive()

    def _exit_status(self, member: Member) -> int | None:
        child = self._children.pop(member.name, None)
        return child.returncode if child else None

    def _fail(self, member: Member, entry: Entry, reason: str) -> None:
        pause = self._pauses.get(member.name, 0.0)
        self._pauses[member.name] = min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, pause * 2))
        print(f"{time.strftime('%F %T')} {member.name} {reason}", flush=True)
        self._set(entry, State.FAILED, process=None, reason=reason)

    def _set(self, entry: Entry, state: State, **changes: object) -> None:
        changed = replace(entry, state=state, since=self._clock(), **changes)  # type: ignore[arg-type]
        self._record = self._record.with_entry(changed)
        records.write(self._settings, self._record)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True

    def _on_ask(self, number: int, frame: FrameType | None) -> None:
        self._is_asked = True


def stop(member: Member, entry: Entry) -> None:
    """Stop what an entry names, and whatever it left behind; nothing happens if it is gone."""
    if entry.process is not None:
        entry.process.stop(member.stop_deadline_s)


def taken_port(member: Member) -> str:
    """Which port of a part someone else listens on, in words that follow the part's name; else empty."""
    for port in member.ports:
        holder = port_holder(port.number)
        if holder:
            return f"needs port {port.number}, which {holder} has: stop that or set {port.setting}"
    return ""


def _goal(member: Member) -> str:
    return "up" if isinstance(member, Part) else "done"


def _meaning(status: int | None) -> str:
    if status is None:
        return "exit status unknown"
    return f"exit status {status}" if status >= 0 else f"killed by {signal.Signals(-status).name}"


def main() -> None:
    """Supervise the stack of the settings in the environment."""
    settings = load()
    Supervisor(settings, members(settings, tuple(sys.argv[1:]))).run()


if __name__ == "__main__":
    main()
