"""What the job knows of one experiment: its definitions and, by epoch, the sums of every group of slots.

The text forms here are what lives in Flink's state; each state value begins with its layout, so that a later
layout can read an earlier one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self, TypeVar

import orjson

from jobs.scorecard.cuts import Cuts, Read
from jobs.scorecard.definitions import Definition
from jobs.scorecard.history import Recorded
from jobs.scorecard.layout import LAYOUT, check_layout
from jobs.scorecard.looks import Looks
from jobs.scorecard.pace import Pace, Turn, Turns
from jobs.scorecard.slots import NOTHING, Change, Cohort, Group, Slots

T = TypeVar("T")


class Spread(NamedTuple):
    """What the slots of a group tell, later than its totals: how far they are, and when its users came."""

    updates: int = 0
    as_of_ms: int = 0
    first_cohort_ms: int | None = None
    """Start of the earliest cohort with users, whom only groups of exposure slots (metric ``''``) have."""
    last_cohort_ms: int | None = None
    """Start of the latest cohort that ever had users."""

    @property
    def ends_ms(self) -> tuple[int | None, int | None]:
        """Both together."""
        return self.first_cohort_ms, self.last_cohort_ms


Spreads = dict[Group, Spread]


@dataclass
class Book:
    """Everything known of one experiment in one rebuild epoch: what one job of attribution has counted."""

    totals: Slots = field(default_factory=dict)
    """Of every group over all cohorts."""
    spreads: Spreads = field(default_factory=dict)
    definitions: dict[int, Definition] = field(default_factory=dict)
    epoch: int = 0
    cohorts: set[Cohort] = field(default_factory=set)
    """All that have slots."""
    cuts: Cuts | None = None
    """None: to be made from the slots when somebody asks."""
    moved_to_ms: int = 0
    """The moment at which the cuts hold."""
    pace: Pace = field(default_factory=Pace)
    recorded: Recorded = field(default_factory=Recorded)
    agendas: dict[tuple[str, ...], Any] = field(default_factory=dict)
    """What is asked, by views: ``rows.py`` keeps it here from one answer to the next."""
    lost: set[Group] = field(default_factory=set)
    """Whose first cohort lost its users: ``find_first_cohorts`` looks for the one that follows."""

    @property
    def as_of_ms(self) -> int:
        """Greatest append time counted in any group."""
        return max((total.as_of_ms for total in self.totals.values()), default=0)

    @property
    def slots_as_of_ms(self) -> int:
        """Greatest append time counted in any slot."""
        return max((spread.as_of_ms for spread in self.spreads.values()), default=0)

    @property
    def updates(self) -> int:
        """Changes counted in all groups."""
        return sum(total.updates for total in self.totals.values())

    @property
    def slot_updates(self) -> int:
        """Changes counted in all slots; another number than ``updates``, since slots wait longer."""
        return sum(spread.updates for spread in self.spreads.values())

    def count_total(self, change: Change) -> bool:
        """Let a total replace the one before; returns False where that was emitted later."""
        group = change.group
        known = self.totals.get(group)
        if known is not None and known.version >= change.version:
            return False
        self.totals[group] = change.slot
        return True

    def count(self, change: Change, slots: Slots) -> bool:
        """Let a slot's row replace the one among the slots of its cohort, here and in the views of cohorts.

        Returns:
            False where the row there was emitted later.
        """
        group, slot, cohort = change.group, change.slot, change.cohort
        before = slots.get(group)
        if before is not None and before.version >= slot.version:
            return False
        slots[group] = slot
        difference = slot.amount.minus(before.amount if before else NOTHING)
        known = self.spreads.get(group, Spread())
        updates, as_of_ms = known.updates + difference.updates, max(known.as_of_ms, change.as_of_ms)
        self.spreads[group] = Spread(updates, as_of_ms, *_ends(known, change))
        if known.first_cohort_ms == change.cohort_ms and change.n <= 0:
            self.lost.add(group)
        self.cohorts.add(cohort)
        if self.cuts is not None:
            self.cuts.add(cohort, group, difference)
        return True

    def move(self, now_ms: int, read: Read) -> bool:
        """Let the cuts hold now; returns whether users came in or went out by that."""
        if self.cuts is None:
            self.cuts = Cuts.of(self.definitions.values())
        self.moved_to_ms = self.pace.as_of_ms(self.slots_as_of_ms, now_ms)
        return self.cuts.move(self.cohorts, self.moved_to_ms, read)

    def next_move_ms(self) -> int | None:
        """The next moment at which users come in or go out if nothing changes."""
        return None if self.cuts is None else self.cuts.next_move_ms(self.cohorts, self.moved_to_ms)

    def find_first_cohorts(self, read: Read) -> None:
        """Look through the slots for what changes alone cannot tell: rare, it needs users that leave."""
        for group in self.lost:
            starts = (
                cohort.start_ms
                for cohort in sorted(self.cohorts)
                if (cohort.config_version, cohort.segment) == (group.config_version, group.segment)
                and (slot := read(cohort).get(group)) is not None
                and slot.n > 0
            )
            self.spreads[group] = self.spreads[group]._replace(first_cohort_ms=next(starts, None))
        self.lost.clear()


def _ends(known: Spread, change: Change) -> tuple[int | None, int | None]:
    """The first and last cohort with users; the first is lost when its users are."""
    first, last = known.first_cohort_ms, known.last_cohort_ms
    if change.metric_id or (change.n <= 0 and change.cohort_ms != first):
        return first, last
    if change.n <= 0:
        return None, last
    start = change.cohort_ms
    return start if first is None else min(first, start), start if last is None else max(last, start)


@dataclass
class Waiting:
    """What an experiment waits for, which nothing in state says: it outlives the experiment's shelf."""

    paces: defaultdict[int, Pace] = field(default_factory=lambda: defaultdict(Pace))
    """By epoch."""
    wakes_ms: set[int] = field(default_factory=set)
    """Timers that are set, as far as known."""
    asides_ms: set[int] = field(default_factory=set)
    """Timers for second looks and answers, at which nothing else is looked for."""
    turns: dict[Turns, Turn] = field(default_factory=dict)
    """Of what waits for its turn."""
    unanswered: set[int] = field(default_factory=set)
    """Epochs of which something changed that view ``all`` does not say yet."""


