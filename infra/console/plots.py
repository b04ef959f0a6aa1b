"""The drawings of an experiment's page: forest plots of metrics and segments, and one metric over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from infra.console import figures
from infra.console.definitions import Definition
from infra.console.forest import Marks, Scale
from infra.console.reading import Reading, read
from infra.console.source import Answer, Row
from infra.console.state import State

SEGMENTS_SHOWN = 12


class ForestRow(NamedTuple):
    """A reading with its drawing."""

    reading: Reading
    marks: Marks
    url: str
    """Shows this one over time and by segment."""
    is_chosen: bool


class Table(NamedTuple):
    """Rows on one scale."""

    title: str
    slug: str
    rows: tuple[ForestRow, ...]
    scale: Scale
    note: str = ""

    @property
    def is_drawn(self) -> bool:
        """Whether any row has a mark, so that there is something to have a scale for."""
        return any(row.reading.shown is not None for row in self.rows)


class Point(NamedTuple):
    """The intervals as they were at a moment, as percent of the control's mean."""

    moment: datetime
    estimate: float | None
    always: figures.Interval | None
    once: figures.Interval | None
    url: str


class Mark(NamedTuple):
    """Something that happened while the experiment ran."""

    moment: datetime
    words: str
    is_crossing: bool = False
    """The interval itself first left zero out; all others happened around it."""


class Chart(NamedTuple):
    """One metric and treatment over time."""

    reading: Reading
    points: tuple[Point, ...]
    marks: tuple[Mark, ...]
    note: str

    @property
    def label(self) -> str:
        """The drawing in words."""
        crossing = "".join(
            f"; {mark.words} at {figures.moment(mark.moment)}" for mark in self.marks if mark.is_crossing
        )
        newest = f"the newest interval is {self.reading.words}{crossing}"
        return f"{self.reading.metric.metric_id} over time: {newest}. The moments are in the table below."

    @property
    def is_drawn(self) -> bool:
        """Whether any moment has an answer."""
        return any(point.estimate is not None for point in self.points)


def tables_by_role(state: State, everyone: Sequence[Reading], chosen: Reading | None) -> tuple[Table, ...]:
    """Goals, guardrails and the others, each on a scale of its own."""
    roles = {
        "Goals": [each for each in everyone if each.metric.role == "goal"],
        "Guardrails": [each for each in everyone if each.metric.is_guardrail],
        "Other metrics": [each for each in everyone if each.metric.role == "secondary"],
        "Metrics": [each for each in everyone if not each.metric.role],
    }
    notes = {"Goals": "Adjusted for each other: the more goals, the more each one needs."}
    return tuple(
        _table(title, readings, state, chosen, notes.get(title, ""))
        for title, readings in roles.items()
        if readings
    )


def _table(title: str, readings: Sequence[Reading], state: State, chosen: Reading | None, note: str) -> Table:
    scale = Scale.of(readings)
    rows = tuple(
        ForestRow(
            each,
            scale.marks(each),
            state.but(metric=each.metric.metric_id, treatment=each.treatment).url + "#over-time",
            chosen is not None and _place(each) == _place(chosen),
        )
        for each in readings
    )
    return Table(title, title.lower().replace(" ", "-"), rows, scale, note)


def _place(reading: Reading) -> tuple[str, str]:
    return reading.metric.metric_id, reading.treatment


def tables_by_segment(state: State, readings: Sequence[Reading], chosen: Reading | None) -> tuple[Table, ...]:
    """The chosen metric by each dimension, its largest values first."""
    if chosen is None:
        return ()
    dimensions: dict[str, list[Reading]] = {}
    for each in readings:
        if each.segment and _place(each) == _place(chosen):
            dimensions.setdefault(each.segment.partition("=")[0], []).append(each)
    tables = []
    for number, (dimension, found) in enumerate(sorted(dimensions.items())):
        largest = sorted(found, key=lambda each: -(each.n_control + each.n_treatment))
        left = len(largest) - SEGMENTS_SHOWN
        note = (
            f"{left} smaller ones: "
            + figures.apart(f"livelift results {state.tenant} {state.experiment} --segment …")
            if left > 0
            else ""
        )
        table = _table(f"By {dimension}", largest[:SEGMENTS_SHOWN], state, chosen, note)
        tables.append(table._replace(slug=f"segment-{number}"))
    return tuple(tables)


def over_time(
    state: State,
    chosen: Reading | None,
    rows: Sequence[Row],
    history: Answer,
    decided: Sequence[Row],
    definition: Definition | None,
) -> Chart | None:
    """What was known at each moment; the newest row closes it, as the history keeps one a minute."""
    if chosen is None:
        return None
    now = [
        row
        for row in rows
        if not row["segment"] and (row["metric_id"], row["treatment_variant"]) == _place(chosen)
    ]
    moments = {row["computed_at"]: row for row in (*history.rows, *now)}
    points = tuple(_point(state, row, chosen) for _, row in sorted(moments.items()))
    note = "This database keeps no history yet." if history.is_missing else ""
    return Chart(chosen, points, _marks(chosen, decided, definition, points), note)


def _point(state: State, row: Row, chosen: Reading) -> Point:
    found = read(row, chosen.metric)
    return Point(
        row["computed_at"], found.estimate, found.always, found.once, state.but(as_of=row["computed_at"]).url
    )


def _marks(
    chosen: Reading, decided: Sequence[Row], definition: Definition | None, points: Sequence[Point]
) -> tuple[Mark, ...]:
    """The crossing always, for the history may have begun after it; what happened around it, if in time."""
    if not points:
        return ()
    found = [Mark(row["decided_at"], _decided(row)) for row in decided]
    for version in definition.versions if definition else ():
        found.append(Mark(version.published_at, f"version {version.config_version}"))
    seen = [mark for mark in found if points[0].moment <= mark.moment <= points[-1].moment]
    if chosen.crossed_at is not None:
        seen.append(Mark(chosen.crossed_at, "boundary first crossed", is_crossing=True))
    return tuple(sorted(seen))


def _decided(row: Row) -> str:
    return f"{row['kind']}: {figures.apart(row['metric_id'])}" if row["metric_id"] else str(row["kind"])
