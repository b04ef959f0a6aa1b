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
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from udfs.stats import planned_information
from udfs.stats.sequential import mixture_precision

LAYOUT = 1

APART_MS = 500
"""Two looks nearer to each other than this are one."""
SILENCE_MS = 1500
"""After so long without news a look is confirmed by what has not changed; longer than one window."""
BEHIND_MS = 15_000
"""News older than this is history that is being caught up with."""
SETTLED_MS = 10_000

Key = tuple[str | int, ...]
"""What a p-value is about; its first part says which kind of test."""


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


@dataclass
class Waiting:
    """Evidence that another look must bear out: the weakest of all looks since ``at_ms``."""

    at_ms: int
    as_of_ms: int
    log_p: dict[Key, float]


@dataclass
class Looks:
    """All looks at one experiment in one epoch so far, as far as they still matter."""

    since_ms: int
    """When looking began: earlier looks are not in the minima."""
    unsettled_at_ms: int
    minima: dict[Key, Minimum] = field(default_factory=dict)
    decided: list[str] = field(default_factory=list)
    """Ids of decisions, each made once."""
    waiting: Waiting | None = None

    @classmethod
    def begun(cls, now_ms: int) -> Self:
        """No look yet."""
        return cls(now_ms, now_ms)

    def look(
        self, evidence: Mapping[Key, Evidence], *, as_of_ms: int, now_ms: int, is_new: bool, began_ms: int = 0
    ) -> bool:
        """Take one look; returns whether it confirmed the one before.

        Args:
            evidence: Every question that has an answer at this look.
            as_of_ms: Append time of the newest event in the sums.
            is_new: The sums changed since the last look.
            began_ms: When the job began, or began again.
        """
        if is_new and now_ms - as_of_ms > BEHIND_MS:
            self.unsettled_at_ms = now_ms
        if now_ms < self._settled_from_ms(began_ms):
            self.waiting = None
            return False
        before = self.waiting
        if before is not None and now_ms - before.at_ms < APART_MS:
            before.log_p = _weaker(before.log_p, evidence)
            return False
        self.waiting = Waiting(now_ms, as_of_ms, {key: each.log_p for key, each in evidence.items()})
        if before is None:
            return False
        for key, log_p in _weaker(before.log_p, evidence).items():
            self._enter(key, log_p, before.as_of_ms, evidence[key])
        return True

    def next_look_ms(self, began_ms: int = 0) -> int | None:
        """When to look again although nothing may have changed; None when that could say nothing new."""
        if self.waiting is None:
            return self._settled_from_ms(began_ms)
        is_open = any(
            key not in self.minima or log_p < self.minima[key].log_p
            for key, log_p in self.waiting.log_p.items()
        )
        return self.waiting.at_ms + SILENCE_MS if is_open else None

    @property
    def settled(self) -> tuple[dict[Key, Minimum], int]:
        """What is for ever, to be compared: it changes only where something was confirmed or decided."""
        return dict(self.minima), len(self.decided)

    def frozen(self, key: Key) -> Frozen | None:
        """What the test was begun with; None before its first confirmed look."""
        known = self.minima.get(key)
        return known.frozen if known else None

    def _settled_from_ms(self, began_ms: int) -> int:
        return max(self.unsettled_at_ms, began_ms) + SETTLED_MS

    def _enter(self, key: Key, log_p: float, as_of_ms: int, evidence: Evidence) -> None:
        known = self.minima.get(key) or Minimum(0.0, None, evidence.frozen)
        if key in self.minima and log_p >= known.log_p:
            return
        crossed_at_ms = known.crossed_at_ms
        if crossed_at_ms is None and log_p < evidence.log_limit:
            crossed_at_ms = as_of_ms
        self.minima[key] = Minimum(min(known.log_p, log_p), crossed_at_ms, known.frozen)

    def encode(self) -> str:
        """The text in state, and in ClickHouse for a job that begins without state."""
        waiting = self.waiting and [
            self.waiting.at_ms,
            self.waiting.as_of_ms,
            [[key, log_p] for key, log_p in self.waiting.log_p.items()],
        ]
        minima = [[key, each.log_p, each.crossed_at_ms, each.frozen] for key, each in self.minima.items()]
        content = [LAYOUT, self.since_ms, self.unsettled_at_ms, waiting, minima, self.decided]
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> Self:
        """Undoes ``encode``.

        Raises:
            ValueError: The layout is unknown: the text was written by another release.
        """
        layout, *content = json.loads(text)
        if layout != LAYOUT:
            raise ValueError(
                f"layout {layout} of the looks in state is unknown: this release knows {LAYOUT};"
                " start the job without --restore"
            )
        since_ms, unsettled_at_ms, waiting, minima, decided = content
        return cls(
            since_ms,
            unsettled_at_ms,
            {
                tuple(key): Minimum(log_p, crossed_at_ms, frozen and Frozen(*frozen))
                for key, log_p, crossed_at_ms, frozen in minima
            },
            decided,
            waiting and _waiting(*waiting),
        )


def _weaker(before: Mapping[Key, float], evidence: Mapping[Key, Evidence]) -> dict[Key, float]:
    """Of what both looks can answer, the greater p."""
    return {key: max(log_p, evidence[key].log_p) for key, log_p in before.items() if key in evidence}


def _waiting(at_ms: int, as_of_ms: int, log_p: list[list[Any]]) -> Waiting:
    return Waiting(at_ms, as_of_ms, {tuple(key): each for key, each in log_p})
