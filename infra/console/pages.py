"""From answers and definitions to what the templates show; nothing here asks or listens.

A template only places what it is given: every word and every position is decided here or below.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from infra.console import figures
from infra.console.definitions import Definition, Definitions
from infra.console.forest import Marks, Scale
from infra.console.freshness import Freshness, Liveness, freshness
from infra.console.reading import Metric, Reading, read
from infra.console.source import Answer, Row
from infra.console.state import POLICIES, VIEWS, State
from infra.console.verdict import Decision, Evidence, Split, Verdict, judge, reassurance

SPLIT_LIMIT = 0.001
"""Below it the sequential test says that users are not spread as planned."""
SEGMENTS_SHOWN = 12
DEFAULT_ALPHA = 0.05


class Tile(NamedTuple):
    """One thing to know before trusting a number; ``place`` is the part of the page behind it."""

    name: str
    value: str
    small: str
    place: str = ""
    is_trouble: bool = False


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


class Chart(NamedTuple):
    """One metric and treatment over time."""

    reading: Reading
    points: tuple[Point, ...]
    marks: tuple[Mark, ...]
    note: str

    @property
    def is_drawn(self) -> bool:
        """Whether any moment has an answer."""
        return any(point.estimate is not None for point in self.points)


class Choice(NamedTuple):
    """A way to look at the same experiment."""

    words: str
    url: str
    is_chosen: bool


class Answers(NamedTuple):
    """What an experiment's page is made of."""

    results: Answer
    history: Answer
    sample_ratio: Answer
    """Of the moment asked for."""
    users: Answer
    ledger: Answer
    coverage: Answer
    decisions: Answer


@dataclass(frozen=True, slots=True)
class Headline:
    """An experiment in the list."""

    experiment: str
    url: str
    verdict: Verdict
    users: int
    split: Split
    about: str
    freshness: Freshness


@dataclass(frozen=True, slots=True)
class TenantList:
    """A tenant's experiments at a glance."""

    tenant: str
    url: str
    experiments: tuple[Headline, ...]
    freshness: Freshness


@dataclass(frozen=True, slots=True)
class ExperimentPage:
    """Everything on an experiment's page."""

    state: State
    definition: Definition | None
    about: tuple[str, ...]
    verdict: Verdict
    reassurance: str
    freshness: Freshness
    tiles: tuple[Tile, ...]
    tables: tuple[Table, ...]
    segments: tuple[Table, ...]
    chart: Chart | None
    decisions: tuple[Decision, ...]
    decisions_note: str
    split_rows: tuple[tuple[str, str, str], ...]
    split_words: str
    ledger: tuple[tuple[str, str], ...]
    refused: tuple[tuple[str, str], ...]
    views: tuple[Choice, ...]
    policies: tuple[Choice, ...]
    versions: tuple[Choice, ...]
    empty_note: str
    now: datetime

    @property
    def is_live(self) -> bool:
        """Whether the page refreshes itself."""
        return self.state.as_of is None

    @property
    def is_one_look(self) -> bool:
        """Whether its intervals may be read once only."""
        return is_one_look(self.state)


# ------------------------------------------------------------------------------------------ the list


def tenant_list(
    tenant: str,
    headlines: Answer,
    ratios: Answer,
    decisions: Answer,
    coverage: Answer,
    definitions: Definitions,
    now: datetime,
) -> TenantList:
    """A tenant's experiments: those with results, and those that are defined and wait for users."""
    rows: dict[str, list[Row]] = {}
    for row in headlines.rows:
        rows.setdefault(row["experiment_id"], []).append(row)
    defined = {experiment for owner, experiment in definitions if owner == tenant}
    as_of = max((row["as_of"] for row in headlines.rows), default=None)
    found = tuple(
        _headline(
            State(tenant, experiment),
            rows.get(experiment, []),
            [row for row in ratios.rows if row["experiment_id"] == experiment],
            [row for row in decisions.rows if row["experiment_id"] == experiment],
            definitions.get((tenant, experiment)),
            freshness(
                now,
                max((row["as_of"] for row in rows.get(experiment, ())), default=None),
                headlines,
                coverage,
            ),
            now,
        )
        for experiment in sorted(rows.keys() | defined)
    )
    return TenantList(tenant, f"/tenants/{tenant}", found, freshness(now, as_of, headlines, coverage))


