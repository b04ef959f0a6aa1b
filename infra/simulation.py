"""Simulated units of several tenants: exposures, outcomes with true effects, and everything that goes wrong.

``Simulation.sendings`` is a pure generator: for one scenario, seed and start it gives the same events in
the same order. ``run`` defines the experiments and sends the events at the scenario's rate.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from random import Random
from threading import Event
from typing import Generic, NamedTuple, TypeVar

from config.settings import Settings
from infra.definitions import Draft, publish
from infra.pace import Pace
from infra.producer import EventProducer
from infra.scenario import Experiment, Scenario, Source, Tenant
from schemas.events import EventKind
from udfs.attribution.reference import Assignment, Outcome

T = TypeVar("T")

SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

TYPICAL_DELAY_SECONDS = 12.0
"""Mean time from a unit's arrival to each of its outcomes."""
PRE_PERIOD_MS = 4 * DAY_MS
"""How far back outcomes before the exposure go; with a late unit's age still inside a horizon of 7 days."""
OLDEST_LATE_UNIT_MS = 2 * DAY_MS
SHORTEST_PAUSE_SECONDS = 0.02
"""How long the sender rests at least when it is ahead of the rate; many short rests cost more."""
BOT_ACTIVITY = 20.0
BEYOND_ALL_BOUNDS = 1e10
NO_SUCH_VARIANT = "no-such-variant"


class Publication(NamedTuple):
    """A definition, and how many seconds after the start it is published."""

    seconds: float
    draft: Draft


class Sending(NamedTuple):
    """One record to send. ``damaged`` are bytes to send in place of the event's own."""

    event: Assignment | Outcome
    damaged: bytes | None = None
    oddities: tuple[str, ...] = ()


@dataclass(slots=True)
class Counts:
    """What was sent so far. ``units`` are those with at least one assignment sent.

    ``before_definition`` and ``after_end`` are assignments to experiments not defined yet, or ended.
    """

    sent: int = 0
    assignments: int = 0
    outcomes: int = 0
    units: int = 0
    before_definition: int = 0
    after_end: int = 0
    oddities: Counter[str] = field(default_factory=Counter)


