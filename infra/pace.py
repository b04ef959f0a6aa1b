"""Keeping to a rate of so many things a second."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Says whether the next thing would be early; a late one makes up for the time lost.

    Args:
        rate: Things a second.
        clock: Seconds that only grow.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._began = clock()
        self._done = 0

    @property
    def seconds(self) -> float:
        """Since the start."""
        return self._clock() - self._began

    def count(self) -> None:
        """One thing more is done."""
        self._done += 1

    def seconds_early(self) -> float:
        """How long to wait until the next thing is due; not positive when it is."""
        return self._done / self._rate - self.seconds
