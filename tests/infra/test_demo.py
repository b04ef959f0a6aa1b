"""The demo's harmful experiment: stopped for every seed, and nothing else is."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from config.settings import ClickHouse, Flink, Kafka, Registry, Settings
from infra.definitions import Limits
from infra.demo import ENOUGH_EVENTS, HARMFUL, STOPPED_WITHIN_S, Decided
from infra.scenario import DEMO, Effect, Scenario, read_scenario
from infra.simulation import Simulation
from jobs.scorecard import slots as told
from jobs.scorecard.book import Book
from jobs.scorecard.definitions import Definition as Published
from jobs.scorecard.looks import SETTLED_MS, Looks
from jobs.scorecard.rows import Moment, fill
from jobs.scorecard.slots import NOTHING, Amount, Group
from jobs.scorecard.verdicts import judge
from tests.builders import BEGINNING, DAY, RULES, Log
from udfs.attribution.reference import EFFECT_MS, Definition, Slot, SlotKey, attribute

RATE = 500.0
LOOK_EVERY_MS = 10_000


def scenario(seed: int, harm: float) -> Scenario:
    """As the demo runs it, with as few events as must be enough."""
    read = read_scenario(DEMO, Limits(horizon_ms=7 * DAY, retention_ms=28 * DAY))
    shortest = replace(read, rate=RATE, seconds=ENOUGH_EVENTS / RATE, seed=seed)
    return shortest.with_effect(HARMFUL, Effect(value=harm))


def slots_at_looks(simulation: Simulation) -> Iterator[tuple[int, dict[SlotKey, Slot]]]:
    """What the reference makes of everything sent up to each look."""
    logs: dict[str, Log] = {}
    definitions = [
        Definition.from_json(each.draft.content, BEGINNING + int(each.seconds * 1000) - EFFECT_MS)
        for each in simulation.publications()
    ]
    next_ms = BEGINNING + LOOK_EVERY_MS
    for index, (event, damaged, _) in enumerate(simulation.sendings()):
        at_ms = BEGINNING + int(index / RATE * 1000)
        if at_ms >= next_ms:
            received = [written.received for log in logs.values() for written in log.records]
            yield next_ms, attribute(received, definitions, RULES).slots
            next_ms += LOOK_EVERY_MS
        if damaged is None:
            logs.setdefault(event.tenant_id, Log(event.tenant_id)).append(event, at_ms)


def stopped(simulation: Simulation) -> dict[str, float]:
    """Experiments that the scorecard's rules stop, and after how many seconds."""
    defined: defaultdict[str, dict[int, Published]] = defaultdict(dict)
    for each in simulation.publications():
        read = Published.from_json(json.dumps(each.draft.content))
        defined[f"{read.tenant_id}/{read.experiment_id}"][read.config_version] = read
    looks = {experiment: Looks(0, BEGINNING - SETTLED_MS) for experiment in defined}
    found: dict[str, float] = {}
    for at_ms, slots in slots_at_looks(simulation):
        books = {experiment: Book(definitions=versions) for experiment, versions in defined.items()}
        for key, slot in slots.items():
            totals = books[f"{key.tenant_id}/{key.experiment_id}"].totals
            group = Group(*(getattr(key, name) for name in Group._fields))
            known = totals[group].amount if group in totals else NOTHING
            totals[group] = told.Slot.of(known.plus(Amount(slot.n, slot.sums, 0)), at_ms)
        for experiment, book in books.items():
            moment = Moment(at_ms, at_ms * 1000, at_ms)
            card = fill(book, moment)
            if card is not None:
                for decision in judge(card, looks[experiment], is_new=True):
                    if decision["kind"] == "stop":
                        found[experiment] = (at_ms - BEGINNING) / 1000
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_harmful_experiment_is_stopped_and_no_other(seed: int) -> None:
    found = stopped(Simulation(scenario(seed, harm=0.3), BEGINNING))
    assert found.keys() == {HARMFUL.experiment}


def test_without_harm_nothing_is_stopped() -> None:
    assert stopped(Simulation(scenario(1, harm=0.0), BEGINNING)) == {}


SETTINGS = Settings(Kafka("k"), Registry("r"), Flink("f"), ClickHouse("c"))


@pytest.mark.parametrize(
    ("stopped", "must_stop", "complaint"),
    [
        ({HARMFUL.experiment: 3.0}, True, ""),
        ({}, False, ""),
        ({}, True, "globex/new-renderer does harm and was not stopped"),
        ({HARMFUL.experiment: 3.0, "acme/a": 2.0}, True, "acme/a was stopped although it does no harm"),
        (
            {HARMFUL.experiment: STOPPED_WITHIN_S + 1},
            True,
            "globex/new-renderer was stopped 61 s after the boundary was crossed, too late",
        ),
    ],
)
def test_the_demo_tells_what_went_wrong(stopped: dict[str, Any], must_stop: bool, complaint: str) -> None:
    decided = Decided(SETTINGS, ["globex"])
    decided.stopped.update(stopped)
    assert decided.complaint(must_stop=must_stop) == complaint
