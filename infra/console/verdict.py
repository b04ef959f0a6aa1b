"""The answer first: a headline and a few sentences built from the statistics, and from nothing else.

A pure function. It says what is known, how far, whether it may be trusted now and what speaks against it;
what cannot be said is said to be open. No sentence tells a p-value, and none calls anything proven.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from infra.console import figures
from infra.console.figures import Interval
from infra.console.reading import NOTHING_LEFT, Colour, Kind, Reading, days_to_plan


class State(StrEnum):
    """What the headline is about, the gravest first."""

    INVALID = "invalid"
    STOPPED = "stopped"
    HARMED = "harmed"
    WORSE = "worse"
    MIXED = "mixed"
    SHIP = "ship"
    BETTER = "better"
    DIFFERENT = "different"
    OPEN = "open"
    UNDETERMINED = "undetermined"
    EMPTY = "empty"


COLOURS = {
    State.INVALID: Colour.BAD,
    State.STOPPED: Colour.BAD,
    State.HARMED: Colour.BAD,
    State.WORSE: Colour.BAD,
    State.SHIP: Colour.GOOD,
    State.BETTER: Colour.GOOD,
}

CHIPS = {
    State.INVALID: "not to be read",
    State.STOPPED: "stop",
    State.HARMED: "harm",
    State.WORSE: "worse",
    State.MIXED: "mixed",
    State.SHIP: "ready to ship",
    State.BETTER: "better",
    State.DIFFERENT: "different",
    State.OPEN: "not clear",
    State.UNDETERMINED: "undetermined",
    State.EMPTY: "no results",
}


class Split(StrEnum):
    """Whether users were spread over the variants as declared."""

    AS_PLANNED = "as planned"
    NOT_AS_PLANNED = "not as planned"
    UNKNOWN = "cannot be told yet"
    NOT_KEPT = "not kept"


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision as the engine recorded it."""

    decision_id: str
    kind: str
    metric_id: str
    treatment: str
    decided_at: datetime
    message: str
    config_version: int = 0
    inputs: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything a verdict is built from."""

    readings: Sequence[Reading] = ()
    """Of everyone, all metrics and treatments."""
    split: Split = Split.UNKNOWN
    decisions: Sequence[Decision] = ()
    """In force: of the newest config version, newest first."""
    cautions: Sequence[str] = ()
    """Since when numbers are not updated, or a region is missing; empty while all is as it should be."""
    is_one_look: bool = False
    """The view has no interval that may be read at any moment."""
    alpha: float = 0.05
    has_ended: bool = False
    """No user comes any more."""
    is_past: bool = False
    """It is what was known at a moment that was asked for."""
    nothing: tuple[str, str] | None = None
    """Why there are no readings, as headline and sentence, where it is not that no user came."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What stands on top of the page."""

    state: State
    headline: str
    sentence: str
    emphasis: str
    """A part of ``sentence`` to be read first; may be empty."""
    trust: str
    """Whether it may be relied on now."""
    against: tuple[str, ...]
    """What speaks against it, the gravest first."""

    @property
    def chip(self) -> str:
        """The state in a word or two."""
        return CHIPS[self.state]

    @property
    def colour(self) -> Colour:
        """How it is drawn."""
        return COLOURS.get(self.state, Colour.OPEN)

    @property
    def brief(self) -> str:
        """For a list: the headline is left out where the sentence says it too."""
        if self.state in (State.EMPTY, State.INVALID):
            return f"{self.headline}."
        says_it_too = (State.BETTER, State.WORSE, State.DIFFERENT)
        return self.sentence if self.state in says_it_too else f"{self.headline}. {self.sentence}"

    @property
    def sentence_parts(self) -> tuple[str, str, str]:
        """Before the emphasis, the emphasis, and after it."""
        return self.sentence.partition(self.emphasis) if self.emphasis else (self.sentence, "", "")