def _headline(
    state: State,
    rows: Sequence[Row],
    ratios: Sequence[Row],
    decided: Sequence[Row],
    definition: Definition | None,
    fresh: Freshness,
    now: datetime,
) -> Headline:
    readings = _readings(rows, definition)
    split = _split(ratios)
    verdict = judge(_evidence(readings, split, in_force(decided, definition), fresh, state, definition))
    ended = definition.ended_at if definition else None
    return Headline(
        experiment=state.experiment,
        url=state.url,
        verdict=verdict,
        users=sum(ratios[0]["counts"]) if ratios else 0,
        split=split,
        about=f"ended {figures.moment(ended)}" if ended and ended <= now else "",
        freshness=fresh,
    )


# ------------------------------------------------------------------------------------ the experiment


def experiment_page(
    state: State, answers: Answers, definition: Definition | None, now: datetime
) -> ExperimentPage:
    """One experiment, as the state asks for it."""
    rows = answers.results.rows
    readings = _readings(rows, definition)
    everyone = [each for each in readings if not each.segment]
    chosen = chosen_reading(state, everyone)
    ledger = answers.ledger.rows[0] if answers.ledger.rows else None
    counted_up_to = max(
        [row["as_of"] for row in rows]
        + [row["counted_up_to"] for row in answers.ledger.rows if row["received"]],
        default=None,
    )
    fresh = freshness(now, counted_up_to, answers.results, answers.coverage, past=state.as_of)
    ratios = [row for row in answers.sample_ratio.rows if not row["segment"]]
    split = Split.NOT_KEPT if state.as_of is not None and not ratios else _split(ratios)
    decided = in_force(answers.decisions.rows, definition)
    evidence = _evidence(everyone, split, decided, fresh, state, definition)
    return ExperimentPage(
        state=state,
        definition=definition,
        about=_about(definition, now),
        verdict=judge(evidence),
        reassurance=reassurance(evidence) if not fresh.explanation else "",
        freshness=fresh,
        tiles=_tiles(state, everyone, split, ratios, fresh, answers, ledger),
        tables=_tables(state, everyone, chosen),
        segments=_segments(state, readings, chosen),
        chart=_chart(state, chosen, rows, answers, definition),
        decisions=tuple(_decision(row) for row in answers.decisions.rows),
        decisions_note=_decisions_note(answers.decisions),
        split_rows=_split_rows(ratios),
        split_words=_split_words(split, ratios),
        ledger=_ledger(ledger),
        refused=_refused(ledger),
        views=_choices(state, "view", VIEWS, _VIEW_WORDS),
        policies=_choices(state, "policy", POLICIES, _POLICY_WORDS),
        versions=_version_choices(state, definition),
        empty_note=_empty_note(state, answers.results),
        now=now,
    )


def chosen_reading(state: State, everyone: Sequence[Reading]) -> Reading | None:
    """The metric and treatment whose history and segments are shown: the asked one, else the first goal."""
    asked = [
        each
        for each in everyone
        if state.metric in ("", each.metric.metric_id) and state.treatment in ("", each.treatment)
    ]
    goals = [each for each in asked if each.metric.role == "goal"]
    return next(iter(goals or asked), None)


def is_one_look(state: State) -> bool:
    """Whether these users are a question of their own, without an interval for any moment."""
    return state.view.startswith("rolling") or state.policy != POLICIES[0]


