"""Where the marks of a forest plot are: one scale for all rows of a table, zero in the middle.

Drawn by the server as SVG: it is there before any script runs, prints, and a screen reader gets its sentence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

from infra.console import figures
from infra.console.figures import Interval
from infra.console.reading import NOTHING_LEFT, Reading

MIDDLE = 130.0
REACH = 118.0
"""From zero to the end of the scale, in units of the drawing, which is 260 wide."""
WIDEST = 4.0
"""Times the usual width, of two rows the narrower one's: a wider interval is cut, with an arrow, so that the
others stay readable."""
ALONE = 0.01
LEFT, RIGHT = 1.0, 259.0
"""Where arrows at the ends of the drawing point to."""


@dataclass(frozen=True, slots=True)
class Marks:
    """A row of the plot; positions in units of the drawing."""

    whisker: Interval | None
    box: Interval | None
    dot: float | None
    margin: float | None
    cut_left: float | None
    """Where the drawing ends and the interval goes on."""
    cut_right: float | None
    label: str
    """The same in words."""


@dataclass(frozen=True, slots=True)
class Scale:
    """From ``-limit`` to ``limit``, as shares of the control's mean."""

    limit: float

    @classmethod
    def of(cls, readings: Sequence[Reading]) -> Scale:
        """The scale on which all of these are seen; margins are always on it."""
        extents = [_extent(each.shown, each.estimate) for each in readings if each.shown is not None]
        margins = [abs(each.margin) for each in readings if each.margin]
        if not extents:
            return cls(_round(max(margins, default=ALONE)))
        widest = min(max(extents), WIDEST * median_low(extents))
        return cls(_round(max(widest, *margins, 1e-9)))

    @property
    def ends(self) -> tuple[str, str]:
        """What stands at both ends."""
        decimals = figures.decimals_for(self.limit) if self.limit < 0.01 else 0
        low, high = (figures.percent(end, decimals, signed=True) for end in (-self.limit, self.limit))
        return low, high

    def x(self, value: float) -> float:
        """Where a value is, at most a little beyond the ends."""
        return round(MIDDLE + REACH * max(-1.03, min(1.03, value / self.limit)), 1)

    def marks(self, reading: Reading) -> Marks:
        """The marks of a row."""
        ends = reading.shown or Interval(0.0, 0.0)
        floor = reading.metric.floor
        lowest = -self.limit if floor is None else max(-self.limit, floor)
        dot = None if reading.shown is None else reading.estimate
        return Marks(
            whisker=self._placed(reading.always, floor),
            box=self._placed(reading.once, floor),
            dot=None if dot is None or not lowest <= dot <= self.limit else self.x(dot),
            margin=None if reading.margin is None else self.x(reading.margin),
            cut_left=None if ends.lower >= lowest else LEFT if lowest == -self.limit else self.x(lowest),
            cut_right=None if ends.upper <= self.limit else RIGHT,
            label=_label(reading),
        )

    def _placed(self, found: Interval | None, floor: float | None) -> Interval | None:
        if found is None:
            return None
        lowest = -math.inf if floor is None else floor
        return Interval(*(self.x(max(lowest, end)) for end in found))


def _extent(shown: Interval, estimate: float | None) -> float:
    """How far a row wants the scale to reach: one below -100 % is too wide to ask for more than its dot."""
    farthest = max(map(abs, shown))
    return farthest if shown.lower >= NOTHING_LEFT else min(farthest, max(1.0, abs(estimate or 0.0)))


def _round(limit: float) -> float:
    """The next 1, 2 or 5 of its size."""
    size = 10.0 ** math.floor(math.log10(limit))
    return next(step * size for step in (1, 2, 5, 10) if step * size >= limit * 0.999)


def _label(reading: Reading) -> str:
    estimate = (
        "" if reading.estimate is None else f"difference {figures.percent(reading.estimate, signed=True)}"
    )
    parts = [
        estimate,
        f"always-valid interval {figures.span(reading.always)}" if reading.always else "",
        f"interval for one look {figures.span(reading.once)}" if reading.once else "",
        f"harm begins at {figures.percent(reading.margin, signed=True)}"
        if reading.margin is not None
        else "",
        reading.beyond,
    ]
    return f"{reading.metric.metric_id}, {reading.treatment}: {', '.join(part for part in parts if part)}"
