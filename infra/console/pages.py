"""From answers and definitions to what the templates show; nothing here asks or listens.

A template only places what it is given: every word and every position is decided here, in ``trust.py`` and in
``plots.py``, or below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlencode

from infra.console import figures, plots, trust
from infra.console.definitions import Definition, Definitions, Known
from infra.console.freshness import Freshness, freshness
from infra.console.reading import Metric, Reading, days_to_plan, read
from infra.console.source import Answer, Row
from infra.console.state import POLICIES, VIEWS, State
from infra.console.verdict import Decision, Evidence, Split, Verdict, judge, reassurance

DEFAULT_ALPHA = 0.05

EXPERIMENTS_SHOWN = 100
"""Of a tenant on a page of the list."""


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
    totals: Answer
    """Up to when the experiment is counted; its results may be behind."""
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
    following: str
    """Address of those that come after; empty at the end."""
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
    tiles: tuple[trust.Tile, ...]
    tables: tuple[plots.Table, ...]
    segments: tuple[plots.Table, ...]
    chart: plots.Chart | None
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
    after: str = "",
) -> TenantList:
    """A tenant's experiments after one: those with results, and those that are defined and wait for users."""
    rows: dict[str, list[Row]] = {}
    for row in headlines.rows:
        rows.setdefault(row["experiment_id"], []).append(row)
    defined = {experiment for owner, experiment in definitions if owner == tenant}
    names = sorted(rows.keys() | {name for name in defined if name > after})
    if len(rows) >= EXPERIMENTS_SHOWN:
        # Of those after it nothing was asked: they may have results.
        names = [name for name in names if name <= max(rows)]
    shown = names[:EXPERIMENTS_SHOWN]
    is_end = shown == names and len(rows) < EXPERIMENTS_SHOWN
    url = f"/tenants/{tenant}"
    as_of = max((row["as_of"] for row in headlines.rows), default=None)
    found = tuple(
        _headline(
            State(tenant, experiment),
            rows.get(experiment, []),
            [row for row in ratios.rows if row["experiment_id"] == experiment],
            [row for row in decisions.rows if row["experiment_id"] == experiment],
            definitions.get((tenant, experiment)),
            headlines,
            freshness(
                now,
                max((row["as_of"] for row in rows.get(experiment, ())), default=None),
                headlines,
                coverage,
            ),
            now,
        )
        for experiment in shown
    )
    following = "" if is_end else f"{url}?{urlencode({'after': shown[-1]})}"
    return TenantList(tenant, url, found, following, freshness(now, as_of, headlines, coverage))


def _headline(
    state: State,
    rows: Sequence[Row],
    ratios: Sequence[Row],
    decided: Sequence[Row],
    definition: Definition | None,
    headlines: Answer,
    fresh: Freshness,
    now: datetime,
) -> Headline:
    has_ended = definition is not None and definition.has_ended(now)
    readings = _readings(rows, definition)
    split = trust.split_of(ratios)
    in_force, nothing = trust.in_force(decided, definition), _nothing(state, headlines)
    verdict = judge(
        _evidence(readings, split, in_force, fresh, state, definition, has_ended=has_ended, nothing=nothing)
    )
    ended = definition.ended_at if definition else None
    return Headline(
        experiment=state.experiment,
        url=state.url,
        verdict=verdict,
        users=sum(ratios[0]["counts"]) if ratios else 0,
        split=split,
        about=f"ended {figures.moment(ended)}" if ended and has_ended else "",
        freshness=fresh,
    )


# ------------------------------------------------------------------------------------ the experiment