def readings_of_everyone(results: Answer, definition: Definition | None) -> list[Reading]:
    """Each metric and treatment, segments left out."""
    return _readings([row for row in results.rows if not row["segment"]], definition)


def in_force(rows: Sequence[Row], definition: Definition | None) -> list[Decision]:
    """Decisions about the newest version; what an earlier version was stopped for may be mended by now."""
    newest = definition.newest.config_version if definition else 0
    return [_decision(row) for row in rows if not 0 < row["config_version"] < newest]


def _readings(rows: Sequence[Row], definition: Definition | None) -> list[Reading]:
    """In the order of the definition, everyone before segments."""
    alpha = definition.alpha if definition else DEFAULT_ALPHA
    order = [metric.metric_id for metric in definition.newest.metrics] if definition else []
    known = {metric_id: place for place, metric_id in enumerate(order)}

    def place(row: Row) -> tuple[str, int, str, str]:
        metric_id = row["metric_id"]
        return row["segment"], known.get(metric_id, len(known)), metric_id, row["treatment_variant"]

    return [
        read(
            row, definition.metric(row["metric_id"]) if definition else Metric(row["metric_id"]), alpha=alpha
        )
        for row in sorted(rows, key=place)
    ]


def _evidence(
    readings: Sequence[Reading],
    split: Split,
    decided: Sequence[Decision],
    fresh: Freshness,
    state: State,
    definition: Definition | None,
) -> Evidence:
    return Evidence(
        readings=readings,
        split=split,
        decisions=decided,
        cautions=fresh.cautions,
        is_one_look=is_one_look(state),
        alpha=definition.alpha if definition else DEFAULT_ALPHA,
    )


def _about(definition: Definition | None, now: datetime) -> tuple[str, ...]:
    """Version, allocation, end."""
    if definition is None:
        return ("its definition is not known here: no metric has a direction",)
    newest = definition.newest
    shares = ", ".join(f"{variant} {figures.percent(share, 0)}" for variant, share in newest.shares.items())
    lines = [f"version {newest.config_version}, since {figures.day(newest.published_at)}", shares]
    ended = definition.ended_at
    if ended is not None:
        lines.append(f"{'ended' if ended <= now else 'ends'} {figures.moment(ended)}")
    return tuple(lines)


# ------------------------------------------------------------------------------------ trust at a glance


def _tiles(
    state: State,
    everyone: Sequence[Reading],
    split: Split,
    ratios: Sequence[Row],
    fresh: Freshness,
    answers: Answers,
    ledger: Row | None,
) -> tuple[Tile, ...]:
    users = {row["unit_class"]: row for row in answers.users.rows}
    counted = [row for name, row in users.items() if name != "bot"]
    total = sum(row["users"] for row in counted)
    of_a_day = sum(row["users_of_a_day"] for row in counted)
    crossed = users.get("crossed", {}).get("users", 0)
    bots = users.get("bot", {}).get("users", 0)
    tiles = [
        Tile("Users", figures.whole(total), f"{figures.whole(of_a_day)} in the last day", "#sample-ratio"),
        Tile(
            "Sample ratio",
            split,
            _observed(ratios),
            "#sample-ratio",
            split is Split.NOT_AS_PLANNED,
        ),
        Tile("Fresh", fresh.short, _fresh_small(fresh), "#ledger", not fresh.is_well and state.as_of is None),
        _late_and_refused(ledger),
        Tile(
            "Crossed users",
            figures.percent(crossed / total) if total else figures.NOTHING,
            f"counted where first seen; {figures.whole(bots)} bots left out",
            "#look",
        ),
        Tile(
            "Regions",
            " · ".join(fresh.regions) or figures.NOTHING,
            f"missing: {', '.join(fresh.behind)}"
            if fresh.behind
            else ("all counted" if fresh.regions else "not told"),
            "#ledger",
            bool(fresh.behind),
        ),
    ]
    return tuple(tiles)


