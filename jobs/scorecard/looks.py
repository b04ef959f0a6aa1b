"""Which looks at an experiment count for what is for ever: running minima and decisions.

Slots of one moment reach this job up to a second apart, so a look may see one arm without the other, or users
without what they did. Such a look passes, but a minimum would keep it. Therefore

* evidence enters a minimum only as the weaker of two looks at least ``APART_MS`` apart. When nothing new
  comes for ``SILENCE_MS`` the same sums are looked at again, and that is the second look;
* nothing counts until ``SETTLED_MS`` after the job began with the experiment, or began again, and after the
  last change that was older than ``BEHIND_MS`` when it came: while history is read, sums are parts of sums.

Both only leave evidence out or weaken it, so a p that held for every look still holds.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from jobs.scorecard.layout import LOOKS_LAYOUT, check_layout
from udfs.stats import planned_information
from udfs.stats.sequential import mixture_precision

log = logging.getLogger(__name__)

APART_MS = 500
"""Two looks nearer to each other than this are one."""
SILENCE_MS = 1500
"""After so long without news a look is confirmed by what has not changed; longer than one window."""
BEHIND_MS = 15_000
"""News older than this is history that is being caught up with."""
SETTLED_MS = 10_000

Key = tuple[str | int, ...]
"""What a p-value is about: the kind of test, the view, and the rest."""


class Frozen(NamedTuple):
    """What a sequential test was begun with, and keeps: a test that is tuned to its data promises nothing."""

    alpha: float
    planned_units: float
    control_share: float
    treatment_share: float

    @property
    def planned_information(self) -> float:
        """N*, where the interval is narrowest."""
        return float(planned_information(self.planned_units, self.control_share, self.treatment_share))

    @property
    def precision(self) -> float:
        """rho^2 of the mixture."""
        return float(mixture_precision(self.alpha, self.planned_information))


class Evidence(NamedTuple):
    """What one look says against "nothing is there"."""

    log_p: float
    """ln of the always-valid p of this look, at most 0."""
    log_limit: float
    """Below it the boundary is crossed."""
    frozen: Frozen | None = None


@dataclass(frozen=True, slots=True)
class Minimum:
    """The least confirmed ln p so far; ``crossed_at_ms`` is the ``as_of`` of the look that first crossed."""

    log_p: float
    crossed_at_ms: int | None = None
    frozen: Frozen | None = None


class Unconfirmed(NamedTuple):
    """Evidence that another look must bear out: the weakest of all looks since ``at_ms``."""

    at_ms: int
    as_of_ms: int
    log_p: float


@dataclass
class Looks:
    """All looks at one experiment in one epoch so far, as far as they still matter."""

    since_ms: int
    """When looking began: earlier looks are not in the minima."""
    unsettled_at_ms: int
    minima: dict[Key, Minimum] = field(default_factory=dict)
    decided: list[str] = field(default_factory=list)
    """Ids of decisions, each made once."""
    waiting: dict[Key, Unconfirmed] = field(default_factory=dict)

    @classmethod
    def begun(cls, now_ms: int) -> Self:
        """No look yet."""
        return cls(now_ms, now_ms)

    @classmethod
    def remembered(cls, text: str, now_ms: int) -> Self:
        """What a job without state goes on from; begun anew where the text is empty or another release's."""
        try:
            return cls.decode(text) if text else cls.begun(now_ms)
        except ValueError as unknown:
            log.warning("looks begin anew, running minima too: %s", unknown)
            return cls.begun(now_ms)

    def look(
        self,
        evidence: Mapping[Key, Evidence],
        *,
        views: Collection[str],
        as_of_ms: int,
        now_ms: int,
        is_new: bool,
    ) -> None:
        """Take one look at some views.

        Args:
            evidence: Every question of these views that has an answer now.
            as_of_ms: Append time of the newest event in the sums.
            is_new: The sums changed since the last look.
        """
        if is_new and now_ms - as_of_ms > BEHIND_MS:
            self.unsettled_at_ms = max(self.unsettled_at_ms, now_ms)
        if now_ms < self._settled_from_ms:
            self.waiting.clear()
            return
        self.waiting = {
            key: each for key, each in self.waiting.items() if key[1] not in views or key in evidence
        }
        for key, found in evidence.items():
            before = self.waiting.get(key, Unconfirmed(now_ms, as_of_ms, found.log_p))
            weaker = max(before.log_p, found.log_p)
            is_apart = now_ms - before.at_ms >= (APART_MS if is_new else SILENCE_MS)
            if is_apart or key in self.minima:
                self._enter(key, weaker if is_apart else 0.0, before.as_of_ms, found)
            self.waiting[key] = (
                Unconfirmed(now_ms, as_of_ms, found.log_p) if is_apart else before._replace(log_p=weaker)
            )

    def resume(self, began_ms: int) -> Self:
        """Go on in a job that began, or began again, then."""
        self.unsettled_at_ms = max(self.unsettled_at_ms, began_ms)
        return self

    def next_look_ms(self) -> int | None:
        """When to look again although nothing may have changed; None when that could say nothing new."""
        if not self.waiting:
            return self._settled_from_ms
        return min((each.at_ms + SILENCE_MS for each in self._open().values()), default=None)

    def wake(self, due_ms: int, now_ms: int) -> None:
        """A timer fired: a late one says that the job stood still, so what came meanwhile is no silence."""
        if now_ms - due_ms >= SILENCE_MS:
            self.waiting = {key: each._replace(at_ms=now_ms) for key, each in self.waiting.items()}

    def open_views(self) -> list[str]:
        """The views of which a second look could say something new."""
        return sorted({str(key[1]) for key in self._open()})

    def _open(self) -> dict[Key, Unconfirmed]:
        return {
            key: each
            for key, each in self.waiting.items()
            if key not in self.minima or each.log_p < self.minima[key].log_p
        }

    @property
    def settled(self) -> tuple[dict[Key, Minimum], int]:
        """What is for ever, to be compared: it changes only where something was confirmed or decided."""
        return dict(self.minima), len(self.decided)

    def frozen(self, key: Key) -> Frozen | None:
        """What the test was begun with; None before its first confirmed look."""
        known = self.minima.get(key)
        return known.frozen if known else None

    @property
    def _settled_from_ms(self) -> int:
        return self.unsettled_at_ms + SETTLED_MS

    def _enter(self, key: Key, log_p: float, as_of_ms: int, evidence: Evidence) -> None:
        known = self.minima.get(key) or Minimum(0.0, None, evidence.frozen)
        least, crossed_at_ms = min(known.log_p, log_p), known.crossed_at_ms
        # A new definition may have moved the limit, so that what was confirmed long ago crosses it now.
        if crossed_at_ms is None and least < evidence.log_limit:
            crossed_at_ms = as_of_ms
        self.minima[key] = Minimum(least, crossed_at_ms, known.frozen)

    def encode(self) -> str:
        """The text in state, and in ClickHouse for a job that begins without state."""
        waiting = [[key, *each] for key, each in self.waiting.items()]
        minima = [[key, each.log_p, each.crossed_at_ms, each.frozen] for key, each in self.minima.items()]
        content = [LOOKS_LAYOUT, self.since_ms, self.unsettled_at_ms, waiting, minima, self.decided]
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> Self:
        """Undoes ``encode``.

        Raises:
            ValueError: The layout is unknown: the text was written by another release.
        """
        layout, since_ms, unsettled_at_ms, waiting, minima, decided = json.loads(text)
        check_layout("looks", layout, LOOKS_LAYOUT)
        return cls(
            since_ms,
            unsettled_at_ms,
            {
                tuple(key): Minimum(log_p, crossed_at_ms, frozen and Frozen(*frozen))
                for key, log_p, crossed_at_ms, frozen in minima
            },
            decided,
            {tuple(key): Unconfirmed(*each) for key, *each in waiting},
        )
