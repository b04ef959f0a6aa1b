"""Days and hours of first exposure, as people name them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

HOUR_MS = 3_600_000
DAY_HOURS = 24
BOUND = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d))?")


class SliceError(Exception):
    """A slice that cannot be cut, or holds nobody; one line for people."""


@dataclass(frozen=True, slots=True)
class Cohorts:
    """From when to when users were first exposed, the end not included; None is open."""

    text: str
    begin_ms: int | None
    end_ms: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads ``FROM..TO``, days or hours in UTC, both inclusive; either may be absent, one alone is both.

        Raises:
            SliceError: It is written otherwise, or ends before it begins.
        """
        first, dots, last = text.partition("..")
        begin_ms, end_ms = _begin_ms(first, text), _end_ms(last if dots else first, text)
        if begin_ms is not None and end_ms is not None and begin_ms >= end_ms:
            raise SliceError(f"cohorts {text} end before they begin")
        return cls(text, begin_ms, end_ms)

    @property
    def is_whole(self) -> bool:
        """All there are, which is no slice."""
        return self.begin_ms is None and self.end_ms is None

    def check_between(self, width_hours: int, whose: str) -> None:
        """Raise SliceError, naming whose they are, unless both bounds lie between cohorts of this width."""
        for bound_ms in (self.begin_ms, self.end_ms):
            if bound_ms is not None and bound_ms % (width_hours * HOUR_MS):
                begun_ms = bound_ms - bound_ms % (width_hours * HOUR_MS)
                raise SliceError(
                    f"cohorts {self.text} cut one: those of {whose} are {width_hours} h wide, and "
                    f"{_spelled(bound_ms)} is inside the one that begins {_spelled(begun_ms)}"
                )


def _begin_ms(text: str, whole: str) -> int | None:
    return _hours(text, whole)[0] if text else None


def _end_ms(text: str, whole: str) -> int | None:
    return _hours(text, whole)[1] if text else None


def _hours(text: str, whole: str) -> tuple[int, int]:
    """Where a day or an hour begins and where it ends."""
    found = BOUND.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        day, hour = found.groups()
        begin_ms = int(datetime.fromisoformat(f"{day}T{hour or '00'}:00:00+00:00").timestamp()) * 1000
    except ValueError:
        raise SliceError(
            f"cohorts {whole!r}: {text!r} is neither a day (2026-11-20) nor an hour (2026-11-20T14), in UTC"
        ) from None
    return begin_ms, begin_ms + (1 if hour else DAY_HOURS) * HOUR_MS


def _spelled(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H}"
