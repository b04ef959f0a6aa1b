"""The whole stack of one machine: what it is made of, how it comes up and how it goes down."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from config.settings import ROOT, Settings
from infra.local import record as records
from infra.local.members import MEMBERS, StackError, members
from infra.local.part import Member, python, shown
from infra.local.processes import ProcessId
from infra.local.record import Entry, Record, State
from infra.local.supervisor import stop, taken_port

DEADLINE_S = 300.0
POLL_S = 0.1
SUPERVISOR_LOG = "supervisor.log"
LOCK = "stack.lock"
KEPT = ("jars", "stamps", LOCK)
"""What `wipe` leaves, besides folders of other stacks: none of it is data."""

OnProgress = Callable[[Record], None]


def up(
    settings: Settings, on_progress: OnProgress = lambda record: None, *, names: tuple[str, ...] = ()
) -> Record:
    """Start what is missing and return once every part answers and every step is done.

    Args:
        settings: Those the environment names too: the parts read them there for themselves.
        on_progress: Called with the record each time it is read while waiting.
        names: Only these parts and steps; all by default.

    Raises:
        StackError: Something needed is missing, a port is taken, or a part did not come up. What this call
            started is stopped again; what ran before stays.
    """
    wanted = members(settings, names)
    _require_tools(wanted)
    with _alone(settings):
        before = records.read(settings)
        if before.supervisor is not None and before.supervisor.is_alive():
            before.supervisor.signal(signal.SIGHUP)
            return _await_ready(settings, before.supervisor, before.round, on_progress)
        _require_ports(wanted, before)
        try:
            supervisor = _start_supervisor(settings, names)
            return _await_ready(settings, supervisor, before.round, on_progress)
        except BaseException:
            _stop_all(settings)
            raise


def down(settings: Settings) -> list[str]:
    """Stop everything, in reverse order of start; harmless when nothing runs.

    Returns:
        The names of the parts that ran.

    Raises:
        StackError: The settings have no section ``local``.
    """
    with _alone(settings):
        return _stop_all(settings)


def wipe(settings: Settings) -> None:
    """Delete all data, logs and checkpoints of this deployment; jars and compiled code stay.

    Raises:
        StackError: The stack still runs.
    """
    with _alone(settings):
        if any(_living(records.read(settings))):
            raise StackError("the stack runs: `livelift down` first")
        for path in settings.run_dir.glob("*"):
            if path.name not in KEPT and not (path / LOCK).exists():
                _delete(path)
        for uri in (settings.flink.checkpoint_dir, settings.flink.savepoint_dir):
            if uri.startswith("file://"):
                shutil.rmtree(uri.removeprefix("file://"), ignore_errors=True)


def _require_tools(all_members: list[Member]) -> None:
    lack = next(filter(None, (member.lacks() for member in all_members)), "")
    if lack:
        raise StackError(lack)


def _require_ports(all_members: list[Member], record: Record) -> None:
    """Name a taken port before anything is started; a port our own living part holds is not taken."""
    for member in all_members:
        entry = record.entries.get(member.name)
        if entry and entry.process and entry.process.is_alive():
            continue
        taken = taken_port(member)
        if taken:
            raise StackError(f"{member.name} {taken}")


def _start_supervisor(settings: Settings, names: tuple[str, ...]) -> ProcessId:
    settings.logs_dir.mkdir(parents=True, exist_ok=True)
    with (settings.logs_dir / SUPERVISOR_LOG).open("ab") as log:
        child = subprocess.Popen(
            python("-m", "infra.local.supervisor", *names),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return ProcessId.of(child.pid)


def _await_ready(
    settings: Settings, supervisor: ProcessId, last_round: int, on_progress: OnProgress
) -> Record:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        record = records.read(settings)
        on_progress(record)
        entries = record.entries.values()
        if record.round > last_round:
            failed = next((entry for entry in entries if entry.state is State.FAILED), None)
            if failed is not None:
                log = shown(settings.logs_dir / f"{failed.name}.log")
                raise StackError(f"{failed.name} {failed.reason}: see {log}")
            if all(entry.is_ready() for entry in entries):
                return record
        if not supervisor.is_alive():
            raise StackError(f"the supervisor died: see {shown(settings.logs_dir / SUPERVISOR_LOG)}")
        if time.monotonic() > deadline:
            waiting = ", ".join(entry.name for entry in entries if not entry.is_ready())
            raise StackError(
                f"not up within {DEADLINE_S:g} s, still waiting for {waiting or 'the supervisor'}"
            )
        time.sleep(POLL_S)


def _stop_all(settings: Settings) -> list[str]:
    record = records.read(settings)
    running = [entry.name for entry in _living(record)]
    if record.supervisor is not None:
        record.supervisor.stop(sum(member.stop_deadline_s for member in MEMBERS) + 5.0)
    # A supervisor that was killed leaves its parts; this finds them by what it wrote down.
    record = records.read(settings)
    for member in reversed(members(settings)):
        stop(member, record.entries.get(member.name, Entry(member.name)))
    return running


def _living(record: Record) -> Iterator[Entry]:
    return (entry for entry in record.entries.values() if entry.process and entry.process.is_alive())


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Two commands that start and stop would undo each other; the second waits for the first."""
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    with (settings.run_dir / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
