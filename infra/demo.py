"""The demo's run against a stack that is up: simulated events, freshness markers, frames to look at.

``livelift demo`` brings its own stack up and down around it; tests run it against theirs. At the end
``odd_cases`` says what became of everything that was sent wrong.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
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
from infra.views import ledger_in_view, slots_in_view
from schemas.events import EventKind
from udfs.attribution.reference import LedgerEntry, SlotKey

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


class OddCase(NamedTuple):
    """Something that goes wrong: how often it was sent, and how often it is in a view, under which name.

    The two need not be equal: a copy of a bad record is bad too, and a late unit has several late records.
    """

    name: str
    sent: int
    shown: int
    shown_as: str


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


def odd_cases(settings: Settings, counts: Counts, tenant_ids: Collection[str]) -> list[OddCase]:
    """What became of everything odd that was sent, once all of it is in the views.

    Args:
        tenant_ids: The scenario's tenants.

    Raises:
        DatabaseError: ClickHouse does not answer.
    """
    entries = {key: entry for key, entry in ledger_in_view(settings).items() if key.tenant_id in tenant_ids}
    ledger = sum(entries.values(), LedgerEntry())
    undefined = ledger.unknown_definition + sum(
        entry.waiting for key, entry in entries.items() if key.topic.endswith(f".{EventKind.ASSIGNMENTS}")
    )
    units = _units_by_class(
        (key, slot.n) for key, slot in slots_in_view(settings).items() if key.tenant_id in tenant_ids
    )
    sent = counts.oddities
    return [
        OddCase("users seen in two variants", sent["crossed"], units["crossed"], "crossed"),
        OddCase("bots, in each of their experiments", sent["bots"], units["bot"], "bot"),
        OddCase("users who were offline", sent["late_units"], ledger.late, "counted, late"),
        OddCase("sent twice", sent["duplicates"], ledger.duplicate, "duplicate"),
        OddCase("too late", sent["too_late"], ledger.too_late, "too_late"),
        OddCase("from the future", sent["from_future"], ledger.from_future, "from_future"),
        OddCase("no record at all", sent["unreadable"], ledger.unreadable, "unreadable"),
        OddCase("values beyond bounds", sent["bad_values"], ledger.bad_value, "bad_value"),
        OddCase("unknown variants", sent["unknown_variants"], ledger.unknown_variant, "unknown_variant"),
        OddCase("assigned after the end", counts.after_end, ledger.ended, "ended"),
        OddCase(
            "assigned before the definition came",
            counts.before_definition,
            counts.before_definition - undefined,
            "counted",
        ),
    ]


def _units_by_class(exposures: Iterable[tuple[SlotKey, int]]) -> Counter[str]:
    """Users of every experiment by class; a user of two experiments is in each."""
    units: Counter[str] = Counter()
    for key, n in exposures:
        if not key.metric_id and not key.segment:
            units[key.unit_class] += n
    return units


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
