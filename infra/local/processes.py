"""Processes known by id and start time, so that a reused id is never mistaken for ours, let alone killed."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

POLL_S = 0.05
PORTS = range(20_000, 30_000)
"""Linux gives outgoing connections those from 32,768 on, unless it is told otherwise."""


@dataclass(frozen=True)
class ProcessId:
    """One process of this boot; equal ids name the same process, whatever happened since."""

    pid: int
    started: int
    """Clock ticks from boot to the process's start."""
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """The process that has this id now.

        Raises:
            ProcessLookupError: There is none.
        """
        started = _started(pid)
        if started is None:
            raise ProcessLookupError(pid)
        return cls(pid, started, _boot())

    def is_alive(self) -> bool:
        """Whether exactly this process still runs; a zombie does not."""
        return self.boot == _boot() and self.started == _started(self.pid)

    def age_s(self) -> float:
        """Seconds since it was started."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.started / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self) -> int:
        """Resident memory of the process and everything it started; 0 when it is gone."""
        return sum(_resident(process) for process in self._family())

    def signal(self, number: signal.Signals) -> None:
        """Signal this process, if it is still there."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def stop(self, deadline_s: float) -> bool:
        """End the process and what it left behind: SIGTERM, and SIGKILL once the deadline has passed.

        Returns:
            Whether it went on SIGTERM.
        """
        family = list(self._family())
        self.signal(signal.SIGTERM)
        went = self._is_gone_within(deadline_s)
        if not went:
            self.signal(signal.SIGKILL)
            self._is_gone_within(5.0)
        _kill(family)
        _kill(list(self._family()))
        return went

    def _is_gone_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.is_alive():
            if time.monotonic() > deadline:
                return False
            _reap(self.pid)
            time.sleep(POLL_S)
        return True

    def _family(self) -> Iterator[psutil.Process]:
        """The process and its session: every part leads a session of its own, which outlives its leader."""
        if self.boot != _boot() or _started(self.pid) not in (self.started, None):
            return
        for process in psutil.process_iter():
            with suppress(ProcessLookupError, PermissionError, psutil.Error):
                if os.getsid(process.pid) == self.pid and _started(process.pid) is not None:
                    yield process


def port_holder(port: int) -> str:
    """Who listens on a TCP port: ``pid 123 (java)``, or that it is hidden; empty when nobody does."""
    listening = [
        connection
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    ]
    for connection in listening:
        if connection.pid:
            with suppress(psutil.Error):
                return f"pid {connection.pid} ({psutil.Process(connection.pid).name()})"
    return "another user's process" if listening else ""


def free_ports(count: int) -> list[int]:
    """Distinct TCP ports of the loopback interface that were free a moment ago and are given to no outgoing
    connection, which could have one before whoever asked for it listens.

    Raises:
        OSError: There are not so many.
    """
    free: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", port))
            free.append(port)
        if len(free) == count:
            return free
    raise OSError(f"fewer than {count} ports of {PORTS[0]} to {PORTS[-1]} are free")


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=3.0)


def _reap(pid: int) -> None:
    """A child that died stays a zombie until it is asked about; someone else's child is not ours to ask."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _started(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field, the name in parentheses, may itself hold spaces and parentheses.
    state, *rest = text.rpartition(")")[2].split()
    return None if state in "ZX" else int(rest[18])


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
