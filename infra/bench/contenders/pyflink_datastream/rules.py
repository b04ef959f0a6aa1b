"""The reference's rules for a unit, one event at a time: what does this event change, and where?

State is made of lists, dictionaries and numbers only: it is written at every event, and ``marshal`` writes
these several times faster than pickle.
"""

from __future__ import annotations

import marshal
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from udfs.attribution.reference import (
    DAY_MS,
    LARGEST_TOTAL_MICROS,
    MICROS,
    Assignment,
    Definition,
    Metric,
    Outcome,
    Rules,
    to_micros,
)

Totals = tuple[int, int, int, int]
"""y, d, x, e of one unit in a metric, in micros."""
NOTHING: Totals = (0, 0, 0, 0)


class Change(NamedTuple):
    """A unit's part in a slot becomes another; ``n`` is 1, 0 or -1, and for metric slots 0."""

    slot: str
    n: int
    before: Totals
    after: Totals


class Unit(NamedTuple):
    """All that is known of a unit."""

    assignment_ids: dict[str, int]
    """When each was taken (append time)."""
    outcome_ids: dict[str, int]
    outcomes: list[tuple[str, int, int, int, int]]
    """Source, occurred_at, value and weight in micros, append time."""
    places: dict[str, list[Any]]
    """By experiment; see ``AT`` and the names below it."""

    @classmethod
    def of_bytes(cls, stored: bytes | None) -> Unit:
        """What was known when it was stored; nothing of a new unit."""
        return cls(*marshal.loads(stored)) if stored else cls({}, {}, [], {})

    def to_bytes(self) -> bytes:
        """What ``of_bytes`` reads."""
        return marshal.dumps(tuple(self))


AT, EVENT_ID, APPENDED, VERSION, VARIANT, ATTRIBUTES, IS_BOT, VARIANTS, TOTALS = range(9)
"""What a place holds: first exposure, what the class follows from, each metric's totals before the cut."""


