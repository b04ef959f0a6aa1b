"""What the supervisor promises, with parts as small as can be."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.settings import Settings, load
from infra.local import record as records
from infra.local.part import Member, Part, Port, Step, python
from infra.local.processes import ProcessId, free_ports
from infra.local.record import Entry, State
from infra.local.supervisor import Supervisor
from tests.waiting import eventually

pytestmark = pytest.mark.processes

SERVE = """
import pathlib, signal, sys
pathlib.Path(sys.argv[1]).touch()
signal.pause()
"""
RECORD = "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + '\\n')"
ON_TERM = """
import pathlib, signal, sys
def end(*_):
    open(sys.argv[2], "a").write(sys.argv[3] + "\\n")
    sys.exit()
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1]).touch()
signal.pause()
"""


class Small(Part):
    """A process that is healthy once it has made its file."""

    program = SERVE

    @property
    def file(self) -> Path:
        return self.settings.run_dir / f"{self.name}.up"

    def prepare(self) -> None:
        self.file.unlink(missing_ok=True)

    def command(self) -> list[str]:
        return python("-c", self.program, str(self.file), str(story(self.settings)), self.name)

    def is_healthy(self) -> bool:
        return self.file.exists()


class First(Small):
    name = "first"
    program = ON_TERM


class Second(Small):
    name = "second"
    needs = ("first",)
    program = ON_TERM


class Once(Step):
    name = "once"
    needs = ("first",)

    def command(self) -> list[str]:
        return python("-c", RECORD, str(story(self.settings)), self.name)


class Broken(Small):
    name = "first"
    program = "raise SystemExit(3)"


class Silent(Small):
    name = "first"
    program = "import signal; signal.pause()"
    deadline_s = 0.5


class Listening(Small):
    name = "first"
    number = 0

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port(self.number, "LIVELIFT_FIRST_PORT"),)


class Unstartable(Small):
    name = "first"

    def command(self) -> list[str]:
        return ["/nowhere/at/all"]


Supervise = Callable[..., Supervisor]


def story(settings: Settings) -> Path:
    """Where the parts write what happened, a line each."""
    return settings.run_dir / "story"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(environ={"LIVELIFT_RUN_DIR": str(tmp_path)})


@pytest.fixture
def supervise(settings: Settings) -> Iterator[Supervise]:
    """Makes supervisors that have taken over; the last one stops everything after the test."""
    made: list[Supervisor] = []

    def make(*kinds: type[Member]) -> Supervisor:
        assert settings.local is not None
        supervisor = Supervisor(settings, [kind(settings, settings.local) for kind in kinds])
        supervisor.take_over()
        made.append(supervisor)
        return supervisor

    yield make
    made[-1].stop()


def drive(
    supervisor: Supervisor, settings: Settings, what: str, done: Callable[[dict[str, Entry]], bool]
) -> None:
    """Let the supervisor work until its record says that something is so."""

    def look() -> bool:
        supervisor.tick()
        return done(records.read(settings).entries)

    eventually(look, what)


def are(state: State, *names: str) -> Callable[[dict[str, Entry]], bool]:
    return lambda entries: all(entries[name].state is state for name in names)


def process_of(settings: Settings, name: str) -> ProcessId:
    process = records.read(settings).entries[name].process
    assert process is not None
    return process


def test_a_part_starts_after_what_it_needs_is_up(supervise: Supervise, settings: Settings) -> None:
    supervisor = supervise(First, Second)

    def is_in_order(entries: dict[str, Entry]) -> bool:
        assert entries["second"].state is State.WAITING or entries["first"].state is State.UP
        return entries["second"].state is State.UP

    drive(supervisor, settings, "both are up", is_in_order)


def test_a_part_that_dies_is_started_again_and_counted(supervise: Supervise, settings: Settings) -> None:
    supervisor = supervise(First)
    drive(supervisor, settings, "the part is up", are(State.UP, "first"))
    before = process_of(settings, "first")
    os.kill(before.pid, signal.SIGKILL)
    drive(supervisor, settings, "its death is seen", are(State.FAILED, "first"))
    assert records.read(settings).entries["first"].reason == "died (killed by SIGKILL)"
    drive(supervisor, settings, "the part is up again", are(State.UP, "first"))
    assert records.read(settings).entries["first"].restarts == 1
    assert process_of(settings, "first") != before


def test_a_step_is_done_again_after_a_part_it_needs_died(supervise: Supervise, settings: Settings) -> None:
    supervisor = supervise(First, Once)
    drive(supervisor, settings, "the step is done", are(State.DONE, "once"))
    os.kill(process_of(settings, "first").pid, signal.SIGKILL)
    drive(supervisor, settings, "the step waits", are(State.WAITING, "once"))
    drive(supervisor, settings, "the step is done again", are(State.DONE, "once"))
    assert story(settings).read_text(encoding="utf-8").split() == ["once", "once"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Broken, "ended while starting (exit status 3)"),
        (Silent, "was not up within 0.5 s"),
        (Unstartable, "cannot be started: [Errno 2] No such file or directory: '/nowhere/at/all'"),
    ],
)
def test_a_part_that_does_not_come_up_says_why(
    supervise: Supervise, settings: Settings, kind: type[Member], reason: str
) -> None:
    supervisor = supervise(kind)
    drive(supervisor, settings, "the failure is seen", are(State.FAILED, "first"))
    assert records.read(settings).entries["first"].reason == reason
    assert records.read(settings).entries["first"].process is None


def test_a_taken_port_is_named_with_its_holder_and_its_setting(
    supervise: Supervise, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    monkeypatch.setattr(Listening, "number", port)
    with socket.create_server(("127.0.0.1", port)):
        supervisor = supervise(Listening)
        drive(supervisor, settings, "the failure is seen", are(State.FAILED, "first"))
    reason = records.read(settings).entries["first"].reason
    assert reason.startswith(f"needs port {port}, which pid {os.getpid()} (")
    assert reason.endswith("has: stop that or set LIVELIFT_FIRST_PORT")


def test_the_next_supervisor_takes_over_what_lives_and_does_the_steps_again(
    supervise: Supervise, settings: Settings
) -> None:
    drive(supervise(First, Once), settings, "the step is done", are(State.DONE, "once"))
    before = process_of(settings, "first")
    drive(supervise(First, Once), settings, "the step is done again", are(State.DONE, "once"))
    assert process_of(settings, "first") == before
    assert records.read(settings).round == 2


def test_stopping_goes_in_reverse_order(supervise: Supervise, settings: Settings) -> None:
    supervisor = supervise(First, Second)
    drive(supervisor, settings, "both are up", are(State.UP, "first", "second"))
    processes = [process_of(settings, name) for name in ("first", "second")]
    supervisor.stop()
    assert story(settings).read_text(encoding="utf-8").split() == ["second", "first"]
    assert not any(process.is_alive() for process in processes)
    assert are(State.STOPPED, "first", "second")(records.read(settings).entries)
