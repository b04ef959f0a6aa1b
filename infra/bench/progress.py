"""From looks at a running job to what it does in a second, and what a record costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

SKIPPED_SHARE = 0.4
"""Of the records, at the beginning of a run: start-up, class loading, and the compiler's warm-up, which takes
about half a minute on two cores."""


class Look(NamedTuple):
    """A running job at one moment: records its sources have read, processor time of its processes, so far."""

    at_s: float
    records: float
    cpu_s: float


class Measured(NamedTuple):
    """What happened between two points of progress in the records."""

    records: float
    seconds: float
    cpu_s: float

    @property
    def events_per_s(self) -> float:
        return self.records / self.seconds

    @property
    def cpu_us_per_event(self) -> float:
        """Microseconds of processor time, of all cores together."""
        return self.cpu_s / self.records * 1e6


class NoProgressError(Exception):
    """The looks do not show the job working between the two points; one line."""


def steady(looks: Sequence[Look], *, since: float | None = None) -> Measured:
    """What a job did from ``since`` records on, by default after the first two fifths of what it read.

    Unless ``since`` is 0 the start-up is never measured: where the first look at a job that has read
    something comes after those, the measurement begins at that look.

    Raises:
        NoProgressError: It was not seen on its way between there and its end.
    """
    working = [look for look in looks if look.records > 0]
    if not working:
        raise NoProgressError(f"{len(looks)} looks show no record read")
    end = working[-1].records
    if since is not None:
        return between(looks, since, end)
    return between(working, max(SKIPPED_SHARE * end, working[0].records), end)


def between(looks: Sequence[Look], first: float, last: float) -> Measured:
    """What a job did from the moment it had read ``first`` records until it had read ``last``.

    Between two looks it is taken to have been even. Looks after the last record do not count, however long
    the job went on without any.

    Raises:
        NoProgressError: The looks do not reach from one point to the other.
    """
    start, stop = _moment(looks, first), _moment(looks, last)
    if not (stop.at_s > start.at_s and stop.records > start.records):
        raise NoProgressError(f"{len(looks)} looks do not show how {first:,.0f} records became {last:,.0f}")
    return Measured(stop.records - start.records, stop.at_s - start.at_s, stop.cpu_s - start.cpu_s)


def _moment(looks: Sequence[Look], records: float) -> Look:
    """When so many had been read, as if at a look."""
    for index, after in enumerate(looks):
        if after.records >= records:
            before = looks[max(0, index - 1)]
            gained = after.records - before.records
            part = (records - before.records) / gained if gained else 1.0
            values = (a + part * (b - a) for a, b in zip(before, after, strict=True))
            return Look(*values)
    raise NoProgressError(f"{records:,.0f} records were not reached")