@dataclass
class Shelf:
    """The books of one experiment, one per epoch; they share its definitions and nothing else."""

    definitions: dict[int, Definition] = field(default_factory=dict)
    books: dict[int, Book] = field(default_factory=dict)
    looks: dict[int, Looks] = field(default_factory=dict)
    """By epoch, like the books; absent until somebody looked."""
    waiting: Waiting = field(default_factory=Waiting)

    def book(self, epoch: int) -> Book:
        """The book of an epoch, begun when it is first asked for."""
        if epoch not in self.books:
            self.books[epoch] = Book(
                definitions=self.definitions, epoch=epoch, pace=self.waiting.paces[epoch]
            )
        return self.books[epoch]

    @classmethod
    def from_state(
        cls,
        waiting: Waiting,
        totals: Iterable[tuple[Cohort, Slots]],
        definitions: Iterable[str],
        spreads: Iterable[tuple[Cohort, Spreads]] = (),
        cohorts: Iterable[Cohort] = (),
        looks: Iterable[tuple[str, Looks]] = (),
    ) -> Self:
        """The books of what state holds, where epochs are text and definitions are as published."""
        shelf = cls(looks={int(epoch): each for epoch, each in looks}, waiting=waiting)
        for cohort, slots in totals:
            shelf.book(cohort.epoch).totals |= slots
        for cohort, noted in spreads:
            shelf.book(cohort.epoch).spreads |= noted
        for cohort in cohorts:
            shelf.book(cohort.epoch).cohorts.add(cohort)
        for definition in map(Definition.from_json, definitions):
            shelf.definitions[definition.config_version] = definition
        return shelf


def parts(of: Mapping[Group, T], places: Iterable[Cohort]) -> dict[Cohort, dict[Group, T]]:
    """What a book has of each group, by version and segment, as state keeps it; of these places only."""
    found: dict[Cohort, dict[Group, T]] = {place: {} for place in places}
    by_name = {(place.config_version, place.segment): part for place, part in found.items()}
    for group, each in of.items():
        part = by_name.get((group.config_version, group.segment))
        if part is not None:
            part[group] = each
    return found


def encode_spreads(spreads: Spreads) -> str:
    """The value of a version and segment in state."""
    rows = [
        (group.variant_id, group.metric_id, group.unit_class, group.region, *spread)
        for group, spread in spreads.items()
    ]
    return orjson.dumps([LAYOUT, rows]).decode()


def decode_spreads(cohort: Cohort, text: str) -> Spreads:
    """Undoes ``encode_spreads``, of this layout or an earlier released one.

    Raises:
        ValueError: The layout is unknown: the state was written by another release.
    """
    layout, rows = orjson.loads(text)
    check_layout("spreads", layout)
    return {
        Group(cohort.config_version, variant_id, metric_id, cohort.segment, unit_class, region): Spread(*rest)
        for variant_id, metric_id, unit_class, region, *rest in rows
    }
