"""The contender in Python plays by the reference's rules: it loses in speed only."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import combinations_with_replacement
from typing import Any

from hypothesis import given

from infra.bench.contenders.pyflink_datastream.rules import AttributionRules, Change, Unit
from tests.builders import (
    RULES,
    Published,
    a_definition,
    a_metric,
    an_assignment,
    an_outcome,
    received,
)
from tests.strategies import History, histories
from udfs.attribution.reference import Assignment, Definition, Received, Slot, attribute


def summed(changes: list[Change]) -> dict[str, Slot]:
    """What the job's SQL makes of the changes."""
    slots: defaultdict[str, Slot] = defaultdict(Slot)
    for slot, n, before, after in changes:
        slots[slot] += Slot(n, tuple(b - a for a, b in zip(moments(before), moments(after), strict=True)))
    return {key: slot for key, slot in slots.items() if slot != Slot()}


def moments(totals: Any) -> tuple[int, ...]:
    return (*totals, *(a * b for a, b in combinations_with_replacement(totals, 2)))


def by_the_contender(records: list[Received], definitions: list[Definition], rules: Any) -> dict[str, Slot]:
    contender = AttributionRules(definitions, rules)
    units: dict[tuple[str, bytes], bytes] = {}
    changes: list[Change] = []
    for record in sorted(records, key=lambda record: (record.partition, record.offset)):
        event = record.event
        if event is None or event.tenant_id != record.tenant_id or event.unit_id.encode() != record.key:
            continue  # it is keyed by what it says itself, and knows no topic
        unit = Unit.of_bytes(units.get((record.tenant_id, record.key)))
        react = contender.on_assignment if isinstance(event, Assignment) else contender.on_outcome
        changes += react(unit, event, record.append_time_ms)  # type: ignore[arg-type]
        units[record.tenant_id, record.key] = unit.to_bytes()
    return summed(changes)


def by_the_reference(records: list[Received], definitions: list[Definition], rules: Any) -> dict[str, Slot]:
    return {
        f"{key.tenant_id}|{key.experiment_id}|{key.config_version}|{key.variant_id}|{key.unit_class}|"
        f"{key.segment}|{key.metric_id}|{key.cohort_ms}": slot
        for key, slot in attribute(records, definitions, rules).slots.items()
    }


@given(histories())
def test_its_slots_are_the_references_where_all_definitions_are_known_and_none_ends(history: History) -> None:
    definitions = [
        replace(published, json=published.json | {"ended_at": None}, append_time_ms=-(10**15)).read()
        for published in history.definitions
    ]
    records = [written.received for written in history.records]
    found = by_the_contender(records, definitions, history.rules)
    assert found == by_the_reference(records, definitions, history.rules)


def test_an_earlier_exposure_that_comes_late_moves_the_unit() -> None:
    definition = Published(a_definition(a_metric(), pre_period_days=1)).read()
    records = received(
        an_outcome(),
        an_assignment("a2", assigned_at=an_outcome().occurred_at + 1),
        an_assignment("a1", variant_id="treatment"),
    )
    found = by_the_contender(records, [definition], RULES)
    assert found == by_the_reference(records, [definition], RULES)
    assert {key.split("|")[3] for key in found} == {"treatment"}