class AttributionRules:
    """Changes by events of units, for definitions that are all known and none of which has ended."""

    def __init__(self, definitions: Iterable[Definition], rules: Rules) -> None:
        self._rules = rules
        self._definitions: dict[tuple[str, str, int], Definition] = {}
        self._by_source: dict[tuple[str, str, int], dict[str, list[tuple[int, Metric]]]] = {}
        for definition in definitions:
            key = (definition.tenant_id, definition.experiment_id, definition.config_version)
            if key not in self._definitions:
                self._definitions[key] = definition
                self._by_source[key] = defaultdict(list)
                for index, metric in enumerate(definition.metrics):
                    self._by_source[key][metric.source].append((index, metric))

    def on_assignment(self, unit: Unit, event: Assignment, append_time_ms: int) -> list[Change]:
        """What an assignment changes; the unit remembers it."""
        if self._is_refused(unit.assignment_ids, event, append_time_ms):
            return []
        definition = self._definitions.get((event.tenant_id, event.experiment_id, event.config_version))
        if definition is None or event.variant_id not in definition.variants:
            return []
        unit.assignment_ids[event.event_id] = append_time_ms
        place = unit.places.get(event.experiment_id)
        if place is None:
            place = self._place(event, append_time_ms)
            place[TOTALS] = self._totals(unit, event.tenant_id, event.experiment_id, place)
            unit.places[event.experiment_id] = place
            return self._difference({}, self._shares(event.tenant_id, event.experiment_id, place))
        before = self._shares(event.tenant_id, event.experiment_id, place)
        is_bot, variants = place[IS_BOT] or event.is_bot, place[VARIANTS] | {event.variant_id}
        if (event.assigned_at, event.event_id.encode()) < (place[AT], place[EVENT_ID].encode()):
            place[:] = self._place(event, append_time_ms)
            place[TOTALS] = self._totals(unit, event.tenant_id, event.experiment_id, place)
        place[IS_BOT], place[VARIANTS] = is_bot, variants
        return self._difference(before, self._shares(event.tenant_id, event.experiment_id, place))

    def on_outcome(self, unit: Unit, event: Outcome, append_time_ms: int) -> list[Change]:
        """What an outcome changes; the unit remembers it."""
        if self._is_refused(unit.outcome_ids, event, append_time_ms):
            return []
        unit.outcome_ids[event.event_id] = append_time_ms
        outcome = (
            event.metric_id,
            event.occurred_at,
            to_micros(event.value),
            to_micros(event.weight),
            append_time_ms,
        )
        unit.outcomes.append(outcome)
        changes = []
        for experiment_id, place in unit.places.items():
            key = (event.tenant_id, experiment_id, place[VERSION])
            definition = self._definitions[key]
            for index, metric in self._by_source[key].get(event.metric_id, ()):
                old = place[TOTALS][index]
                new = self._added(old, metric, definition, place, outcome)
                if new != old:
                    place[TOTALS][index] = new
                    before, after = _cut(metric, old), _cut(metric, new)
                    for stem, cohort_ms in self._slices(event.tenant_id, experiment_id, place):
                        slot = f"{stem}|{metric.metric_id}|{cohort_ms}"
                        changes.append(Change(slot, 0, before, after))
        return changes

    def _is_refused(self, taken: dict[str, int], event: Assignment | Outcome, append_time_ms: int) -> bool:
        rules = self._rules
        late_ms = append_time_ms - event.happened_at
        if not event.is_sound or late_ms < -rules.future_ms or late_ms > rules.horizon_ms:
            return True
        taken_at = taken.get(event.event_id)
        return taken_at is not None and append_time_ms - taken_at <= rules.horizon_ms + rules.future_ms

    @staticmethod
    def _place(event: Assignment, append_time_ms: int) -> list[Any]:
        return [
            event.assigned_at,
            event.event_id,
            append_time_ms,
            event.config_version,
            event.variant_id,
            dict(event.attributes),
            event.is_bot,
            {event.variant_id},
            [],
        ]

    def _totals(self, unit: Unit, tenant_id: str, experiment_id: str, place: list[Any]) -> list[Totals]:
        """Of all outcomes there are, for a new first exposure."""
        key = (tenant_id, experiment_id, place[VERSION])
        definition, by_source = self._definitions[key], self._by_source[key]
        totals = [NOTHING] * len(definition.metrics)
        for outcome in unit.outcomes:
            for index, metric in by_source.get(outcome[0], ()):
                totals[index] = self._added(totals[index], metric, definition, place, outcome)
        return totals

    def _added(
        self,
        totals: Totals,
        metric: Metric,
        definition: Definition,
        place: list[Any],
        outcome: tuple[Any, ...],
    ) -> Totals:
        """Totals with an outcome that counts, before the cut; the same totals if it does not."""
        _, occurred_at, value, weight, append_time_ms = outcome
        if place[APPENDED] - append_time_ms > self._rules.retention_ms:
            return totals
        y, d, x, e = totals
        weight = weight if metric.kind == "ratio" else MICROS
        since_exposure = occurred_at - place[AT]
        if -definition.pre_period_ms <= since_exposure < 0:
            x, e = (MICROS if metric.kind == "proportion" else x + value), e + weight
        if metric.window_start_ms <= since_exposure < metric.window_end_ms:
            y, d = (MICROS if metric.kind == "proportion" else y + value), d + weight
        return y, d, x, e

    def _shares(self, tenant_id: str, experiment_id: str, place: list[Any]) -> dict[str, tuple[int, Totals]]:
        """What a place adds to which slots."""
        metrics = self._definitions[tenant_id, experiment_id, place[VERSION]].metrics
        shares = {}
        for stem, cohort_ms in self._slices(tenant_id, experiment_id, place):
            shares[f"{stem}||{cohort_ms}"] = (1, NOTHING)
            for metric, totals in zip(metrics, place[TOTALS], strict=True):
                shares[f"{stem}|{metric.metric_id}|{cohort_ms}"] = (0, _cut(metric, totals))
        return shares

    def _slices(self, tenant_id: str, experiment_id: str, place: list[Any]) -> Iterator[tuple[str, int]]:
        definition = self._definitions[tenant_id, experiment_id, place[VERSION]]
        unit_class = "bot" if place[IS_BOT] else "crossed" if len(place[VARIANTS]) > 1 else "clean"
        stem = f"{tenant_id}|{experiment_id}|{place[VERSION]}|{place[VARIANT]}|{unit_class}"
        yield f"{stem}|", place[AT] - place[AT] % definition.cohort_ms
        for dimension, listed in definition.segments.items():
            value = place[ATTRIBUTES].get(dimension)
            if value is not None:
                segment = f"{dimension}={value if value in listed else '__other__'}"
                yield f"{stem}|{segment}", place[AT] - place[AT] % DAY_MS

    @staticmethod
    def _difference(
        before: dict[str, tuple[int, Totals]], after: dict[str, tuple[int, Totals]]
    ) -> list[Change]:
        changes = []
        for slot in before.keys() | after.keys():
            (old_n, old), (new_n, new) = before.get(slot, (0, NOTHING)), after.get(slot, (0, NOTHING))
            if (old_n, old) != (new_n, new):
                changes.append(Change(slot, new_n - old_n, old, new))
        return changes


def _cut(metric: Metric, totals: Totals) -> Totals:
    y, d, x, e = totals
    if metric.cap_micros is not None and metric.kind != "proportion":
        cap = metric.cap_micros
        y, x = max(-cap, min(y, cap)), max(-cap, min(x, cap))
    limit = LARGEST_TOTAL_MICROS
    if -limit <= y <= limit and d <= limit and -limit <= x <= limit and e <= limit:
        return y, d, x, e
    return tuple(max(-limit, min(total, limit)) for total in (y, d, x, e))  # type: ignore[return-value]
