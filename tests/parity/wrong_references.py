"""Specifications that are wrong in one rule each: whoever compares with one of them must notice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from math import inf
from typing import Any
from unittest.mock import PropertyMock, patch

from tests.builders import DAY, read
from tests.strategies import History
from udfs.attribution import reference
from udfs.attribution.reference import Attribution, LedgerEntry, LedgerKey, Rules, Slot, SlotKey, attribute

Specification = Callable[[History, int], Attribution]


def right(history: History, now: int) -> Attribution:
    """What must come of a history by a moment."""
    records = (record.received for record in history.records)
    return attribute(records, read(history.definitions), history.rules, now)


# ------------------------------------------------------------------------------- right, of another history


def with_rules(history: History, **changes: Any) -> History:
    return replace(history, rules=replace(history.rules, **changes))


def with_definitions(history: History, change: Callable[[dict[str, Any]], dict[str, Any]]) -> History:
    changed = (replace(each, json=each.json | change(each.json)) for each in history.definitions)
    return replace(history, definitions=tuple(changed))


def the_horizon_is_a_millisecond_longer(history: History, now: int) -> Attribution:
    return right(with_rules(history, horizon_ms=history.rules.horizon_ms + 1), now)


def the_retention_is_a_millisecond_longer(history: History, now: int) -> Attribution:
    return right(with_rules(history, retention_ms=history.rules.retention_ms + 1), now)


def the_retention_has_no_end(history: History, now: int) -> Attribution:
    return right(with_rules(history, retention_ms=1_000 * DAY), now)


def the_last_definition_stands(history: History, now: int) -> Attribution:
    return right(replace(history, definitions=history.definitions[::-1]), now)


def caps_are_forgotten(history: History, now: int) -> Attribution:
    def without_caps(definition: dict[str, Any]) -> dict[str, Any]:
        return {"metrics": [metric | {"cap": None} for metric in definition["metrics"]]}

    return right(with_definitions(history, without_caps), now)


def no_experiment_ends(history: History, now: int) -> Attribution:
    return right(with_definitions(history, lambda definition: {"ended_at": None}), now)


def time_stands_a_millisecond_behind(history: History, now: int) -> Attribution:
    return right(history, now - 1)


# ---------------------------------------------------------------------------------- with another rule in it


def a_definition_is_in_effect_at_once(history: History, now: int) -> Attribution:
    with patch.object(reference, "EFFECT_MS", 0):
        return right(history, now)


def ids_are_remembered_for_ever(history: History, now: int) -> Attribution:
    with patch.object(Rules, "id_memory_ms", 10_000 * DAY):
        return right(history, now)


def ids_are_forgotten_a_millisecond_early(history: History, now: int) -> Attribution:
    memory = history.rules.id_memory_ms - 1
    with patch.object(Rules, "id_memory_ms", PropertyMock(return_value=memory)):
        return right(history, now)


def no_place_is_closed(history: History, now: int) -> Attribution:
    with patch.object(reference, "_closes_at", lambda *_: inf):
        return right(history, now)


def places_close_a_millisecond_later(history: History, now: int) -> Attribution:
    closes_at = reference._closes_at
    with patch.object(reference, "_closes_at", lambda *place: closes_at(*place) + 1):
        return right(history, now)


def a_minute_is_late(history: History, now: int) -> Attribution:
    with patch.object(reference, "LATE_MS", reference.LATE_MS - 1):
        return right(history, now)


def activity_goes_by_append_time(history: History, now: int) -> Attribution:
    activity = reference._activity

    def by_append_time(place: Any, served: Iterable[Any], rules: Rules) -> Iterator[Any]:
        moved = [
            each._replace(
                after=[
                    (replace(outcome, occurred_at=record.append_time_ms), record)
                    for outcome, record in each.after
                ]
            )
            for each in served
        ]
        return activity(place, moved, rules)

    with patch.object(reference, "_activity", by_append_time):
        return right(history, now)


# -------------------------------------------------------------------------------------- with another answer


def nobody_crosses(history: History, now: int) -> Attribution:
    answer = right(history, now)
    slots: defaultdict[SlotKey, Slot] = defaultdict(Slot)
    for key, slot in answer.slots.items():
        slots[key._replace(unit_class=key.unit_class.replace("crossed", "clean"))] += slot
    return answer._replace(slots=dict(slots))


def the_ledger_counts_an_outcome_for_each_experiment(history: History, now: int) -> Attribution:
    answer = right(history, now)
    counted: defaultdict[LedgerKey, int] = defaultdict(int)
    for experiment_id in {each.json["experiment_id"] for each in history.definitions}:
        of_experiment = [each for each in history.definitions if each.json["experiment_id"] == experiment_id]
        for key, entry in right(replace(history, definitions=tuple(of_experiment)), now).ledger.items():
            counted[key] += entry.counted

    def wrong(key: LedgerKey, entry: LedgerEntry) -> LedgerEntry:
        return entry._replace(counted=counted[key]) if key.topic.endswith("outcomes") else entry

    return answer._replace(ledger={key: wrong(key, entry) for key, entry in answer.ledger.items()})


WRONG: tuple[Specification, ...] = (
    the_horizon_is_a_millisecond_longer,
    the_retention_is_a_millisecond_longer,
    the_retention_has_no_end,
    the_last_definition_stands,
    caps_are_forgotten,
    no_experiment_ends,
    time_stands_a_millisecond_behind,
    a_definition_is_in_effect_at_once,
    ids_are_remembered_for_ever,
    ids_are_forgotten_a_millisecond_early,
    no_place_is_closed,
    places_close_a_millisecond_later,
    a_minute_is_late,
    activity_goes_by_append_time,
    nobody_crosses,
    the_ledger_counts_an_outcome_for_each_experiment,
)