def _fresh_small(fresh: Freshness) -> str:
    return {
        Liveness.LIVE: "every few seconds",
        Liveness.QUIET: "nothing was sent, or something stopped",
        Liveness.PARTIAL: "part of the users",
        Liveness.STOPPED: "not updated",
        Liveness.PAST: "not updated, as asked",
    }[fresh.liveness]


def _late_and_refused(ledger: Row | None) -> Tile:
    if ledger is None or not ledger["received"]:
        return Tile("Late and refused", figures.NOTHING, "nothing received", "#ledger")
    share = (ledger["late"] + ledger["rejected"]) / ledger["received"]
    small = f"{figures.whole(ledger['late'])} late, counted · {figures.whole(ledger['rejected'])} refused"
    return Tile("Late and refused", figures.percent(share), small, "#ledger")


def _split(ratios: Sequence[Row]) -> Split:
    if not ratios:
        return Split.UNKNOWN
    row = ratios[0]
    if row["reason"] == "leak":
        return Split.NOT_AS_PLANNED
    if row["status"] != "ok" or row["seq_p_value"] is None:
        return Split.UNKNOWN
    lowest = min(row["seq_p_value"], 1.0 if row["seq_p_min"] is None else row["seq_p_min"])
    return Split.NOT_AS_PLANNED if lowest < SPLIT_LIMIT else Split.AS_PLANNED


def _observed(ratios: Sequence[Row]) -> str:
    if not ratios or not sum(ratios[0]["counts"]):
        return ""
    counts = ratios[0]["counts"]
    return " / ".join(figures.percent(count / sum(counts), 2) for count in counts)


def _split_rows(ratios: Sequence[Row]) -> tuple[tuple[str, str, str], ...]:
    if not ratios:
        return ()
    row = ratios[0]
    return tuple(
        (variant, figures.whole(count), figures.whole(expected))
        for variant, count, expected in zip(row["variants"], row["counts"], row["expected"], strict=True)
    )


def _split_words(split: Split, ratios: Sequence[Row]) -> str:
    if split is Split.NOT_KEPT:
        return "Nothing is kept of the sample ratio at this moment."
    if not ratios:
        return "No user has been counted yet."
    row = ratios[0]
    if row["reason"] == "leak":
        return "Users were found in a variant that should receive nobody."
    if row["seq_p_value"] is None:
        return "Too few users to tell whether they were split as planned."
    if split is Split.NOT_AS_PLANNED:
        lowest = min(row["seq_p_value"], 1.0 if row["seq_p_min"] is None else row["seq_p_min"])
        return (
            f"Were users split as planned, {figures.one_in(lowest)} would ever be this far from it. "
            "The groups may differ for other reasons than the change."
        )
    return "The split is as one expects from chance, however often it was looked at."


# -------------------------------------------------------------------------------------- tables and plots


def _tables(state: State, everyone: Sequence[Reading], chosen: Reading | None) -> tuple[Table, ...]:
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


def _segments(state: State, readings: Sequence[Reading], chosen: Reading | None) -> tuple[Table, ...]:
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
            f"{left} smaller ones: livelift results {state.tenant} {state.experiment} --segment …"
            if left > 0
            else ""
        )
        table = _table(f"By {dimension}", largest[:SEGMENTS_SHOWN], state, chosen, note)
        tables.append(table._replace(slug=f"segment-{number}"))
    return tuple(tables)


