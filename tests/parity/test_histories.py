"""What is compared must occur: generated histories have every odd case, and each often enough to be met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise, permutations
from random import Random

import pytest

from tests.builders import DAY, read
from tests.parity.wrong_references import WRONG, Specification, right
from tests.strategies import (
    AdvanceTo,
    History,
    Restart,
    ends_of,
    history_of,
    interleaved,
    smallest,
)
from udfs.attribution.reference import (
    EFFECT_MS,
    LARGEST_TOTAL_MICROS,
    LEDGER_NAMES,
    SUM_NAMES,
    Assignment,
    Attribution,
    Outcome,
)

HISTORIES = 1_000


@cache
def generated() -> list[tuple[History, int, Attribution]]:
    """Histories, each with a moment to compare at and the answer then."""
    found = []
    for seed in range(HISTORIES):
        history = history_of(seed, 20)
        now = Random(seed).choice(ends_of(history))
        found.append((history, now, right(history, now)))
    return found


@cache
def occurrences() -> Counter[str]:
    """In how many of the histories each case occurs."""
    found: Counter[str] = Counter()
    for history, _, answer in generated():
        found.update({*cases_of_answer(answer), *cases_of_events(history), *cases_of_definitions(history)})
    return found


def cases_of_answer(answer: Attribution) -> Iterator[str]:
    for entry in answer.ledger.values():
        yield from (name for name in LEDGER_NAMES if getattr(entry, name))
    for key, slot in answer.slots.items():
        yield from (key.unit_class, f"version {key.config_version}", f"region {key.region}")
        yield (
            "other segment"
            if key.segment.endswith("=__other__")
            else "segment"
            if key.segment
            else "everyone"
        )
        totals = dict(zip(SUM_NAMES, slot.sums, strict=True))
        yield from (f"sum {name}" for name, total in totals.items() if total)
        yield from (f"total cut in {name}" for name in "ydxe" if abs(totals[name]) == LARGEST_TOTAL_MICROS)
    if len({(key.tenant_id, key.experiment_id) for key in answer.slots}) > 1:
        yield "several experiments"


def cases_of_events(history: History) -> Iterator[str]:
    for one, other in pairwise(each.received.append_time_ms for each in history.records):
        if abs(one - other) > 30 * DAY:
            yield "a month of silence"
    events = [each.received.event for each in history.records if each.received.event is not None]
    for event in events:
        if len(event.event_id) == 200:
            yield "long id"
        if not event.event_id.isascii():
            yield "id of another script"
        if isinstance(event, Outcome):
            yield from (f"value {event.value:g}", "negative value" if event.value < 0 else "positive value")
        else:
            yield from (f"{name}={value!r}" for name, value in event.attributes.items())
    window_ends = {
        metric.window_end_ms for definition in read(history.definitions) for metric in definition.metrics
    }
    for first, then in permutations(events, 2):
        same_unit = (first.tenant_id, first.unit_id) == (then.tenant_id, then.unit_id)
        if isinstance(first, Assignment) and same_unit:
            if isinstance(then, Assignment) and then.assigned_at == first.assigned_at:
                yield "two assignments at once"
            if isinstance(then, Outcome) and then.occurred_at == first.assigned_at:
                yield "outcome exactly at the exposure"
            if isinstance(then, Outcome) and then.occurred_at - first.assigned_at in window_ends:
                yield "outcome exactly at the end of a window"


def cases_of_definitions(history: History) -> Iterator[str]:
    definitions = read(history.definitions)
    if len({(each.tenant_id, each.experiment_id, each.config_version) for each in definitions}) < len(
        definitions
    ):
        yield "a version published twice"
    for each in definitions:
        yield from (metric.kind for metric in each.metrics)
        if each.ended_at < each.append_time_ms:
            yield "ended in the past"
        elif each.ended_at < 2**62:
            yield "ended in the future"
        for record in history.records:
            if record.received.append_time_ms - each.append_time_ms in (EFFECT_MS - 1, EFFECT_MS):
                yield "a record just as a definition takes effect"


@pytest.mark.parametrize(
    "case",
    [
        *(name for name in LEDGER_NAMES),
        *("clean", "crossed", "bot"),
        *(f"sum {name}" for name in SUM_NAMES),
        *(f"version {version}" for version in (1, 2, 3)),
        *("several experiments", "everyone", "segment", "other segment", "total cut in y"),
        *("mean", "proportion", "ratio", "ended in the past", "ended in the future"),
        *("a version published twice", "a record just as a definition takes effect"),
        *("two assignments at once", "outcome exactly at the exposure"),
        *("outcome exactly at the end of a window", "a month of silence"),
        *("negative value", "value 0", "value 1e-06", "value 5", "value 9e+09", "value -9e+09"),
        *("long id", "id of another script", "country=''", "country='FR'", "undeclared='DE'"),
    ],
)
def test_a_case_occurs_in_one_of_a_hundred_histories(case: str) -> None:
    assert occurrences()[case] >= HISTORIES / 100, occurrences()


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__)
def test_a_wrong_rule_shows_in_one_of_two_hundred_histories(wrong: Specification) -> None:
    shown = sum(wrong(history, now) != answer for history, now, answer in generated())
    assert shown >= HISTORIES / 200


def test_orders_have_time_that_comes_as_far_as_it_may_and_restarts() -> None:
    steps = [step for history, *_ in generated()[:100] for step in interleaved(history, Random(history.seed))]
    assert sum(isinstance(step, AdvanceTo) for step in steps) > 100
    assert sum(isinstance(step, Restart) for step in steps) > 50


def test_time_runs_ahead_of_no_record_and_no_definition_by_more_than_it_may() -> None:
    for history, *_ in generated()[:300]:
        for ahead in range(2):
            steps = interleaved(history, Random(ahead))
            for place, step in enumerate(steps):
                to_come = steps[place + 1 :]
                definitions = [each.append_time_ms for each in to_come if each in history.definitions]
                if isinstance(step, AdvanceTo):
                    records = [each.received.append_time_ms for each in to_come if each in history.records]
                    assert all(step.append_time_ms <= each + history.max_skew_ms for each in records)
                    assert all(step.append_time_ms < each for each in definitions)
                elif step in history.records:
                    assert all(step.received.append_time_ms - EFFECT_MS < each for each in definitions)


def test_the_smallest_history_that_fails_has_nothing_else_in_it() -> None:
    history = next(
        history for history, _, answer in generated() if "bot" in {key.unit_class for key in answer.slots}
    )

    def has_a_bot(of: History) -> bool:
        return any(key.unit_class == "bot" for key in right(of, of.latest).slots)

    least = smallest(history, has_a_bot)
    assert has_a_bot(least)
    assert (len(least.records), len(least.definitions)) == (1, 1)