def judge(evidence: Evidence) -> Verdict:
    """The verdict on an experiment."""
    goals = _deciding(evidence.readings)
    state = _state(evidence, goals)
    headline, sentence, emphasis = _WORDS[state](evidence, goals)
    return Verdict(
        state=state,
        headline=headline,
        sentence=sentence,
        emphasis=emphasis,
        trust=_trust(state, evidence, goals),
        against=tuple(_against(state, evidence)),
    )


def _deciding(readings: Sequence[Reading]) -> list[Reading]:
    """The goals; every metric that is no guardrail where none is declared."""
    goals = [each for each in readings if each.metric.role == "goal"]
    return goals or [each for each in readings if not each.metric.is_guardrail]


def _state(evidence: Evidence, goals: Sequence[Reading]) -> State:
    kinds = {each.kind for each in goals}
    decided = {each.kind for each in evidence.decisions}
    if "invalid" in decided or evidence.split is Split.NOT_AS_PLANNED:
        return State.INVALID
    if "stop" in decided:
        return State.STOPPED
    if not evidence.readings:
        return State.EMPTY
    if any(each.kind is Kind.HARMED for each in evidence.readings):
        return State.HARMED
    if {Kind.BETTER, Kind.WORSE} <= kinds:
        return State.MIXED
    if Kind.WORSE in kinds:
        return State.WORSE
    if "ship" in decided:
        return State.SHIP
    if Kind.BETTER in kinds:
        return State.BETTER
    if Kind.CHANGED in kinds:
        return State.DIFFERENT
    is_open = kinds - {Kind.UNDETERMINED} or not goals
    return State.OPEN if is_open else State.UNDETERMINED


# ------------------------------------------------------------------------- headline and sentence by state

Words = tuple[str, str, str]
"""Headline, sentence, and what of the sentence is read first."""


def _invalid(evidence: Evidence, goals: Sequence[Reading]) -> Words:
    return "These numbers must not be read", _NOT_SPLIT, ""


_NOT_SPLIT = (
    "Users did not reach the variants as planned, so the groups may differ for other reasons than the "
    "change. Find out why before anything is concluded."
)


def _stopped(evidence: Evidence, goals: Sequence[Reading]) -> Words:
    found = _newest(evidence, "stop")
    assert found is not None, "the state says there is one"
    treatment, metric = figures.apart(found.treatment), figures.apart(found.metric_id)
    harm = next(
        (each for each in evidence.readings if each.is_of(found.metric_id, found.treatment) and each.shown),
        None,
    )
    when = "At the moment shown" if evidence.is_past else "Now"
    now = f" {when} {_sentence(harm)[0]}" if harm else ""
    return (
        f"Stop {treatment}: it harms {metric}",
        f"The boundary was crossed, and the decision made at {figures.moment(found.decided_at)}.{now} "
        "An estimate at a stop is further from zero than the truth is on average.",
        _sentence(harm)[1] if harm else "",
    )


def _harmed(evidence: Evidence, goals: Sequence[Reading]) -> Words:
    harm = next(each for each in evidence.readings if each.kind is Kind.HARMED)
    sentence, emphasis = _sentence(harm)
    return (
        f"{figures.apart(harm.treatment)} harms {figures.apart(harm.metric.metric_id)}",
        _capital(sentence),
        emphasis,
    )


def _ship(evidence: Evidence, goals: Sequence[Reading]) -> Words:
    found = _newest(evidence, "ship")
    assert found is not None, "the state says there is one"
    kept = "A goal was better, and every guardrail inside its margin, when this was decided."
    _, sentence, emphasis = _better(evidence, goals) if _of(goals, Kind.BETTER) else ("", kept, "")
    return f"{figures.apart(found.treatment)} is ready to ship", sentence, emphasis


def _better(evidence: Evidence, goals: Sequence[Reading]) -> Words:
    return _clear(_of(goals, Kind.BETTER))


