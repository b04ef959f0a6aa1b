"""The whole stack of one machine: what it is made of, how it comes up and how it goes down."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from config.settings import ROOT, Settings
from infra.local import record as records
from infra.local.members import MEMBERS, StackError, members
from infra.local.part import Member, python, shown
from infra.local.processes import ProcessId
from infra.local.record import Entry, Record, State
from infra.local.supervisor import stop, taken_port

DEADLINE_S = 300.0
POLL_S = 0.1
STOPPED_WITHIN_S = sum(member.stop_deadline_s for member in MEMBERS) + 5.0
"""A supervisor and all its parts."""
SUPERVISOR_LOG = "supervisor.log"
LOCK = "stack.lock"
MADE = (
    *("broker", "registry", "clickhouse", "flink", "checkpoints", "savepoints", "logs/*.log*"),
    *("stack.*.draft", "jobs.lock", "rebuild.lock", "console.png", "hs_err_pid*.log"),
)
"""What the parts and the commands make in the folder of a stack, besides the record and the token."""

KEPT = ("jars", "stamps", "bench-results", LOCK)
"""What is expected to stay, besides folders of other stacks: none of it is data."""

OF_JOBS = ("livelift-attribution*", "livelift-scorecard")
"""The folders our jobs make where checkpoints and savepoints are kept (``Launch.name``)."""

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
        StackError: Something needed is missing, a port is taken, or a part did not come up; or a stack runs
            that was started with other settings. What this call started is stopped again, also when SIGTERM
            ends it; what ran before stays.
    """
    wanted = members(settings, names)
    _require_tools(wanted)
    with _alone(settings):
        before = records.read(settings)
        _refuse_other_settings(settings, before)
        if before.supervisor is not None and before.supervisor.is_alive():
            before.supervisor.signal(signal.SIGHUP)
            return _await_ready(settings, before.supervisor, before.round, on_progress)
        _require_ports(wanted, before)
        with _sigterm_heard() as heard:
            supervisor = _start_supervisor(settings, names)
            try:
                return _await_ready(settings, supervisor, before.round, on_progress, heard)
            except BaseException:
                # It may not have written down yet that it runs.
                supervisor.stop(STOPPED_WITHIN_S)
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

    Only what a stack makes itself is deleted, and only where one has run. Whatever else lies in the folder
    stays, and is named on stderr.

    Raises:
        StackError: The stack still runs, its folder is one that others use, or something cannot be deleted.
    """
    _refuse_broad(settings.run_dir)
    with _alone(settings):
        if any(_living(records.read(settings))):
            raise StackError("the stack runs: `livelift down` first")
        try:
            if records.record_file(settings).exists():
                _delete_made(settings)
        except OSError as error:
            raise StackError(f"cannot delete {error.filename}: {error.strerror}") from error
        left = sorted(path.name for path in settings.run_dir.iterdir() if not _is_kept(path))
    if left:
        print(f"not made by the stack and left in {settings.run_dir}: {', '.join(left)}", file=sys.stderr)


def _refuse_broad(folder: Path) -> None:
    for inside in (ROOT, Path.home()):
        if inside.resolve().is_relative_to(folder):
            raise StackError(f"run_dir is {folder}, which holds {inside}: nothing is deleted there")


def _delete_made(settings: Settings) -> None:
    """The record goes last: without it what is left would be nobody's."""
    for path in _made(settings):
        _delete(path)
    token = settings.run_dir / settings.clickhouse.password_file
    if settings.clickhouse.password_file and token.is_relative_to(settings.run_dir):
        token.unlink(missing_ok=True)
    for folder in (settings.logs_dir, token.parent):
        with suppress(OSError):  # it is not there, or somebody else's files are in it
            folder.rmdir()
    records.record_file(settings).unlink()


def _made(settings: Settings) -> Iterator[Path]:
    """What a stack made, also where it keeps checkpoints elsewhere than in its folder."""
    for pattern in MADE:
        yield from settings.run_dir.glob(pattern)
    for uri in (settings.flink.checkpoint_dir, settings.flink.savepoint_dir):
        if uri.startswith("file://"):
            folder = Path(unquote(urlsplit(uri).path))
            for pattern in OF_JOBS:
                yield from folder.glob(pattern)


def _is_kept(path: Path) -> bool:
    return path.name in KEPT or (path / LOCK).exists()


def _refuse_other_settings(settings: Settings, running: Record) -> None:
    """The running parts were told their settings when they were started, and would not learn of others."""
    if not running.is_supervised() and not any(_living(running)):
        return
    today = records.fingerprints(settings)
    others = [name for name, of_running in running.settings.items() if today.get(name) != of_running]
    if others:
        raise StackError(
            f"a stack runs here that was started with other settings ({', '.join(others)}): "
            "`livelift down` first, or say `livelift up` with the settings it has"
        )


@contextmanager
def _sigterm_heard() -> Iterator[list[int]]:
    """Not empty once SIGTERM has come, which by itself would end Python without any clean-up."""
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        yield heard
    finally:
        signal.signal(signal.SIGTERM, before)


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
    _make(settings.logs_dir)
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
    settings: Settings,
    supervisor: ProcessId,
    last_round: int,
    on_progress: OnProgress,
    heard: Sequence[int] = (),
) -> Record:
    """Return once all is ready; a signal that was heard meanwhile ends the process with its number."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        if heard:
            sys.exit(128 + heard[0])
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
        record.supervisor.stop(STOPPED_WITHIN_S)
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
    _make(settings.run_dir)
    try:
        lock = (settings.run_dir / LOCK).open("w")
    except OSError as error:
        raise StackError(f"cannot write {error.filename}: {error.strerror}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StackError(
            f"cannot make the folder {folder}: {error.strerror} (set LIVELIFT_RUN_DIR)"
        ) from error