def _chart(
    state: State,
    chosen: Reading | None,
    rows: Sequence[Row],
    answers: Answers,
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
    moments = {row["computed_at"]: row for row in (*answers.history.rows, *now)}
    points = tuple(_point(state, row, chosen) for _, row in sorted(moments.items()))
    note = "This database keeps no history yet." if answers.history.is_missing else ""
    return Chart(chosen, points, _marks(answers.decisions.rows, definition, points), note)


def _point(state: State, row: Row, chosen: Reading) -> Point:
    found = read(row, chosen.metric)
    return Point(
        row["computed_at"], found.estimate, found.always, found.once, state.but(as_of=row["computed_at"]).url
    )


def _marks(
    decided: Sequence[Row], definition: Definition | None, points: Sequence[Point]
) -> tuple[Mark, ...]:
    if not points:
        return ()
    found = [Mark(row["decided_at"], f"{row['kind']}: {figures.name(row['metric_id'])}") for row in decided]
    for version in definition.versions if definition else ():
        found.append(Mark(version.published_at, f"version {version.config_version}"))
    return tuple(sorted(mark for mark in found if points[0].moment <= mark.moment <= points[-1].moment))


# ----------------------------------------------------------------------------------- decisions and ledger


def _decision(row: Row) -> Decision:
    return Decision(
        decision_id=row["decision_id"],
        kind=row["kind"],
        metric_id=row["metric_id"],
        treatment=row["treatment_variant"],
        decided_at=row["decided_at"],
        message=row["message"],
        config_version=row["config_version"],
        inputs=_pretty(row["inputs"]),
    )


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def _decisions_note(decisions: Answer) -> str:
    if decisions.is_missing:
        return "This database keeps no decisions yet."
    if decisions.failure and not decisions.was_read:
        return "The decisions cannot be read now."
    return "" if decisions.rows else "Nothing had to be decided: no boundary has been crossed."


_LEDGER_WORDS = {
    "received": "received",
    "counted": "counted",
    "duplicate": "duplicate",
    "waiting": "waiting for an exposure or a definition",
    "expired_unmatched": "never matched",
    "rejected": "refused",
    "residue": "difference",
}
_REFUSED = (
    *("unreadable", "mismatch", "bad_value", "from_future", "too_late"),
    *("unknown_definition", "unknown_variant", "ended"),
)


def _ledger(ledger: Row | None) -> tuple[tuple[str, str], ...]:
    if ledger is None or not ledger["received"]:
        return ()
    return tuple((words, figures.whole(ledger[name])) for name, words in _LEDGER_WORDS.items())


def _refused(ledger: Row | None) -> tuple[tuple[str, str], ...]:
    if ledger is None:
        return ()
    return tuple((figures.name(name), figures.whole(ledger[name])) for name in _REFUSED if ledger[name])


# ---------------------------------------------------------------------------------------- ways to look

_VIEW_WORDS = {
    "all": "all users",
    "matured": "matured users",
    "rolling_24h": "last 24 hours",
    "rolling_7d": "last 7 days",
}
_POLICY_WORDS = {"first_seen": "where first seen", "exclude_crossed": "leave crossed users out"}


def _choices(state: State, name: str, values: Sequence[str], words: Mapping[str, str]) -> tuple[Choice, ...]:
    return tuple(
        Choice(words[value], state.but(**{name: value}).url, getattr(state, name) == value)
        for value in values
    )


def _version_choices(state: State, definition: Definition | None) -> tuple[Choice, ...]:
    if definition is None or len(definition.versions) < 2:
        return ()
    numbers = [0, *(version.config_version for version in definition.versions)]
    return tuple(
        Choice(
            f"version {number}" if number else "all versions",
            state.but(config_version=number).url,
            state.config_version == number,
        )
        for number in numbers
    )


def _empty_note(state: State, results: Answer) -> str:
    """Why there is no table; empty where there is one."""
    if results.rows or results.failure:
        return ""
    if results.is_missing:
        return (
            "This database keeps no history, so the past cannot be shown."
            if state.as_of
            else "There are no results in this database."
        )
    if state.as_of is not None:
        return "Nothing is kept of this moment: it is before the first result, or before history was kept."
    if (state.view, state.policy, state.config_version) != ("all", "first_seen", 0):
        return f"There are no results for {_VIEW_WORDS[state.view]} yet, or no user is among them now."
    return ""  # the headline says it
