"""The demo's run against a stack that is up: simulated events, freshness markers, frames to look at.

``livelift demo`` brings its own stack up and down around it; tests run it against theirs. At the end
``odd_cases`` says what became of everything that was sent wrong.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from threading import Event, Thread
from typing import NamedTuple

from config.settings import Settings
from infra.clickhouse import DatabaseError
from infra.decisions import read_decisions
from infra.freshness import TENANT as PROBE_TENANT
from infra.freshness import Freshness, FreshnessProbe
from infra.local import record as records
from infra.results import Question, Row, read_results
from infra.scenario import Scenario, Target
from infra.simulation import Counts, Simulation, run
from infra.views import ledger_in_view, slots_in_view
from schemas.events import EventKind
from udfs.attribution.reference import LedgerEntry, SlotKey

FRAME_EVERY_S = 1.0

HARMFUL = Target("globex", "new-renderer", "faster", "frame_time")
"""What does harm in the demo's scenario, to a guardrail that stops; every other experiment is harmless."""
STOPPED_WITHIN_S = 60.0
ENOUGH_EVENTS = 30_000
"""Of the whole scenario; with fewer the harm need not be sure before they end."""


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
    decided: Decided


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
    decided = Decided(settings, {tenant.tenant_id for tenant in scenario.tenants})
    with FreshnessProbe(settings) as probe:
        sender.start()
        try:
            while sender.is_alive():
                seconds = time.monotonic() - began
                if kill_taskmanager_after_s is not None and seconds > kill_taskmanager_after_s and not note:
                    kill_taskmanager(settings)
                    note = f"TaskManager killed at {seconds:.0f} s"
                decided.look()
                on_frame(Frame(seconds, simulation.counts, _results(settings), note))
                sender.join(FRAME_EVERY_S)
        finally:
            sender.stop()
    sender.raise_for_failure()
    return Outcome(simulation.counts, probe.result(), decided)


class Decided:
    """The stop decisions of a run's tenants, and how long after its crossing each could first be read."""

    def __init__(self, settings: Settings, tenant_ids: Collection[str]) -> None:
        self._settings = settings
        self._tenant_ids = tenant_ids
        self.stopped: dict[str, float] = {}
        """Seconds from the crossing of the boundary, by ``tenant/experiment``."""

    def look(self) -> None:
        """See what is new; nothing where ClickHouse is away for a moment."""
        try:
            rows = read_decisions(self._settings)
        except DatabaseError:
            return
        for row in rows:
            if row["kind"] == "stop" and row["tenant_id"] in self._tenant_ids:
                crossed_at_s = datetime.fromisoformat(row["crossed_at"]).timestamp()
                experiment = f"{row['tenant_id']}/{row['experiment_id']}"
                self.stopped.setdefault(experiment, time.time() - crossed_at_s)

    def wait(self, seconds: float) -> None:
        """Look until the harmful experiment is stopped, at most so long."""
        deadline = time.monotonic() + seconds
        self.look()
        while HARMFUL.experiment not in self.stopped and time.monotonic() < deadline:
            time.sleep(FRAME_EVERY_S / 2)
            self.look()

    def complaint(self, *, must_stop: bool) -> str:
        """What went wrong; empty when the harmful experiment alone was stopped, and in time."""
        harmless = sorted(self.stopped.keys() - {HARMFUL.experiment})
        if harmless:
            return f"{', '.join(harmless)} was stopped although it does no harm"
        if HARMFUL.experiment not in self.stopped:
            return f"{HARMFUL.experiment} does harm and was not stopped" if must_stop else ""
        seconds = self.stopped[HARMFUL.experiment]
        late = f"{HARMFUL.experiment} was stopped {seconds:.0f} s after the boundary was crossed, too late"
        return late if seconds > STOPPED_WITHIN_S else ""


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
        OddCase(
            "users who were offline",
            sent["late_units"],
            ledger.late,
            "counted late: theirs, and what was before exposures",
        ),
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