class Simulation:
    """The events of a scenario; ``counts`` says at any moment what has been taken from it.

    Args:
        scenario: Who sends what.
        start_ms: The moment that event times are near to, epoch milliseconds; also in every unit's id, so
            that two runs are about different units.
    """

    def __init__(self, scenario: Scenario, start_ms: int) -> None:
        scenario = scenario.begun_at(start_ms)
        self.scenario = scenario
        self.counts = Counts()
        self._start_ms = start_ms
        self._random = Random(scenario.seed)
        self._tenants = {tenant.tenant_id: tenant for tenant in scenario.tenants}
        self._shares = _Weighted({name: tenant.share for name, tenant in self._tenants.items()})
        self._variants = {
            experiment.draft.key: _Weighted(experiment.variants) for experiment in scenario.experiments
        }
        self._attributes = {
            tenant.tenant_id: {name: _Weighted(weights) for name, weights in tenant.attributes.items()}
            for tenant in scenario.tenants
        }
        self._due: list[tuple[float, int, Sending]] = []
        self._arrived = 0
        self._scheduled = 0

    def sendings(self) -> Iterator[Sending]:
        """All records in the order of sending, the i-th planned for ``i / rate`` seconds after the start.

        When nothing is due a new unit arrives; so the rate is kept and the tenants' units grow steadily.
        """
        for index in range(round(self.scenario.rate * self.scenario.seconds)):
            now = index / self.scenario.rate
            while not self._due or self._due[0][0] > now:
                self._arrive(now)
            sending = heapq.heappop(self._due)[2]
            self._count(sending)
            yield sending

    def _count(self, sending: Sending) -> None:
        counts = self.counts
        counts.sent += 1
        if isinstance(sending.event, Assignment):
            counts.assignments += 1
        else:
            counts.outcomes += 1
        for oddity in sending.oddities:
            match oddity:
                case "new unit":
                    counts.units += 1
                case "before definition":
                    counts.before_definition += 1
                case "after end":
                    counts.after_end += 1
                case _:
                    counts.oddities[oddity] += 1

    def publications(self) -> list[Publication]:
        """When which definition is published, in seconds after the start, in this order."""
        made = []
        for experiment in self.scenario.experiments:
            made.append(Publication(experiment.defined_after_seconds, experiment.draft))
            if (ends := self._ends(experiment)) is not None:
                made.append(Publication(ends, experiment.ending(self._at(ends))))
        return sorted(made, key=lambda publication: publication.seconds)

    def _ends(self, experiment: Experiment) -> float | None:
        """When an experiment ends, in seconds after the start; never before it is defined."""
        if experiment.ended_after_share is None:
            return None
        return max(experiment.defined_after_seconds, experiment.ended_after_share * self.scenario.seconds)

    # ------------------------------------------------------------------------------------------ a unit

    def _arrive(self, now: float) -> None:
        """A new unit: everything it will ever do is scheduled at once."""
        chance = self._random.random
        odd = self.scenario.oddities
        tenant = self._tenants[self._shares.pick(self._random)]
        self._arrived += 1
        unit = _Unit(
            tenant=tenant,
            unit_id=f"u{self._start_ms:x}-{self._arrived}",
            attributes={
                name: weighted.pick(self._random)
                for name, weighted in self._attributes[tenant.tenant_id].items()
            },
            taste=self._random.gauss(0, 1),
            is_bot=chance() < odd.bots,
            arrived=now,
            age_ms=int(OLDEST_LATE_UNIT_MS * chance()) if chance() < odd.late_units else 0,
            exposures_wait=self._random.uniform(2, 6) if chance() < odd.early_outcomes else 0.0,
            began_ms=self._at(now),
        )
        unit = replace(unit, began_ms=unit.began_ms - unit.age_ms)
        self._before(unit)
        taken = [
            (experiment, self._variants[experiment.draft.key].pick(self._random))
            for experiment in tenant.experiments
            if chance() < experiment.traffic
        ]
        self._exposures(unit, taken)
        self._after(unit, taken)

    def _exposures(self, unit: _Unit, taken: Sequence[tuple[Experiment, str]]) -> None:
        """One assignment per experiment, and a second, contradicting one for some units."""
        marks = unit.marks
        for experiment, variant in taken:
            due = unit.arrived + unit.exposures_wait
            assignment = self._assignment(unit, experiment, variant, "1", unit.began_ms)
            self._schedule(due, assignment, *marks, *self._out_of_time(experiment, assignment, due))
            marks = ()
        if taken and self._random.random() < self.scenario.oddities.crossed:
            experiment, variant = taken[0]
            other = self._random.choice([name for name in experiment.variants if name != variant])
            due = unit.arrived + self._random.uniform(1, 10)
            if self._random.random() < 0.5:
                seen_ms = unit.began_ms - self._random.randrange(MINUTE_MS, HOUR_MS)
            else:
                seen_ms = self._at(due) - unit.age_ms
            second = self._assignment(unit, experiment, other, "2", seen_ms)
            self._schedule(due, second, "crossed", *self._out_of_time(experiment, second, due))

    def _out_of_time(self, experiment: Experiment, assignment: Assignment, due: float) -> Iterator[str]:
        """Whether it is sent before the experiment's definition, or happened after its end."""
        if due < experiment.defined_after_seconds:
            yield "before definition"
        ends = self._ends(experiment)
        if ends is not None and assignment.assigned_at > self._at(ends):
            yield "after end"

    def _before(self, unit: _Unit) -> None:
        """Outcomes of the days before the exposure; no treatment can have changed them."""
        for source in unit.tenant.sources:
            for number in range(self._how_many(source.before, source, unit)):
                occurred_ms = unit.began_ms - self._random.randrange(MINUTE_MS, PRE_PERIOD_MS)
                self._schedule(unit.arrived, self._outcome(unit, source, f"b{number}", occurred_ms, 1.0))

    def _after(self, unit: _Unit, taken: Sequence[tuple[Experiment, str]]) -> None:
        """Outcomes after the arrival, changed by the variants the unit is in."""
        for source in unit.tenant.sources:
            count, value = 1.0, 1.0
            for experiment, variant in taken:
                effect = experiment.effects.get((variant, source.name))
                if effect is not None:
                    count, value = count * (1 + effect.count), value * (1 + effect.value)
            for number in range(self._how_many(source.per_unit * count, source, unit)):
                if unit.age_ms:  # all at once, in any order, when the unit is online again
                    due = unit.arrived + self._random.uniform(0, 5)
                    occurred_ms = unit.began_ms + self._random.randrange(unit.age_ms)
                else:
                    due = unit.arrived + self._random.expovariate(1 / TYPICAL_DELAY_SECONDS)
                    occurred_ms = self._at(due)
                self._schedule(due, self._outcome(unit, source, f"a{number}", occurred_ms, value))

    def _how_many(self, mean: float, source: Source, unit: _Unit) -> int:
        factor = math.exp(source.taste * unit.taste - source.taste**2 / 2) * (
            BOT_ACTIVITY if unit.is_bot else 1.0
        )
        return _poisson(self._random, mean * factor)

    def _assignment(
        self, unit: _Unit, experiment: Experiment, variant: str, number: str, assigned_at: int
    ) -> Assignment:
        return Assignment(
            tenant_id=unit.tenant.tenant_id,
            unit_id=unit.unit_id,
            event_id=f"{experiment.experiment_id}-{number}",
            experiment_id=experiment.experiment_id,
            variant_id=variant,
            assigned_at=assigned_at,
            config_version=experiment.draft.key.config_version,
            attributes=unit.attributes,
            is_bot=unit.is_bot,
        )

    def _outcome(
        self, unit: _Unit, source: Source, number: str, occurred_at: int, effect_on_value: float
    ) -> Outcome:
        spread = self._random.gauss(0, source.spread) - source.spread**2 / 2
        return Outcome(
            tenant_id=unit.tenant.tenant_id,
            unit_id=unit.unit_id,
            event_id=f"{source.name}-{number}",
            metric_id=source.name,
            occurred_at=occurred_at,
            value=round(source.value * effect_on_value * math.exp(spread), 2),
            weight=1.0 + _poisson(self._random, source.weight - 1.0),
        )

    # ---------------------------------------------------------------------------------------- a record

    def _schedule(self, due: float, event: Assignment | Outcome, *marks: str) -> None:
        """Plans a record, damaged as the scenario says, and some a second time."""
        sending = self._spoiled(Sending(event, None, marks), self._at(due))
        self._push(due, sending)
        if self._random.random() < self.scenario.oddities.duplicates:
            self._push(due + self._random.uniform(0.1, 5), sending._replace(oddities=("duplicates",)))

    def _push(self, due: float, sending: Sending) -> None:
        self._scheduled += 1
        heapq.heappush(self._due, (due, self._scheduled, sending))

    def _spoiled(self, sending: Sending, sent_at_ms: int) -> Sending:
        """The record with at most one fault; which one is drawn once, so faults exclude each other."""
        odd, event = self.scenario.oddities, sending.event
        drawn = self._random.random()
        if drawn >= odd.too_late + odd.from_future + odd.unreadable + odd.bad_values + odd.unknown_variants:
            return sending
        if drawn < odd.too_late:
            return _marked(sending, "too_late", _timed(event, sent_at_ms - 60 * DAY_MS))
        drawn -= odd.too_late
        if drawn < odd.from_future:
            return _marked(sending, "from_future", _timed(event, sent_at_ms + HOUR_MS))
        drawn -= odd.from_future
        if drawn < odd.unreadable:
            damaged = sending._replace(damaged=self._random.randbytes(12))
            return _marked(damaged, "unreadable", event)
        drawn -= odd.unreadable
        if drawn < odd.bad_values:
            if isinstance(event, Outcome):
                return _marked(sending, "bad_values", replace(event, value=BEYOND_ALL_BOUNDS))
        elif isinstance(event, Assignment):
            return _marked(sending, "unknown_variants", replace(event, variant_id=NO_SUCH_VARIANT))
        return sending

    def _at(self, seconds: float) -> int:
        return self._start_ms + int(seconds * SECOND_MS)


