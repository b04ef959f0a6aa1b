"""The newest row of every slot and total of an experiment: what every view is a sum of.

A cohort of one version and segment is one value of Flink's state, JSON that begins with its layout. The sums
of a slot stay the text in which they came until somebody needs the numbers.
"""

from __future__ import annotations

import base64
import json
from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from operator import add, sub
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import orjson

from jobs.scorecard.layout import LAYOUT, check_layout
from udfs.attribution import sums as wire

REMEMBERED_COHORTS = 1024
"""Decoded in memory, per worker; the others are read from state again when one of their slots changes."""


class Group(NamedTuple):
    """What a slot is besides its cohort."""

    config_version: int
    variant_id: str
    metric_id: str
    segment: str
    unit_class: str
    region: str


class Cohort(NamedTuple):
    """Users by the time of their first exposure, of one rebuild epoch, version and segment.

    Totals are those of everyone, with a start of 0.
    """

    epoch: int
    config_version: int
    segment: str
    start_ms: int

    @property
    def of_everyone(self) -> Cohort:
        """The place of the same version and segment, whenever users came."""
        return self._replace(start_ms=0)


class Amount(NamedTuple):
    """``n`` users, the fourteen ``sums`` in micro-units (see ``udfs.stats.Moments``), and changes counted."""

    n: int
    sums: tuple[int, ...]
    updates: int

    def plus(self, other: Amount) -> Amount:
        """Both together."""
        sums = tuple(map(add, self.sums, other.sums))
        return Amount(self.n + other.n, sums, self.updates + other.updates)

    def minus(self, other: Amount) -> Amount:
        """What is left without the other."""
        sums = tuple(map(sub, self.sums, other.sums))
        return Amount(self.n - other.n, sums, self.updates - other.updates)


NOTHING = Amount(0, (0,) * wire.SUMS, 0)


@dataclass
class Slot:
    """A row of the slots topic without its key: a slot or a total. It does not change."""

    version: int
    n: int
    text: str
    """Its sums, base64 of the bytes in ``udfs.attribution.sums``."""
    updates: int
    as_of_ms: int
    """Greatest append time counted."""

    @classmethod
    def of(cls, amount: Amount, as_of_ms: int, version: int = 0) -> Self:
        """The row that says this."""
        text = base64.b64encode(wire.encode(amount.sums)).decode()
        return cls(version, amount.n, text, amount.updates, as_of_ms)

    @cached_property
    def amount(self) -> Amount:
        """What it adds to every sum it is part of."""
        return Amount(self.n, wire.decode(base64.b64decode(self.text)), self.updates)


Slots = dict[Group, Slot]
"""Those of one cohort, or the totals over all cohorts of one version and segment."""


SLOT = "slot"
TOTAL = "total"
"""The sums of a group over all cohorts; it has no cohort itself."""


class Change(NamedTuple):
    """A slot or a total as ``changes.sql`` tells it, by position."""

    kind: str
    epoch: int
    config_version: int
    variant_id: str
    metric_id: str
    segment: str
    cohort_ms: int
    unit_class: str
    region: str
    n: int
    sums: str
    as_of_ms: int
    updates: int
    version: int

    @property
    def key(self) -> tuple[int | str, ...]:
        """What tells it from others of the experiment."""
        return self[:KEY_LENGTH]

    @property
    def cohort(self) -> Cohort:
        """Where it is kept."""
        return Cohort(self.epoch, self.config_version, self.segment, self.cohort_ms)

    @property
    def group(self) -> Group:
        """Which slot of the cohort it is."""
        return Group(
            self.config_version, self.variant_id, self.metric_id, self.segment, self.unit_class, self.region
        )

    @property
    def slot(self) -> Slot:
        """What is kept."""
        return Slot(self.version, self.n, self.sums, self.updates, self.as_of_ms)


KEY_LENGTH = Change._fields.index("n")


def parse_changes(text: str) -> Collection[Change]:
    """Reads the ``changes`` of one record of ``changes.sql``: of each slot and total the newest row."""
    return newest(map(Change._make, orjson.loads(text)))


class Versioned(Protocol):
    """An absolute row."""

    @property
    def key(self) -> tuple[Any, ...]: ...
    @property
    def version(self) -> int: ...


V = TypeVar("V", bound=Versioned)


def newest(rows: Iterable[V]) -> Collection[V]:
    """Of each key the row with the greatest version; of equal ones the last."""
    found: dict[tuple[Any, ...], V] = {}
    for row in rows:
        key = row.key
        known = found.get(key)
        if known is None or known.version <= row.version:
            found[key] = row
    return found.values()


class State(Protocol):
    """Flink's map state of the current key."""

    def get(self, key: str) -> str | None: ...
    def put(self, key: str, value: str) -> None: ...
    def keys(self) -> Iterable[str]: ...


class SlotStore:
    """The slots of every experiment, in state; those of the cohorts used last in memory, too.

    Call it only while the experiment is the current key. Who changes what ``slots`` returned calls ``keep``.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._remembered: OrderedDict[tuple[str, Cohort], Slots] = OrderedDict()

    def cohorts(self) -> set[Cohort]:
        """All of which the experiment has slots."""
        return set(map(decode_cohort, self._state.keys()))

    def slots(self, experiment: str, cohort: Cohort) -> Slots:
        """The slots of a cohort; none before the first is kept."""
        place = experiment, cohort
        slots = self._remembered.pop(place, None)
        if slots is None:
            text = self._state.get(encode_cohort(cohort))
            slots = decode_slots(cohort, text) if text else {}
        self._remembered[place] = slots
        if len(self._remembered) > REMEMBERED_COHORTS:
            self._remembered.popitem(last=False)
        return slots

    def keep(self, cohort: Cohort, slots: Slots) -> None:
        """Write the slots of a cohort to state."""
        self._state.put(encode_cohort(cohort), encode_slots(slots))


def encode_cohort(cohort: Cohort) -> str:
    """The key of a cohort in state."""
    return json.dumps(cohort, ensure_ascii=False, separators=(",", ":"))


def decode_cohort(text: str) -> Cohort:
    """Undoes ``encode_cohort``."""
    return Cohort._make(json.loads(text))


def encode_slots(slots: Slots) -> str:
    """The value of a cohort in state."""
    rows = [
        (
            *(group.variant_id, group.metric_id, group.unit_class, group.region),
            *(slot.version, slot.n, slot.text, slot.updates, slot.as_of_ms),
        )
        for group, slot in slots.items()
    ]
    return orjson.dumps([LAYOUT, rows]).decode()


def decode_slots(cohort: Cohort, text: str) -> Slots:
    """Undoes ``encode_slots``, of this layout or an earlier released one.

    Raises:
        ValueError: The layout is unknown: the state was written by another release.
    """
    layout, rows = orjson.loads(text)
    check_layout("slots", layout)
    return {
        Group(cohort.config_version, variant_id, metric_id, cohort.segment, unit_class, region): Slot(*slot)
        for variant_id, metric_id, unit_class, region, *slot in rows
    }
