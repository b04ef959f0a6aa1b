"""The demo's run against a stack that is up: simulated events, freshness markers, frames to look at.

``livelift demo`` brings its own stack up and down around it; tests run it against theirs.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from threading import Event, Thread
from typing import NamedTuple

from config.settings import Settings
from infra.clickhouse import DatabaseError
from infra.freshness import TENANT as PROBE_TENANT
from infra.freshness import Freshness, FreshnessProbe
from infra.local import record as records
from infra.results import Question, Row, read_results
from infra.scenario import Scenario
from infra.simulation import Counts, Simulation, run

FRAME_EVERY_S = 1.0


class Frame(NamedTuple):
    """What there is to see at one moment of the run."""

    seconds: float
    counts: Counts
    results: list[Row]
    note: str


class Outcome(NamedTuple):
    """What was sent and how fresh the results were while it was."""

    counts: Counts
    freshness: Freshness


def stream(
    settings: Settings,
    scenario: Scenario,
    *,
    on_frame: Callable[[Frame], None],
    kill_taskmanager_after_s: float | None = None,
) -> Outcome:
    """Sends a scenario's events at its rate while markers measure freshness; returns when all are delivered.

    Args:
        on_frame: Called about once a second.
        kill_taskmanager_after_s: When to kill -9 the TaskManager, which the supervisor starts again.

    Raises:
        DefinitionError, BrokerError, RegistryError: As ``simulation.run``.
        RuntimeError: Freshness could not be measured.
    """
    simulation = Simulation(scenario, int(time.time() * 1000))
    sender = _Sender(settings, simulation)
    began = time.monotonic()
    note = ""
    with FreshnessProbe(settings) as probe:
        sender.start()
        try:
            while sender.is_alive():
                seconds = time.monotonic() - began
                if kill_taskmanager_after_s is not None and seconds > kill_taskmanager_after_s and not note:
                    kill_taskmanager(settings)
                    note = f"TaskManager killed at {seconds:.0f} s"
                on_frame(Frame(seconds, simulation.counts, _results(settings), note))
                sender.join(FRAME_EVERY_S)
        finally:
            sender.stop()
    sender.raise_for_failure()
    return Outcome(simulation.counts, probe.result())


def kill_taskmanager(settings: Settings) -> None:
    """Kills the TaskManager of the local stack as a crash would.

    Raises:
        LookupError: There is none.
    """
    entry = records.read(settings).entries.get("taskmanager")
    if entry is None or entry.process is None:
        raise LookupError("no TaskManager runs here")
    entry.process.signal(signal.SIGKILL)


def _results(settings: Settings) -> list[Row]:
    """What analysts would see now; nothing where ClickHouse is away for a moment."""
    try:
        rows = read_results(settings, Question())
    except DatabaseError:
        return []
    return [row for row in rows if row["tenant_id"] != PROBE_TENANT]


class _Sender(Thread):
    """The simulation in a thread of its own; its failure is kept for ``raise_for_failure``."""

    def __init__(self, settings: Settings, simulation: Simulation) -> None:
        super().__init__(name="simulation")
        self._settings = settings
        self._simulation = simulation
        self._is_over = Event()
        self._failure: Exception | None = None

    def run(self) -> None:
        try:
            run(self._settings, self._simulation, stop=self._is_over)
        except Exception as error:  # a thread has nobody to raise to
            self._failure = error

    def stop(self) -> None:
        """End early, or wait for the end."""
        self._is_over.set()
        self.join()

    def raise_for_failure(self) -> None:
        """Raise what ended the simulation, if anything did."""
        if self._failure is not None:
            raise self._failure