@dataclass(frozen=True, slots=True)
class _Unit:
    """A unit on its arrival. ``age_ms`` > 0: offline since then; ``taste``: how active it is for good."""

    tenant: Tenant
    unit_id: str
    attributes: Mapping[str, str]
    taste: float
    is_bot: bool
    arrived: float
    age_ms: int
    exposures_wait: float
    began_ms: int

    @property
    def marks(self) -> tuple[str, ...]:
        """What its first assignment is counted as."""
        odd = {
            "bots": self.is_bot,
            "late_units": self.age_ms > 0,
            "early_outcomes": self.exposures_wait > 0,
        }
        return ("new unit", *(name for name, is_so in odd.items() if is_so))


def run(
    settings: Settings,
    simulation: Simulation,
    *,
    stop: Event | None = None,
    progress: Callable[[Counts], None] | None = None,
) -> Counts:
    """Defines the scenario's experiments, sends its events at its rate, and returns when all are delivered.

    Events that fall behind the rate are sent as fast as possible. What is published later comes between the
    same events however late these are; an ending is in effect before the next one. ``stop`` ends it early.

    Raises:
        DefinitionError: An experiment is defined already, with other content.
        BrokerError, RegistryError: One of them does not answer, or events were not delivered.
    """
    stop = stop or Event()
    publications = deque(simulation.publications())
    rate = simulation.scenario.rate
    with EventProducer(settings) as producer:
        pace = Pace(rate)
        for index, sending in enumerate(simulation.sendings()):
            while (seconds_early := pace.seconds_early()) > 0 and not stop.is_set():
                if progress is not None:
                    progress(simulation.counts)
                stop.wait(max(seconds_early, SHORTEST_PAUSE_SECONDS))
            if stop.is_set():
                break
            if publications and publications[0].seconds <= index / rate:
                producer.delivery.flush()
                publish(settings, [each.draft for each in _due(publications, index / rate)])
            _send(producer, sending)
            pace.count()
        publish(settings, [each.draft for each in publications])
    producer.delivery.raise_for_failures()
    if progress is not None:
        progress(simulation.counts)
    return simulation.counts


