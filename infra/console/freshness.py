"""How old the numbers are, and whether they are still being updated: a pure function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from infra.console import figures
from infra.console.source import Answer, Row

BEHIND_S = 60.0
"""A region that has counted nothing younger than this is missing; recovery from a crash takes less."""


class Liveness(StrEnum):
    """What a reader should think of the numbers' age."""

    LIVE = "live"
    QUIET = "quiet"
    """Nothing new came, and nothing tells whether that is because nothing was sent."""
    BEHIND = "behind"
    """Newer events are counted, and not yet in the numbers."""
    PARTIAL = "partial"
    STOPPED = "stopped"
    PAST = "past"
    """Asked for: as of a moment."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old the numbers are."""

    liveness: Liveness
    words: str
    """Beside the light on top of the page."""
    explanation: str
    """Why the numbers stopped; empty while they have not."""
    missing: tuple[str, ...] = ()
    """Regions, each with since when it is missing."""
    behind: tuple[str, ...] = ()
    """Names of the same."""
    regions: tuple[str, ...] = ()
    """Those known to be there or missing."""

    @property
    def short(self) -> str:
        """The same as ``words``, for a narrow place."""
        shorter = {Liveness.STOPPED: "stopped", Liveness.PAST: "as of then"}
        return shorter.get(self.liveness, self.words.partition(",")[0])

    @property
    def cautions(self) -> tuple[str, ...]:
        """What a reader must know of the numbers' age before anything else."""
        if self.liveness is Liveness.PARTIAL:
            return tuple(f"Region {each}: its users are counted only up to then." for each in self.missing)
        return (self.explanation,) if self.explanation else ()

    @property
    def is_well(self) -> bool:
        """Whether the numbers can be read as today's."""
        return self.liveness in (Liveness.LIVE, Liveness.QUIET)


def freshness(
    now: datetime,
    as_of: datetime | None,
    main: Answer,
    coverage: Answer,
    *,
    past: datetime | None = None,
    behind_since: datetime | None = None,
) -> Freshness:
    """How old what is shown is.

    Args:
        as_of: Up to when events of this experiment, or of its tenant, are counted.
        main: The answer the page is made of.
        coverage: The view ``coverage``; may be missing.
        past: The moment asked for, if one was.
        behind_since: The newest event in the numbers, if newer ones are counted that are not in them yet.
    """
    regions = tuple(str(row["region"]) for row in coverage.rows)
    if main.failure:
        return _stopped_reading(main, regions)
    if past is not None:
        return Freshness(Liveness.PAST, f"as of {figures.moment(past)}", "", regions=regions)
    if coverage.rows:
        return _by_region(now, coverage.rows, regions, behind_since)
    if behind_since is not None:
        return _counting(now, behind_since, regions)
    if as_of is None:
        return Freshness(Liveness.QUIET, "nothing counted yet", "")
    age = (now - as_of).total_seconds()
    if age <= BEHIND_S:
        return Freshness(Liveness.LIVE, f"{figures.duration(age)} old", "")
    words = f"last event {figures.duration(age)} ago"
    return Freshness(Liveness.QUIET, words, "")


def _stopped_reading(main: Answer, regions: tuple[str, ...]) -> Freshness:
    if not main.was_read:
        return Freshness(
            Liveness.STOPPED, "no answer", f"The results cannot be read: {main.failure}.", regions=regions
        )
    since = figures.moment(main.read_at)
    return Freshness(
        Liveness.STOPPED,
        f"stopped at {since}",
        f"ClickHouse does not answer: these are the numbers of {since}, and they are not updated.",
        regions=regions,
    )


def _counting(now: datetime, since: datetime, regions: tuple[str, ...]) -> Freshness:
    """Every region counts, and the numbers hold up to a moment."""
    age_s = (now - since).total_seconds()
    age = f"{figures.duration(age_s)} old"
    if age_s > BEHIND_S:
        return Freshness(Liveness.BEHIND, f"{age}, newer events are on their way", "", regions=regions)
    return Freshness(Liveness.LIVE, age, "", regions=regions)


def _by_region(
    now: datetime, rows: Sequence[Row], regions: tuple[str, ...], behind_since: datetime | None
) -> Freshness:
    lags = {str(row["region"]): (now - row["watermark"]).total_seconds() for row in rows}
    behind = {str(row["region"]): row["watermark"] for row in rows if lags[str(row["region"])] > BEHIND_S}
    missing = tuple(
        f"{figures.apart(region)} is missing since {figures.moment(since)}"
        for region, since in behind.items()
    )
    if len(behind) == len(rows):
        newest = figures.moment(max(behind.values()))
        return Freshness(
            Liveness.STOPPED,
            f"stopped at {newest}",
            f"Nothing has been counted since {newest}: what happened after is not in these numbers.",
            missing,
            tuple(behind),
            regions,
        )
    held = [row["watermark"] for row in rows if str(row["region"]) not in behind]
    since = min([*held, *([behind_since] if behind_since else [])])
    if behind:
        age = figures.duration((now - since).total_seconds())
        return Freshness(
            Liveness.PARTIAL,
            f"{age} old, without {figures.listed([figures.apart(region) for region in sorted(behind)])}",
            "",
            missing,
            tuple(behind),
            regions,
        )
    return _counting(now, since, regions)
