"""Engine = reference, on the Java rules directly: thousands of histories, each in several orders.

Slots and refusals must be equal to the bit however assignments, outcomes, definitions and units are
interleaved, wherever the process begins anew and whenever time advances.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.builders import (
    BEGINNING,
    DAY,
    HOUR,
    MINUTE,
    RULES,
    Log,
    Published,
    a_definition,
    a_metric,
    an_assignment,
    an_outcome,
    read,
)
from tests.parity.replay import Engine, running_engine
from tests.strategies import History, histories, interleaved
from udfs.attribution.reference import Attribution, Slot, SlotKey, attribute

pytestmark = pytest.mark.jvm

HISTORIES = 1_500
ORDERS = 4


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with running_engine() as running:
        yield running


def expected(history: History) -> Attribution:
    return attribute(
        (record.received for record in history.records), read(history.definitions), history.rules
    )


def assert_equal_in_orders(engine: Engine, history: History, answer: Attribution, random: Random) -> None:
    for _ in range(ORDERS):
        assert engine.attribute(interleaved(history, random), history.rules) == answer


@settings(max_examples=HISTORIES, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=histories(), random=st.randoms(use_true_random=False))
def test_the_engine_gives_what_the_reference_gives_in_any_order(
    engine: Engine, history: History, random: Random
) -> None:
    assert_equal_in_orders(engine, history, expected(history), random)


@settings(max_examples=HISTORIES // 10, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=histories(), random=st.randoms(use_true_random=False))
def test_engines_that_share_the_units_give_together_what_one_gives(
    engine: Engine, history: History, random: Random
) -> None:
    parts = defaultdict(list)
    for record in history.records:
        parts[record.received.tenant_id, record.received.key].append(record)
    slots: defaultdict[SlotKey, Slot] = defaultdict(Slot)
    rejected = []
    for part in parts.values():
        of_unit = replace(history, records=tuple(part))
        answer = engine.attribute(interleaved(of_unit, random), history.rules)
        rejected += answer.rejected
        for key, slot in answer.slots.items():
            slots[key] += slot
    assert Attribution(dict(slots), sorted(rejected, key=lambda refusal: refusal[1:])) == expected(history)


@pytest.mark.parametrize("seed", range(4))
def test_a_unit_with_thousands_of_events_is_counted_exactly(engine: Engine, seed: int) -> None:
    """Its totals pass 63 bits on the way, its exposure moves, and every event comes up to three times."""
    random = Random(seed)
    log = Log()
    appended_at = BEGINNING
    for i in range(3_000):
        appended_at += random.choice((0, 1, MINUTE, 10 * MINUTE))
        happened_at = appended_at - random.choice((0, 1, MINUTE, HOUR, DAY, 7 * DAY))
        if random.random() < 0.02:
            variant = random.choice(("control", "control", "treatment"))
            log.append(an_assignment(f"a{i}", assigned_at=happened_at, variant_id=variant), at=appended_at)
        else:
            outcome = an_outcome(
                f"o{random.randrange(i - i % 3, i + 1)}",
                occurred_at=happened_at,
                value=random.choice((9e9, 9e9, 9e9, -9e9, random.uniform(-10, 10))),
                weight=random.choice((9e9, random.uniform(0, 10))),
            )
            log.append(outcome, at=appended_at)
    definition = a_definition(
        a_metric("all", kind="ratio"),
        a_metric("capped", cap=5e6),
        a_metric("one_day", window_days=1),
        a_metric("later", kind="proportion", window_start_days=1, window_days=2),
        pre_period_days=3,
    )
    history = History(RULES, (Published(definition),), tuple(log.records))
    assert_equal_in_orders(engine, history, expected(history), random)


# ------------------------------------------------------------------------ the comparison must be able to fail


def crossing_ignored(history: History) -> Attribution:
    slots: defaultdict[SlotKey, Slot] = defaultdict(Slot)
    right = expected(history)
    for key, slot in right.slots.items():
        unit_class = "clean" if key.unit_class == "crossed" else key.unit_class
        slots[key._replace(unit_class=unit_class)] += slot
    return Attribution(dict(slots), right.rejected)


def horizon_a_millisecond_longer(history: History) -> Attribution:
    return expected(replace(history, rules=replace(history.rules, horizon_ms=history.rules.horizon_ms + 1)))


def retention_without_end(history: History) -> Attribution:
    return expected(replace(history, rules=replace(history.rules, retention_ms=1_000 * DAY)))


def the_last_definition_stands(history: History) -> Attribution:
    return expected(replace(history, definitions=history.definitions[::-1]))


def caps_forgotten(history: History) -> Attribution:
    def uncapped(published: Published) -> Published:
        metrics = [metric | {"cap": None} for metric in published.json["metrics"]]
        return replace(published, json=published.json | {"metrics": metrics})

    return expected(replace(history, definitions=tuple(map(uncapped, history.definitions))))


@pytest.mark.parametrize(
    "wrong",
    [
        crossing_ignored,
        horizon_a_millisecond_longer,
        retention_without_end,
        the_last_definition_stands,
        caps_forgotten,
    ],
)
def test_a_wrong_reference_is_found_out(engine: Engine, wrong: Callable[[History], Attribution]) -> None:
    @settings(
        max_examples=HISTORIES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(history=histories(), random=st.randoms(use_true_random=False))
    def compare(history: History, random: Random) -> None:
        assert engine.attribute(interleaved(history, random), history.rules) == wrong(history)

    with pytest.raises(AssertionError):
        compare()
