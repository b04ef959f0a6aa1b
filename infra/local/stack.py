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
from infra.local import java
from infra.local import record as records
from infra.local.flink import flink_home
from infra.local.members import MEMBERS, StackError, local_section, members
from infra.local.part import Member, python, shown
from infra.local.record import Entry, Record, State
from infra.local.supervisor import stop, taken_port

DEADLINE_S = 300.0
SUPERVISOR_START_S = 20.0
POLL_S = 0.1
SUPERVISOR_LOG = "supervisor.log"
KEPT = ("jars", "stamps", "stack.lock")
"""What `wipe` leaves: none of it is data."""

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
    _require_tools(settings)
    with _alone(settings):
        before = records.read(settings)
        was_supervised = before.is_supervised()
        if not was_supervised:
            _require_ports(members(settings, names), before)
            _start_supervisor(settings, names)
        else:
            assert before.supervisor is not None
            before.supervisor.signal(signal.SIGHUP)
        try:
            return _await_ready(settings, before.round, on_progress)
        except BaseException:
            if not was_supervised:
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
            if path.name not in KEPT:
                _delete(path)
        for uri in (settings.flink.checkpoint_dir, settings.flink.savepoint_dir):
            if uri.startswith("file://"):
                shutil.rmtree(uri.removeprefix("file://"), ignore_errors=True)


def _require_tools(settings: Settings) -> None:
    local_section(settings)
    try:
        java.executable()
    except java.JavaError as error:
        raise StackError(str(error)) from error
    flink_home()
    for name in ("kafka", "flink", "registry"):
        if not any((settings.jars_dir / name).glob("*.jar")):
            raise StackError(f"no jars in {settings.jars_dir / name}: run `make setup`")
    if not settings.attribution_jar.is_file():
        raise StackError(f"{settings.attribution_jar.relative_to(ROOT)} is not built: run `make setup`")


def _require_ports(all_members: list[Member], record: Record) -> None:
    """Name a taken port before anything is started; a port our own living part holds is not taken."""
    for member in all_members:
        entry = record.entries.get(member.name)
        if entry and entry.process and entry.process.is_alive():
            continue
        taken = taken_port(member)
        if taken:
            raise StackError(f"{member.name} {taken}")


def _start_supervisor(settings: Settings, names: tuple[str, ...]) -> None:
    settings.logs_dir.mkdir(parents=True, exist_ok=True)
    with (settings.logs_dir / SUPERVISOR_LOG).open("ab") as log:
        subprocess.Popen(
            python("-m", "infra.local.supervisor", *names),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _await_ready(settings: Settings, last_round: int, on_progress: OnProgress) -> Record:
    deadline = time.monotonic() + DEADLINE_S
    started = time.monotonic()
    while True:
        record = records.read(settings)
        on_progress(record)
        if record.round > last_round:
            if not record.is_supervised():
                raise StackError(f"the supervisor died: see {shown(settings.logs_dir / SUPERVISOR_LOG)}")
            entries = record.entries.values()
            failed = next((entry for entry in entries if entry.state is State.FAILED), None)
            if failed is not None:
                raise StackError(
                    f"{failed.name} {failed.reason}: see {shown(settings.logs_dir / f'{failed.name}.log')}"
                )
            if all(entry.is_ready() for entry in entries):
                return record
        elif time.monotonic() > started + SUPERVISOR_START_S:
            raise StackError(
                f"the supervisor did not answer: see {shown(settings.logs_dir / SUPERVISOR_LOG)}"
            )
        if time.monotonic() > deadline:
            waiting = ", ".join(entry.name for entry in record.entries.values() if not entry.is_ready())
            raise StackError(f"not up within {DEADLINE_S:.0f} s, still waiting for {waiting}")
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
    with (settings.run_dir / "stack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
