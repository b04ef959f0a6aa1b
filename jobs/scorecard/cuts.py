"""Which cohorts a view counts at a moment, and their sums: corrected as slots change and as time passes.

A cut is a function of the slots and the moment; it lives in memory only and is made again from the slots when
an experiment is not remembered. Old cohorts are read from state just when they come in or go out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from jobs.scorecard.definitions import DAY_MS, Definition
from jobs.scorecard.slots import NOTHING, Amount, Cohort, Group, Slots

Read = Callable[[Cohort], Slots]


@dataclass(frozen=True)
class Rule:
    """Counts cohorts until so long after their end (``is_closed`` false), or from then on."""

    span_ms: int
    is_closed: bool = False

    def counts(self, end_ms: int, moment_ms: int) -> bool:
        """Whether a cohort that ends at ``end_ms`` is in."""
        return (end_ms + self.span_ms <= moment_ms) == self.is_closed


ROLLING = {"rolling_24h": Rule(DAY_MS), "rolling_7d": Rule(7 * DAY_MS)}
"""Views that users leave by time."""


def matured(window_ms: int) -> Rule:
    """Users whose window of this length is over: all their outcomes have happened."""
    return Rule(window_ms, is_closed=True)


@dataclass
class Cut:
    """The cohorts a rule counts and what they add up to.

    ``metrics`` are version and metric of the groups it is asked for (``''`` are the users); None is all.
    """

    rule: Rule
    metrics: Collection[tuple[int, str]] | None = None
    inside: set[Cohort] = field(default_factory=set)
    sums: dict[Group, Amount] = field(default_factory=dict)

    def add(self, group: Group, amount: Amount) -> None:
        """Count more (or, of a negative amount, less) of a cohort that is inside."""
        if self.metrics is None or (group.config_version, group.metric_id) in self.metrics:
            self.sums[group] = self.sums.get(group, NOTHING).plus(amount)

    def turn(self, cohort: Cohort, slots: Slots) -> None:
        """Take a cohort in that is out, or out that is in."""
        is_leaving = cohort in self.inside
        for group, slot in slots.items():
            self.add(group, NOTHING.minus(slot.amount) if is_leaving else slot.amount)
        self.inside ^= {cohort}


@dataclass
class Cuts:
    """Every cut of one experiment in one rebuild epoch."""

    by_rule: dict[Rule, Cut]
    widths_ms: Mapping[tuple[int, bool], int]
    """Of cohorts, by version and whether they are of a segment."""

    @classmethod
    def of(cls, definitions: Iterable[Definition]) -> Self:
        """Empty ones; cohorts of versions without a definition are not counted yet."""
        known = list(definitions)
        cuts = {rule: Cut(rule) for rule in ROLLING.values()}
        metrics: dict[Rule, set[tuple[int, str]]] = {}
        for definition in known:
            for metric in definition.metrics:
                if metric.window_ms is not None:
                    asked = metrics.setdefault(matured(metric.window_ms), set())
                    asked |= {(definition.config_version, name) for name in ("", metric.metric_id)}
        cuts |= {rule: Cut(rule, asked) for rule, asked in metrics.items()}
        widths_ms = {
            (definition.config_version, is_segment): definition.cohort_ms(is_segment)
            for definition in known
            for is_segment in (False, True)
        }
        return cls(cuts, widths_ms)

    def add(self, cohort: Cohort, group: Group, amount: Amount) -> None:
        """A slot changed by this much; a cohort that is new is counted at the next ``move``."""
        for cut in self.by_rule.values():
            if cohort in cut.inside:
                cut.add(group, amount)

    def move(self, cohorts: Iterable[Cohort], moment_ms: int, read: Read) -> bool:
        """Count what is to be counted at this moment, earlier or later than the one before.

        Returns:
            Whether any cohort came in or went out.
        """
        has_moved = False
        for cohort in cohorts:
            end_ms = self._end_ms(cohort)
            if end_ms is None:
                continue
            for cut in self.by_rule.values():
                if cut.rule.counts(end_ms, moment_ms) != (cohort in cut.inside):
                    cut.turn(cohort, read(cohort))
                    has_moved = True
        return has_moved

    def next_move_ms(self, cohorts: Iterable[Cohort], moment_ms: int) -> int | None:
        """The next moment at which a cohort comes in or goes out, if nothing changes until then."""
        ends = {end_ms for end_ms in map(self._end_ms, cohorts) if end_ms is not None}
        moves = (end_ms + rule.span_ms for rule in self.by_rule for end_ms in ends)
        return min((move for move in moves if move > moment_ms), default=None)

    def _end_ms(self, cohort: Cohort) -> int | None:
        width_ms = self.widths_ms.get((cohort.config_version, cohort.segment != ""))
        return None if width_ms is None else cohort.start_ms + width_ms
