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
from infra.console.reading import Reading

MIDDLE = 130.0
REACH = 118.0
"""From zero to the end of the scale, in units of the drawing, which is 260 wide."""
WIDEST = 4.0
"""Times the usual width, of two rows the narrower one's: a wider interval is cut, with an arrow, so that the
others stay readable."""
ALONE = 0.01


@dataclass(frozen=True, slots=True)
class Marks:
    """A row of the plot; positions in units of the drawing."""

    whisker: Interval | None
    box: Interval | None
    dot: float | None
    margin: float | None
    is_cut_left: bool
    is_cut_right: bool
    label: str
    """The same in words."""


@dataclass(frozen=True, slots=True)
class Scale:
    """From ``-limit`` to ``limit``, as shares of the control's mean."""

    limit: float

    @classmethod
    def of(cls, readings: Sequence[Reading]) -> Scale:
        """The scale on which all of these are seen; margins are always on it."""
        extents = [max(map(abs, each.shown)) for each in readings if each.shown is not None]
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
        return Marks(
            whisker=self._placed(reading.always),
            box=self._placed(reading.once),
            dot=None if reading.estimate is None or reading.shown is None else self.x(reading.estimate),
            margin=None if reading.margin is None else self.x(reading.margin),
            is_cut_left=ends.lower < -self.limit,
            is_cut_right=ends.upper > self.limit,
            label=_label(reading),
        )

    def _placed(self, found: Interval | None) -> Interval | None:
        return None if found is None else Interval(self.x(found.lower), self.x(found.upper))


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
    ]
    return f"{figures.name(reading.metric.metric_id)}, {figures.name(reading.treatment)}: " + ", ".join(
        part for part in parts if part
    )
