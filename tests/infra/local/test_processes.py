"""A process is known by more than its id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from infra.local import processes
from infra.local.processes import ProcessId, free_ports, port_holder
from tests.waiting import eventually

pytestmark = pytest.mark.processes

Start = Callable[[str], subprocess.Popen[bytes]]

SLEEPER = "import signal; signal.pause()"
DEAF = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
)
PARENT = """
import subprocess, sys, signal
print(subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]).pid, flush=True)
signal.pause()
"""


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a Python program that leads a session of its own; all are gone after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def run(program: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True
        )
        started.append(child)
        return child

    yield run
    for child in started:
        child.kill()
        child.communicate()


def test_a_process_is_alive_until_it_ends(start: Start) -> None:
    child = start(SLEEPER)
    process = ProcessId.of(child.pid)
    assert process.is_alive()
    eventually(lambda: process.memory_bytes() > 1_000_000, "what was forked becomes the sleeper")
    assert 0 <= process.age_s() < 60
    child.kill()
    eventually(lambda: not process.is_alive(), "a killed process, even unreaped, is not alive")


def test_no_process_has_no_id() -> None:
    with pytest.raises(ProcessLookupError):
        ProcessId.of(2**22 + 1)


@pytest.mark.parametrize("difference", [{"started": 1}, {"boot": "another boot"}])
def test_a_reused_id_is_not_mistaken_and_never_stopped(start: Start, difference: dict[str, object]) -> None:
    child = start(SLEEPER)
    earlier = replace(ProcessId.of(child.pid), **difference)  # type: ignore[arg-type]
    assert not earlier.is_alive()
    assert earlier.memory_bytes() == 0
    earlier.stop(0.1)
    earlier.signal(signal.SIGKILL)
    assert child.poll() is None


def test_stopping_asks_first(start: Start) -> None:
    child = start(SLEEPER)
    process = ProcessId.of(child.pid)
    assert process.stop(10.0)
    assert not process.is_alive()


def test_what_does_not_listen_is_killed_after_the_deadline(start: Start) -> None:
    child = start(DEAF)
    assert child.stdout is not None
    child.stdout.readline()
    process = ProcessId.of(child.pid)
    assert not process.stop(0.2)
    assert not process.is_alive()


def test_what_a_dead_process_left_behind_is_stopped_with_it(start: Start) -> None:
    parent = start(PARENT)
    assert parent.stdout is not None
    orphan = psutil.Process(int(parent.stdout.readline()))
    process = ProcessId.of(parent.pid)
    parent.kill()
    parent.wait()
    assert orphan.is_running()
    process.stop(1.0)
    eventually(
        lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE, "the orphan ends as well"
    )


def test_who_holds_a_port_is_named() -> None:
    (port,) = free_ports(1)
    assert port_holder(port) == ""
    with socket.create_server(("127.0.0.1", port)):
        name = Path(f"/proc/{os.getpid()}/comm").read_text(encoding="utf-8").strip()
        assert port_holder(port) == f"pid {os.getpid()} ({name})"


def test_free_ports_are_distinct() -> None:
    assert len(set(free_ports(20))) == 20


def test_a_free_port_is_not_one_that_an_outgoing_connection_may_be_given() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    assert max(free_ports(200)) < first


def test_a_port_on_which_somebody_listens_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(processes, "PORTS", range(port, port + 1))
        with pytest.raises(OSError, match="fewer than 1 port"):
            free_ports(1)