def _due(publications: deque[Publication], seconds: float) -> Iterator[Publication]:
    """Takes those whose time has come."""
    while publications and publications[0].seconds <= seconds:
        yield publications.popleft()


def _send(producer: EventProducer, sending: Sending) -> None:
    event = sending.event
    if sending.damaged is None:
        producer.send(event)
    else:
        kind = EventKind.ASSIGNMENTS if isinstance(event, Assignment) else EventKind.OUTCOMES
        producer.send_bytes(event.tenant_id, kind, event.unit_id.encode(), sending.damaged)


def _marked(sending: Sending, oddity: str, event: Assignment | Outcome) -> Sending:
    return sending._replace(event=event, oddities=(*sending.oddities, oddity))


def _timed(event: Assignment | Outcome, happened_at: int) -> Assignment | Outcome:
    if isinstance(event, Assignment):
        return replace(event, assigned_at=happened_at)
    return replace(event, occurred_at=happened_at)


def _poisson(random: Random, mean: float) -> int:
    """Counts arrivals of a Poisson process; the time this takes grows with the mean."""
    if mean <= 0:
        return 0
    count, left = 0, mean - random.expovariate(1)
    while left > 0:
        count, left = count + 1, left - random.expovariate(1)
    return count


class _Weighted(Generic[T]):
    """Things drawn in proportion to their weights."""

    def __init__(self, weights: Mapping[T, float]) -> None:
        self._things = list(weights)
        self._bounds = list(accumulate(weights.values()))

    def pick(self, random: Random) -> T:
        """One of the things; those of weight 0 never."""
        return random.choices(self._things, cum_weights=self._bounds)[0]
