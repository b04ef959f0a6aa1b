"""When the answers of a book are due, and up to which moment they hold."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple
from zlib import crc32

MOST_CHARGED_MS = 200.0
"""For a turn. An answer takes some milliseconds; what takes longer stood still, which is nobody's debt."""

QUIET_MS = 10_000
"""When nothing came for so long, what was appended before would have come: time is the clock's minus this."""


@dataclass
class Pace:
    """What a book owes; in memory only: forgotten, everything is owed."""

    owes_views: bool = True
    owes_history: bool = True
    recorded_ms: int | None = None
    """When history was last written."""
    heard_ms: int | None = None
    """When something last changed, by the clock of the machine."""

    def change(self, now_ms: int, *, slots: bool) -> None:
        """Something changed: history is due, and if slots did, the views made of them."""
        self.heard_ms = now_ms
        self.owes_history = True
        self.owes_views |= slots

    def wake(self, due_ms: int, now_ms: int) -> None:
        """A timer fired: a late one says that the job stood still, and what came meanwhile is unread."""
        if now_ms - due_ms >= QUIET_MS:
            self.heard_ms = now_ms

    def as_of_ms(self, counted_ms: int, now_ms: int) -> int:
        """Up to which append time the answers hold: the greatest counted, or the clock's when all is quiet.

        A job that is just started, or that stood still, is not quiet yet. Input that stands still while
        events wait in front of it cannot be told from silence; answers step back when it goes on.
        """
        if self.heard_ms is None:
            self.heard_ms = now_ms
        return counted_ms if now_ms - self.heard_ms < QUIET_MS else max(counted_ms, now_ms - QUIET_MS)

    def next_move_ms(self, as_of_ms: int) -> int:
        """The clock when ``as_of_ms`` will have come even if nothing changes."""
        return max(as_of_ms, self.heard_ms or 0) + QUIET_MS


@dataclass(frozen=True)
class Times:
    """How often views and history are refreshed, at moments that differ from experiment to experiment."""

    views_ms: int = 10_000
    history_ms: int = 60_000

    def next_views_ms(self, experiment: str, after_ms: int) -> int:
        """The first moment after another at which the experiment's views are refreshed."""
        return _next(experiment, after_ms, self.views_ms)

    def records(self, experiment: str, pace: Pace, now_ms: int) -> bool:
        """Whether history is due."""
        dues_ms = self.next_history_ms(experiment, pace)
        return pace.owes_history and all(due_ms <= now_ms for due_ms in dues_ms)

    def next_history_ms(self, experiment: str, pace: Pace) -> Iterator[int]:
        """When history is due, if something is owed and not at once."""
        if pace.owes_history and pace.recorded_ms is not None:
            yield _next(experiment, pace.recorded_ms, self.history_ms)


class Turn(NamedTuple):
    """A place in the order of ``Turns``."""

    at_ms: float
    """When it is, unless those before it take longer than they were expected to."""
    kept_ms: float
    """How long it is until the next."""


class Turns:
    """What all experiments of a worker want done, one by one, so that it takes no more than its share.

    Where there is too much for the share, each comes later, and none is left out.

    Args:
        share: Of the time, for this; may be changed.
        ahead_ms: So much of the share may be used at once if it was not used before.
    """

    def __init__(self, share: float, ahead_ms: float = 0.0) -> None:
        self.share = share
        self._ahead_ms = ahead_ms
        self._cost_ms = 0.0
        self._free_ms = 0.0
        self._late_ms = 0.0
        """How much longer all turns so far took than was kept for them."""

    def take(self, now_ms: int) -> Turn:
        """The next turn: now, or as soon as the share allows."""
        at_ms = max(now_ms - self._ahead_ms - self._late_ms, self._free_ms)
        turn = Turn(at_ms, self._cost_ms / self.share)
        self._free_ms = at_ms + turn.kept_ms
        return turn

    def due_ms(self, turn: Turn) -> int:
        """When a turn is, as far as is known by now."""
        return round(turn.at_ms + self._late_ms)

    @contextmanager
    def spending(self, turn: Turn) -> Iterator[None]:
        """What is done in a turn; the next are expected to take about as long as the last ones."""
        began_s = time.perf_counter()
        yield
        self.spent(turn, (time.perf_counter() - began_s) * 1000)

    def spent(self, turn: Turn, ms: float) -> None:
        """A turn is over and took so long; waiting for another system is not charged for."""
        charged_ms = min(ms, MOST_CHARGED_MS)
        self._late_ms += charged_ms / self.share - turn.kept_ms
        self._cost_ms += (charged_ms - self._cost_ms) / 10

    def give_back(self, turn: Turn) -> None:
        """A turn is not needed any more: those after it come earlier."""
        self._late_ms -= turn.kept_ms


def _next(experiment: str, after_ms: int, every_ms: int) -> int:
    return after_ms + every_ms - (after_ms - crc32(experiment.encode())) % every_ms
