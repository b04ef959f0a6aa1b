"""The groups of an experiment, added up by version, variant, segment and classes of users."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from jobs.scorecard.book import Book
from jobs.scorecard.definitions import Definition, Metric
from jobs.scorecard.slots import Amount, Group
from udfs.stats import SUM_NAMES, Moments

NO_SUMS = (0,) * len(SUM_NAMES)


class Arm(NamedTuple):
    """The users of one version and variant."""

    config_version: int
    variant_id: str


class Sums:
    """The book's groups added over regions, and what they are groups of.

    Args:
        amounts: What is added, if not all users: of groups that are not in it there is nobody.
    """

    def __init__(self, book: Book, amounts: Mapping[Group, Amount] | None = None) -> None:
        seen = {group.config_version for group in book.totals}
        ordered = sorted(book.definitions.items())
        self.definitions: tuple[Definition, ...] = tuple(each for version, each in ordered if version in seen)
        """Of the versions that have slots, oldest first."""
        if ordered:
            self.first = ordered[0][1]
            """Alpha and planned units are the first version's, which later ones cannot change."""
        self.has_an_end = any(each.ended_at is not None for each in book.definitions.values())
        """Whether it is known when the last user comes: mostly from a version that nobody comes to."""
        self.segments = sorted({group.segment for group in book.totals} | {""})
        self._first_cohorts: dict[int, int] = {}
        self._last_cohorts: dict[int, int] = {}
        self._users: dict[tuple[Arm, str, str], int] = {}
        self._sums: dict[tuple[Arm, str, str, str], tuple[int, ...]] = {}
        if amounts is None:
            amounts = {group: total.amount for group, total in book.totals.items()}
        for group, amount in amounts.items():
            arm = Arm(group.config_version, group.variant_id)
            if group.metric_id:
                place = (arm, group.segment, group.unit_class, group.metric_id)
                self._sums[place] = _added(self._sums.get(place, NO_SUMS), amount.sums)
            else:
                users = (arm, group.segment, group.unit_class)
                self._users[users] = self._users.get(users, 0) + amount.n
        for group, spread in book.spreads.items():
            # A segment's cohorts are days, of which the first begins before anybody came.
            if group.metric_id == "" and group.segment == "" and group.unit_class != "bot":
                _note(self._first_cohorts, group.config_version, spread.first_cohort_ms, min)
                _note(self._last_cohorts, group.config_version, spread.last_cohort_ms, max)

    def first_cohort_ms(self, config_versions: Iterable[int] | None = None) -> int | None:
        """Start of the earliest cohort of users of these versions, or of all; none before a user is known.

        Bots are no users.
        """
        versions = self._first_cohorts if config_versions is None else config_versions
        return min(
            (self._first_cohorts[each] for each in versions if each in self._first_cohorts), default=None
        )

    def is_settled(self, definition: Definition, metric: Metric, as_of_ms: int) -> bool:
        """Whether the window of every user of a version is over."""
        last_ms = self._last_cohorts.get(definition.config_version)
        if metric.window_ms is None or last_ms is None:
            return False
        return last_ms + definition.cohort_ms(is_segment=False) + metric.window_ms <= as_of_ms

    def users(self, arm: Arm, segment: str, classes: Iterable[str]) -> int:
        """Users of these classes."""
        return sum(self._users.get((arm, segment, unit_class), 0) for unit_class in classes)

    def moments(self, arm: Arm, metric_id: str, segment: str, classes: Iterable[str]) -> Moments:
        """Sums of a metric over the users of these classes, those without outcomes too."""
        sums = NO_SUMS
        for unit_class in classes:
            found = self._sums.get((arm, segment, unit_class, metric_id))
            if found:
                sums = _added(sums, found)
        return Moments(self.users(arm, segment, classes), sums)

    def variants(self, definition: Definition, segment: str, classes: Iterable[str]) -> dict[str, int]:
        """Users of each variant of a version, the control's first."""
        named = (definition.control, *definition.treatments)
        version = definition.config_version
        return {variant: self.users(Arm(version, variant), segment, classes) for variant in named}


def _note(
    known: dict[int, int], version: int, start_ms: int | None, better: Callable[[int, int], int]
) -> None:
    if start_ms is not None:
        known[version] = better(known.get(version, start_ms), start_ms)


def _added(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(int.__add__, left, right))
