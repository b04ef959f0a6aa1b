"""Engine = reference, on the Java rules directly: thousands of histories, each in several orders.

Slots, refusals, ledger and activity must be equal to the bit however assignments, outcomes, definitions and
units are interleaved, wherever the process begins anew and whenever time advances; and in the end nothing
may be left that nobody can ask for any more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.builders import (
    BEGINNING,
    DAY,
    HOUR,
    MINUTE,
    RULES,
    SECOND,
    Log,
    Published,
    Written,
    a_definition,
    a_metric,
    an_assignment,
    an_outcome,
)
from tests.parity.replay import Engine, Run, running_engine
from tests.parity.wrong_references import WRONG, Specification, right
from tests.strategies import (
    EXPERIMENTS,
    AdvanceTo,
    History,
    Step,
    ends_of,
    histories,
    history_of,
    interleaved,
    smallest,
)
from tests.udfs.attribution.answers import together
from udfs.attribution.reference import Attribution

pytestmark = pytest.mark.jvm

HISTORIES = 2_000
ORDERS = 4


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with running_engine() as running:
        yield running


def many(count: int) -> settings:
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))


def run(engine: Engine, history: History, steps: list[Step], end_at: int) -> Run:
    return engine.run(steps, history.rules, max_skew_ms=history.max_skew_ms, end_at=end_at)


def assert_equal_in_orders(
    engine: Engine, history: History, *, orders: int = ORDERS, specification: Specification = right
) -> None:
    """Fails with the first difference, of a history as small as it can be made."""

    def differences(of: History) -> Iterator[tuple[Attribution, Attribution]]:
        random = Random(history.seed)
        for _ in range(orders):
            end_at = random.choice(ends_of(of))
            found = run(engine, of, interleaved(of, random), end_at).attribution
            expected = specification(of, end_at)
            if found != expected:
                yield found, expected

    if any(differences(history)):
        least = smallest(history, lambda fewer: any(differences(fewer)))
        found, expected = next(differences(least))
        assert found == expected, least


@many(HISTORIES)
@given(history=histories())
def test_the_engine_gives_what_the_reference_gives_in_any_order(engine: Engine, history: History) -> None:
    assert_equal_in_orders(engine, history)


@many(HISTORIES // 20)
@given(history=histories(most_events=300))
def test_the_same_of_units_with_hundreds_of_events(engine: Engine, history: History) -> None:
    """What a unit remembers does not fit into its state and goes into pages."""
    assert_equal_in_orders(engine, history, orders=2)


@many(HISTORIES // 10)
@given(history=histories())
def test_engines_that_share_the_units_give_together_what_one_gives(engine: Engine, history: History) -> None:
    random = Random(history.seed)
    end_at = random.choice(ends_of(history))
    parts = (run(engine, unit, interleaved(unit, random), end_at) for unit in units_of(history))
    assert together(part.attribution for part in parts) == right(history, end_at)


def units_of(history: History) -> list[History]:
    records = defaultdict(list)
    for record in history.records:
        records[record.received.tenant_id, record.received.key].append(record)
    return [replace(history, records=tuple(of_unit)) for of_unit in records.values()]


def test_fifty_orders_and_partitionings_of_a_rich_set_give_the_same_bits(engine: Engine) -> None:
    random = Random(5)
    rich = many_units_in_one_world()
    end_at = rich.latest + DAY
    expected = right(rich, end_at)
    assert len(expected.slots) > 150
    assert len({key.unit_class for key in expected.slots}) == 3
    for _ in range(50):
        parts: list[list[Written]] = [[] for _ in range(random.randint(1, 6))]
        for unit in units_of(rich):
            random.choice(parts).extend(unit.records)
        histories = (replace(rich, records=tuple(part)) for part in parts if part)
        answers = (run(engine, part, interleaved(part, random), end_at).attribution for part in histories)
        assert together(answers) == expected


def many_units_in_one_world() -> History:
    """The events of many histories under the definitions of one."""
    worlds = [history_of(seed, 20) for seed in range(60)]
    log = Log()
    for number, world in enumerate(worlds):
        for record in world.records:
            event = record.received.event
            if event is not None and event.unit_id:
                of_world = replace(event, tenant_id="acme", unit_id=f"{event.unit_id[:100]} {number}")
                log.append(of_world, record.received.append_time_ms)
    richest = max(worlds, key=lambda world: len(right(world, world.latest).slots))
    definitions = [each for each in richest.definitions if each.json["tenant_id"] == "acme"]
    return History(RULES, tuple(definitions), tuple(log.records))


@pytest.mark.parametrize("seed", range(4))
def test_a_unit_with_thousands_of_events_is_counted_exactly(engine: Engine, seed: int) -> None:
    """Its totals pass 63 bits on the way, its exposure moves, every event comes up to three times, and again
    when its id is free; some of its assignments wait for a definition, in a state that has no room for them.
    """
    random = Random(seed)
    log = Log()
    appended_at = BEGINNING
    for i in range(3_000):
        appended_at += random.choice((0, 1, MINUTE, 10 * MINUTE))
        happened_at = appended_at - random.choice((0, 1, MINUTE, HOUR, DAY, 7 * DAY))
        chance = random.random()
        if chance < 0.02:
            variant = random.choice(("control", "control", "treatment"))
            log.append(an_assignment(f"a{i}", assigned_at=happened_at, variant_id=variant), at=appended_at)
        elif chance < 0.05:
            waits = an_assignment(f"w{i - i % 3}", assigned_at=happened_at, experiment_id="later",
                                  variant_id=random.choice(("control", "x" * 200)))  # fmt: skip
            log.append(waits, at=appended_at)
        else:
            outcome = an_outcome(
                f"o{random.randrange(i - i % 3, i + 1) % 1800}",
                occurred_at=happened_at,
                value=random.choice((9e9, 9e9, 9e9, -9e9, random.uniform(-10, 10))),
                weight=random.choice((9e9, random.uniform(0, 10))),
            )
            log.append(outcome, at=appended_at)
    metrics = (
        a_metric("all", kind="ratio"),
        a_metric("capped", cap=5e6),
        a_metric("one_day", window_days=1),
        a_metric("later", kind="proportion", window_start_days=1, window_days=2),
    )
    definitions = (
        Published(a_definition(*metrics, pre_period_days=3)),
        Published(a_definition(*metrics, experiment_id="later"), BEGINNING + 3 * DAY),
    )
    history = History(
        replace(RULES, horizon_ms=(7 * DAY, DAY)[seed % 2], retention_ms=(28 * DAY, DAY)[seed // 2]),
        definitions,
        tuple(log.records),
        max_skew_ms=(0, HOUR, DAY, 60 * DAY)[seed],
        seed=seed,
    )
    assert_equal_in_orders(engine, history)


# ------------------------------------------------------------------------------------ what is left in the end


def far_end_of(history: History) -> int:
    """Every window has run out, every experiment that ends has ended, and nobody waits."""
    rules = history.rules
    waits = rules.horizon_ms + rules.future_ms + rules.retention_ms + history.max_skew_ms
    return max(history.latest, BEGINNING + 40 * DAY) + 3 * waits + 100 * DAY


def towards_the_end(history: History, random: Random, end_at: int) -> list[Step]:
    """Some order, and then time comes to the end in steps."""
    steps = interleaved(history, random)
    moments = sorted(random.randint(history.latest, end_at) for _ in range(random.choice((0, 1, 10))))
    return steps + [AdvanceTo(moment) for moment in moments]


SIZES = pytest.mark.parametrize(("most_events", "count"), [(20, HISTORIES // 4), (300, HISTORIES // 40)])


@SIZES
def test_when_all_experiments_have_ended_nothing_is_left(
    engine: Engine, most_events: int, count: int
) -> None:
    @many(count)
    @given(history=histories(most_events=most_events))
    def check(history: History) -> None:
        random = Random(history.seed)
        ended = with_an_end(history, random)
        end_at = far_end_of(ended)
        result = run(engine, ended, towards_the_end(ended, random, end_at), end_at)
        assert result.attribution == right(ended, end_at)
        assert (result.units, result.pages) == (0, 0)

    check()


def with_an_end(history: History, random: Random) -> History:
    """The history with a last version of every experiment, that ends it."""
    endings = [
        Published(
            a_definition(
                tenant_id=tenant_id,
                experiment_id=experiment_id,
                config_version=4,
                ended_at=random.choice((BEGINNING, history.latest)),
            ),
            history.latest + random.choice((0, SECOND, DAY)),
        )
        for tenant_id in sorted({each.received.tenant_id for each in history.records})
        for experiment_id in EXPERIMENTS
    ]
    definitions = sorted((*history.definitions, *endings), key=lambda each: each.append_time_ms)
    return replace(history, definitions=tuple(definitions))


@SIZES
def test_while_an_experiment_goes_on_its_places_are_all_that_is_left(
    engine: Engine, most_events: int, count: int
) -> None:
    @many(count)
    @given(history=histories(most_events=most_events))
    def check(history: History) -> None:
        random = Random(history.seed)
        definitions = (replace(each, json=each.json | {"ended_at": None}) for each in history.definitions)
        endless = replace(history, definitions=tuple(definitions))
        end_at = far_end_of(endless)
        result = run(engine, endless, towards_the_end(endless, random, end_at), end_at)
        assert result.attribution == right(endless, end_at)
        placed = [unit for unit in units_of(endless) if right(unit, end_at).slots]
        assert (result.units, result.pages) == (len(placed), 0)

    check()


# ------------------------------------------------------------------------ the comparison must be able to fail


def assert_found_out(compare: Callable[[History], None]) -> None:
    generated = settings(
        max_examples=HISTORIES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises(AssertionError):
        generated(given(histories())(compare))()


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__)
def test_a_wrong_reference_is_found_out(engine: Engine, wrong: Specification) -> None:
    def compare(history: History) -> None:
        random = Random(history.seed)
        end_at = random.choice(ends_of(history))
        if wrong(history, end_at) != right(history, end_at):  # the others would only cost time
            found = run(engine, history, interleaved(history, random), end_at).attribution
            assert found == wrong(history, end_at)

    assert_found_out(compare)


def test_an_engine_that_forgets_before_everybody_may_is_found_out(engine: Engine) -> None:
    def compare(history: History) -> None:
        random = Random(history.seed)
        end_at = random.choice(ends_of(history))
        if history.max_skew_ms > 0:
            steps = interleaved(history, random)
            assert run(engine, replace(history, max_skew_ms=0), steps, end_at).attribution == right(
                history, end_at
            )

    assert_found_out(compare)
