"""How long the oldest record that is not counted yet has waited, told from how long the log was when."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

MOST_POINTS = 2000
"""Of one topic; when all are taken a delay grows no more, but does not shrink either."""


class Backlog:
    """One topic's length over time; records are taken to be counted in the order in which they came.

    The k-th record came when the topic was k records long: a moment between two looks, which lies where the
    line between them is k long.
    """

    def __init__(self, counted: int, now_s: float, waiting_since_s: float | None = None) -> None:
        """
        Args:
            counted: So many records were counted when this began to look.
            now_s: When that was.
            waiting_since_s: When the first came that was not; None if all were.
        """
        first = (now_s, counted) if waiting_since_s is None else (waiting_since_s, counted + 1)
        self._points: deque[tuple[float, int]] = deque([first], MOST_POINTS)

    def grown(self, at_s: float, length: int) -> None:
        """The topic is this long now."""
        self._points.append((at_s, max(length, self._points[-1][1])))

    def delay_s(self, now_s: float, counted: int) -> float:
        """Seconds since the first record came that is not counted; 0 when all are."""
        while len(self._points) > 1 and self._points[1][1] <= counted:
            self._points.popleft()
        for (began_s, before), (ended_s, after) in pairwise(self._points):
            if after > counted:
                # Counts step back for seconds after a crash: then the oldest moment that is known.
                share = (counted + 1 - before) / (after - before) if counted >= before else 0
                return max(0.0, now_s - (began_s + share * (ended_s - began_s)))
        return 0.0