def experiment_page(state: State, answers: Answers, known: Known, now: datetime) -> ExperimentPage:
    """One experiment, as the state asks for it: of a moment, only what was known then."""
    definition = definition_of(state, known)
    has_ended = definition is not None and definition.has_ended(state.as_of or now)
    rows = answers.results.rows
    readings = _readings(rows, definition)
    everyone = [each for each in readings if not each.segment]
    days_left = days_to_plan(everyone)
    decided = trust.in_force(answers.decisions.rows, definition)
    chosen = _chosen(state, everyone, decided)
    ledger = answers.ledger.rows[0] if answers.ledger.rows else None
    counted_up_to = max(
        [row["as_of"] for row in rows]
        + [row["counted_up_to"] for row in answers.ledger.rows if row["received"]],
        default=None,
    )
    fresh = freshness(
        now,
        counted_up_to,
        answers.results,
        answers.coverage,
        past=state.as_of,
        behind_since=_behind_since(answers),
    )
    ratios = [row for row in answers.sample_ratio.rows if not row["segment"]]
    split = Split.NOT_KEPT if state.as_of is not None and not ratios else trust.split_of(ratios)
    nothing = _nothing(state, answers.results)
    evidence = _evidence(
        everyone, split, decided, fresh, state, definition, has_ended=has_ended, nothing=nothing
    )
    verdict = judge(evidence)
    return ExperimentPage(
        state=state,
        definition=definition,
        about=_about(
            definition, known, state.as_of or now, is_anywhere=bool(rows) or not answers.results.was_read
        ),
        verdict=verdict,
        reassurance=reassurance(evidence) if not fresh.explanation else "",
        freshness=fresh,
        tiles=(
            trust.tiles(answers.users.rows, split, ratios, fresh, ledger, days_left)
            if state.as_of is None
            else trust.tiles_then(rows, split, ratios, fresh, days_left)
        ),
        tables=plots.tables_by_role(state, everyone, chosen),
        segments=plots.tables_by_segment(state, readings, chosen),
        chart=plots.over_time(state, chosen, rows, answers.history, answers.decisions.rows, definition),
        decisions=tuple(trust.decision_of(row) for row in answers.decisions.rows),
        decisions_note=trust.decisions_note(answers.decisions),
        split_rows=trust.split_rows(ratios),
        split_words=trust.split_words(split, ratios),
        ledger=trust.ledger_lines(ledger),
        refused=trust.refused_lines(ledger),
        views=_choices(state, "view", VIEWS, _VIEW_WORDS),
        policies=_choices(state, "policy", POLICIES, _POLICY_WORDS),
        versions=_version_choices(state, definition),
        empty_note=nothing[1] if nothing and not rows and verdict.state != "empty" else "",
        now=now,
    )


def definition_of(state: State, known: Known) -> Definition | None:
    """The experiment's definition, as it was at the moment that is shown."""
    found = known.definitions.get((state.tenant, state.experiment))
    return found if found is None or state.as_of is None else found.at(state.as_of)


def chosen_reading(state: State, answers: Answers, definition: Definition | None) -> Reading | None:
    """The metric and treatment whose history and segments are shown."""
    everyone = _readings([row for row in answers.results.rows if not row["segment"]], definition)
    return _chosen(state, everyone, trust.in_force(answers.decisions.rows, definition))


def _chosen(state: State, everyone: Sequence[Reading], decided: Sequence[Decision]) -> Reading | None:
    """The asked one; else the one that the experiment was stopped for, else the first goal."""
    stop = next((each for each in decided if each.kind == "stop"), None)
    if stop is not None and not (state.metric or state.treatment):
        stopped = next((each for each in everyone if each.is_of(stop.metric_id, stop.treatment)), None)
        if stopped is not None:
            return stopped
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


def _behind_since(answers: Answers) -> datetime | None:
    """The newest event in the results, if newer ones of the experiment are counted."""
    told: datetime | None = max((row["as_of"] for row in answers.results.rows), default=None)
    counted = max((row["counted_up_to"] for row in answers.totals.rows), default=None)
    return told if told is not None and counted is not None and counted > told else None


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
    *,
    has_ended: bool,
    nothing: tuple[str, str] | None,
) -> Evidence:
    return Evidence(
        readings=readings,
        split=split,
        decisions=decided,
        cautions=fresh.cautions,
        is_one_look=is_one_look(state),
        alpha=definition.alpha if definition else DEFAULT_ALPHA,
        has_ended=has_ended,
        is_past=state.as_of is not None,
        nothing=nothing,
    )


def _about(
    definition: Definition | None, known: Known, moment: datetime, *, is_anywhere: bool
) -> tuple[str, ...]:
    """Version, allocation, end, as of a moment."""
    if definition is None and not known.was_read:
        return ("the definitions are not read yet",)
    if definition is None and not is_anywhere:
        return ("nothing is known here of an experiment of this name",)
    if definition is None:
        return ("its definition is not known here: no metric has a direction",)
    newest = definition.newest
    shares = ", ".join(
        f"{figures.apart(variant)} {figures.percent(share, 0)}" for variant, share in newest.shares.items()
    )
    lines = [f"version {newest.config_version}, since {figures.day(newest.published_at)}", shares]
    ended = definition.ended_at
    if ended is not None:
        lines.append(f"{'ended' if ended <= moment else 'ends'} {figures.moment(ended)}")
    return tuple(lines)


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


def _nothing(state: State, results: Answer) -> tuple[str, str] | None:
    """Why there may be no result, as headline and sentence, where it is not that no user came."""
    if results.failure and not results.was_read:
        return "The results cannot be read", "Whether there are any is not known."
    if results.is_missing and state.as_of:
        return "The past cannot be shown", "This database keeps no history, so the past cannot be shown."
    if results.is_missing:
        return "There are no results", "There are no results in this database."
    if state.as_of is not None:
        return (
            "Nothing is kept of this moment",
            "It is before the first result, or before history was kept.",
        )
    if (state.view, state.policy, state.config_version) != ("all", "first_seen", 0):
        users = _VIEW_WORDS[state.view]
        return "No result of these users", f"There are no results for {users}, or no user is among them now."
    return None