def _worse(evidence: Evidence, goals: Sequence[Reading]) -> Words:
    return _clear(_of(goals, Kind.WORSE))


def _different(evidence: Evidence, goals: Sequence[Reading]) -> Words:
    headline, sentence, emphasis = _clear(_of(goals, Kind.CHANGED))
    return headline, f"{sentence} No definition at hand says which direction is good.", emphasis


def _clear(found: Sequence[Reading]) -> Words:
    first, *others = found
    sentence, emphasis = _sentence(first)
    more = _more(others)
    return _headline(first), f"{_capital(sentence)}{more}", emphasis


def _mixed(evidence: Evidence, goals: Sequence[Reading]) -> Words:
    better, worse = _of(goals, Kind.BETTER), _of(goals, Kind.WORSE)
    one, emphasis = _sentence(better[0])
    other, _ = _sentence(worse[0])
    return "Better in one goal, worse in another", f"{_capital(one)} But {other}", emphasis


def _open(evidence: Evidence, goals: Sequence[Reading]) -> Words:
    answered = [each for each in goals if each.kind is not Kind.UNDETERMINED]
    headline = "It ended without a clear difference" if evidence.has_ended else "No difference is clear yet"
    if evidence.is_one_look:
        headline = "A question for one look"
    if not answered:
        return headline, "No goal has an interval.", ""
    sentence, emphasis = _sentence(answered[0])
    return headline, f"{_capital(sentence)}{_plan(evidence)}", emphasis


def _undetermined(evidence: Evidence, goals: Sequence[Reading]) -> Words:
    reasons = list(dict.fromkeys(each.absolute for each in goals if each.absolute))
    said = f"{_capital(reasons[0])}." if reasons else "There is no answer."
    too_early = "It is too early to say anything"
    headline = "It ended before anything could be said" if evidence.has_ended else too_early
    return headline, f"{said}{_plan(evidence)}", ""


def _plan(evidence: Evidence) -> str:
    left = days_to_plan(evidence.readings)
    return f" The planned users are reached in {figures.days(left)}." if left else ""


def _empty(evidence: Evidence, goals: Sequence[Reading]) -> Words:
    if evidence.nothing is not None:
        return (*evidence.nothing, "")
    if evidence.has_ended:
        return "It ended before the first user", "No user of this experiment has been counted.", ""
    return (
        "Waiting for the first users",
        "No user of this experiment has been counted. Results appear seconds after the first assignment.",
        "",
    )


_WORDS = {
    State.INVALID: _invalid,
    State.STOPPED: _stopped,
    State.HARMED: _harmed,
    State.WORSE: _worse,
    State.MIXED: _mixed,
    State.SHIP: _ship,
    State.BETTER: _better,
    State.DIFFERENT: _different,
    State.OPEN: _open,
    State.UNDETERMINED: _undetermined,
    State.EMPTY: _empty,
}


def _headline(found: Reading) -> str:
    direction = "higher" if found.is_higher else "lower"
    return f"{figures.apart(found.metric.metric_id)} is {direction} with {figures.apart(found.treatment)}"


def _sentence(found: Reading) -> tuple[str, str]:
    """What an interval says, and the part to be read first."""
    subject = figures.apart(found.metric.metric_id)
    variant = figures.apart(found.treatment)
    if found.shown is None:
        return f"the difference in {subject} with {variant} is {found.absolute}.", found.absolute
    emphasis = reach(found.shown, found.metric.floor)
    return f"{subject} is {emphasis} with {variant}.", emphasis


def reach(found: Interval, floor: float | None = None) -> str:
    """An interval in words: ``0.9 % to 5.3 % higher``, ``anything from 1.2 % lower to 4.4 % higher``.

    Of what cannot fall below ``floor`` nothing lower is said, whatever the arithmetic of the interval.
    """
    if floor is not None and found.lower < floor:
        found = Interval(floor, max(floor, found.upper))
    decimals = figures.decimals_for(*found)
    near, far = sorted(found, key=abs)
    if found.lower > 0 or found.upper < 0:
        side = "higher" if found.lower > 0 else "lower"
        return f"{figures.percent(abs(near), decimals)} to {figures.percent(abs(far), decimals)} {side}"
    low = f"{figures.percent(abs(found.lower), decimals)} lower" if found.lower < 0 else "no different"
    if found.lower == floor == NOTHING_LEFT:
        low = "nothing left"
    high = f"{figures.percent(found.upper, decimals)} higher" if found.upper > 0 else "no different"
    return f"anything from {low} to {high}"


def _more(others: Sequence[Reading]) -> str:
    if not others:
        return ""
    names = [
        f"{figures.apart(each.metric.metric_id)} with {figures.apart(each.treatment)}" for each in others
    ]
    return (
        f" The same direction: {figures.listed(names[:3])}."
        if len(names) <= 3
        else (f" The same direction: {', '.join(names[:3])} and {len(names) - 3} more.")
    )


# ------------------------------------------------------------ may it be trusted, and what speaks against


def _trust(state: State, evidence: Evidence, goals: Sequence[Reading]) -> str:
    if state in (State.INVALID, State.EMPTY, State.UNDETERMINED):
        return ""
    if evidence.is_one_look:
        return (
            "These users are a question of their own: its intervals hold for one look at a moment chosen "
            "before, not for watching."
        )
    if state is State.STOPPED:
        return "The boundary allows for looking at any moment."
    is_accruing = any(each.is_accruing for each in goals)
    approximate = (
        " Some users can still bring outcomes, so this is nearly exact until all have matured."
        if is_accruing
        else ""
    )
    if state is State.OPEN:
        narrows = "no user comes any more" if evidence.has_ended else "it narrows as users come"
        return f"The interval may be read at any moment; {narrows}.{approximate}"
    return f"This holds however often the page was looked at.{approximate}"


def _against(state: State, evidence: Evidence) -> list[str]:
    found = list(evidence.cautions)
    stopped = {(each.metric_id, each.treatment) for each in evidence.decisions if each.kind == "stop"}
    harmed = [
        each
        for each in evidence.readings
        if each.kind is Kind.HARMED and (each.metric.metric_id, each.treatment) not in stopped
    ]
    if state is not State.HARMED:
        found += [
            f"{figures.apart(each.metric.metric_id)} is harmed with {figures.apart(each.treatment)}."
            for each in harmed
        ]
    found += [
        f"{figures.apart(each.metric.metric_id)} could not be judged: {each.absolute}."
        for each in evidence.readings
        if each.metric.is_guardrail and each.kind is Kind.UNDETERMINED and state is not State.UNDETERMINED
    ]
    return found


def reassurance(evidence: Evidence) -> str:
    """What was looked for and not found; only what was really looked at is claimed."""
    guardrails = [each for each in evidence.readings if each.metric.is_guardrail]
    parts = []
    if guardrails and all(each.kind in (Kind.HOLDS, Kind.WATCHING) for each in guardrails):
        parts.append("no guardrail is harmed")
    if evidence.split is Split.AS_PLANNED:
        parts.append("users were split as planned")
    elif evidence.split is Split.UNKNOWN and evidence.readings:
        parts.append("whether users were split as planned cannot be told yet")
    return f"{_capital(figures.listed(parts))}." if parts else ""


def _newest(evidence: Evidence, kind: str) -> Decision | None:
    return next((each for each in evidence.decisions if each.kind == kind), None)


def _of(readings: Sequence[Reading], kind: Kind) -> list[Reading]:
    """Those of a kind, the strongest evidence first."""
    found = [each for each in readings if each.kind is kind]
    return sorted(found, key=lambda each: 1.0 if each.p is None else each.p)


def _capital(words: str) -> str:
    """As a sentence begins; an id that begins one stays as it is."""
    return words[:1].upper() + words[1:]
