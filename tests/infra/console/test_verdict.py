"""The answer first: sentences for every state, and what must never be said."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.console.figures import Interval
from infra.console.reading import Colour, Kind, Metric, Reading, read
from infra.console.verdict import CHIPS, Decision, Evidence, Split, State, judge, reach, reassurance
from tests.infra.console.worlds import (
    A_DAY_LATER,
    CONVERTED,
    LATENCY,
    REVENUE,
    a_result,
    moved,
    open_result,
    undetermined,
    written,
)

BETTER = read(a_result(), REVENUE)
WORSE = read(moved(-0.03, 0.01, seq_p_value=0.001, p_adjusted=0.001, treatment_variant="popular"), REVENUE)
OPEN = read(open_result(), CONVERTED)
HOLDING = read(moved(0.0, 0.005, mean=310.0, metric_id="latency_ms", p_adjusted=None), LATENCY)
HARMED = read(moved(0.06, 0.01, mean=310.0, metric_id="latency_ms", p_adjusted=None), LATENCY)
NO_ANSWER = read(undetermined("too_few_units", n_control=1, n_treatment=0), REVENUE)

STOP = Decision("d-1", "stop", "latency_ms", "treatment", A_DAY_LATER, "It is beyond its margin.")
SHIP = replace(STOP, kind="ship", metric_id="revenue")
INVALID = replace(STOP, kind="invalid", metric_id="", message="The split is not what was declared.")

SOUND = Split.AS_PLANNED


def evidence(*readings: Reading, **more: Any) -> Evidence:
    return Evidence(readings=readings, **({"split": SOUND} | more))


def said(**parts: Any) -> str:
    """Everything a verdict says, with the spaces of a keyboard."""
    found = judge(Evidence(**parts))
    return written(" ".join((found.headline, found.sentence, found.trust, *found.against)))


def test_better_says_how_much_and_that_it_holds_at_any_look() -> None:
    found = judge(evidence(BETTER, OPEN, HOLDING))
    assert found.state is State.BETTER
    assert found.colour is Colour.GOOD
    assert written(found.headline) == "`revenue` is higher with `treatment`"
    assert written(found.sentence) == "`revenue` is 0.9 % to 5.3 % higher with `treatment`."
    assert found.trust == "This holds however often the page was looked at."
    assert found.against == ()


def test_worse_tells_the_smaller_loss_first() -> None:
    found = judge(evidence(WORSE))
    assert (found.state, found.colour) == (State.WORSE, Colour.BAD)
    assert written(found.headline) == "`revenue` is lower with `popular`"
    assert written(found.sentence) == "`revenue` is 1.5 % to 4.5 % lower with `popular`."


def test_better_and_worse_are_both_told() -> None:
    found = judge(evidence(BETTER, WORSE))
    assert found.state is State.MIXED
    assert written(found.sentence) == (
        "`revenue` is 0.9 % to 5.3 % higher with `treatment`. "
        "But `revenue` is 1.5 % to 4.5 % lower with `popular`."
    )


def test_open_says_what_is_still_possible_and_how_long_it_takes() -> None:
    found = judge(evidence(OPEN))
    assert (found.state, found.colour) == (State.OPEN, Colour.OPEN)
    assert found.headline == "No difference is clear yet"
    assert written(found.sentence) == (
        "`converted` is anything from 1.9 % lower to 4.5 % higher with `treatment`. "
        "The planned users are reached in about 5 days."
    )
    assert found.trust.startswith("The interval may be read at any moment")


NO_LIFT = {"seq_rel_diff": None, "seq_rel_ci_lower": None, "seq_rel_ci_upper": None}


def test_without_a_percentage_the_difference_is_told_in_the_metrics_unit() -> None:
    better, still_open = read(a_result(**NO_LIFT), REVENUE), read(open_result() | NO_LIFT, CONVERTED)
    assert written(judge(evidence(better)).headline) == "`revenue` is higher with `treatment`"
    found = judge(evidence(still_open))
    assert found.headline == "No difference is clear yet"
    assert written(found.sentence).startswith(
        "The difference in `converted` with `treatment` is −0.002240 … 0.005313 in the metric's unit: "
        "no percentage holds at any look yet. The planned users are"
    )


def test_nothing_is_said_to_be_more_than_100_percent_lower_where_that_cannot_be() -> None:
    assert written(reach(Interval(-1.2, 8.8), -1.0)) == "anything from nothing left to 880 % higher"
    assert written(reach(Interval(-1.2, -0.3), -1.0)) == "30 % to 100 % lower"
    assert written(reach(Interval(-1.2, 8.8))) == "anything from 120 % lower to 880 % higher"


def test_users_who_still_bring_outcomes_make_it_approximate() -> None:
    found = judge(evidence(replace(BETTER, is_accruing=True)))
    assert found.trust.endswith("so this is nearly exact until all have matured.")


def test_undetermined_says_why() -> None:
    found = judge(evidence(NO_ANSWER))
    assert found.state is State.UNDETERMINED
    assert found.headline == "It is too early to say anything"
    assert written(found.sentence) == "Too few users to say (1 in `control`, 0 in `treatment`)."
    assert found.trust == ""


def test_no_users_is_a_state_of_its_own() -> None:
    assert judge(Evidence()).headline == "Waiting for the first users"


def test_an_ended_experiment_promises_no_users() -> None:
    found = judge(evidence(replace(OPEN, days_left=None), has_ended=True))
    assert found.headline == "It ended without a clear difference"
    assert found.trust == "The interval may be read at any moment; no user comes any more."
    assert judge(Evidence(has_ended=True)).headline == "It ended before the first user"
    assert judge(evidence(NO_ANSWER, has_ended=True)).headline == "It ended before anything could be said"


def test_without_results_the_headline_says_why() -> None:
    found = judge(Evidence(has_ended=True, nothing=("Nothing is kept of this moment", "It is too early.")))
    assert (found.headline, found.sentence) == ("Nothing is kept of this moment", "It is too early.")


def test_a_direction_nobody_declared_is_only_a_difference() -> None:
    found = judge(evidence(read(a_result(), Metric("revenue"))))
    assert (found.state, found.colour) == (State.DIFFERENT, Colour.OPEN)
    assert found.sentence.endswith("No definition at hand says which direction is good.")


def test_a_stop_leads_whatever_the_goals_say() -> None:
    found = judge(evidence(BETTER, HARMED, decisions=[STOP]))
    assert (found.state, found.colour) == (State.STOPPED, Colour.BAD)
    assert written(found.headline) == "Stop `treatment`: it harms `latency_ms`"
    assert written(found.sentence) == (
        "The boundary was crossed, and the decision made at 21 Nov 2026 12:00:00 UTC. "
        "Now `latency_ms` is 4.5 % to 7.5 % higher with `treatment`. "
        "An estimate at a stop is further from zero than the truth is on average."
    )
    assert written(found.emphasis) == "4.5 % to 7.5 % higher"


def test_harm_leads_before_it_is_decided() -> None:
    found = judge(evidence(BETTER, HARMED))
    assert found.state is State.HARMED
    assert written(found.headline) == "`treatment` harms `latency_ms`"


def test_ready_to_ship_tells_what_got_better() -> None:
    found = judge(evidence(BETTER, HOLDING, decisions=[SHIP]))
    assert written(found.headline) == "`treatment` is ready to ship"
    assert written(found.sentence) == "`revenue` is 0.9 % to 5.3 % higher with `treatment`."


@pytest.mark.parametrize(
    "broken",
    [{"decisions": [INVALID]}, {"split": Split.NOT_AS_PLANNED}, {"decisions": [INVALID, STOP, SHIP]}],
)
def test_an_invalid_experiment_says_nothing_about_its_metrics(broken: dict[str, Any]) -> None:
    found = judge(evidence(BETTER, HARMED, **broken))
    assert found.state is State.INVALID
    assert found.headline == "These numbers must not be read"
    assert "revenue" not in found.sentence
    assert "higher" not in found.sentence


def test_what_stopped_or_is_missing_speaks_against_any_answer() -> None:
    cautions = ("Nothing was counted since noon.", "Region us is missing since noon.")
    assert judge(evidence(BETTER, cautions=cautions)).against == cautions


def test_a_guardrail_without_an_answer_speaks_against() -> None:
    silent = read(undetermined("zero_variance", metric_id="latency_ms"), LATENCY)
    (against,) = judge(evidence(BETTER, silent)).against
    assert written(against) == "`latency_ms` could not be judged: every user has the same value so far."


def test_a_view_for_one_look_claims_nothing_for_watching() -> None:
    found = judge(evidence(replace(OPEN, always=None, kind=Kind.ONE_LOOK), is_one_look=True))
    assert found.headline == "A question for one look"
    assert "not for watching" in found.trust


def test_only_what_was_looked_at_reassures() -> None:
    assert reassurance(evidence(BETTER, HOLDING)) == "No guardrail is harmed and users were split as planned."
    assert reassurance(evidence(BETTER)) == "Users were split as planned."
    assert reassurance(evidence(BETTER, HARMED, split=Split.UNKNOWN)) == (
        "Whether users were split as planned cannot be told yet."
    )
    assert reassurance(Evidence()) == ""


ENDS = st.floats(-0.9, 0.9).map(lambda end: round(end, 5))


@given(ENDS, ENDS)
def test_an_interval_in_words_says_its_side_exactly_when_it_has_one(one: float, other: float) -> None:
    words = reach(Interval(min(one, other), max(one, other)))
    if min(one, other) > 0:
        assert words.endswith("higher")
        assert "lower" not in words
    elif max(one, other) < 0:
        assert words.endswith("lower")
        assert "higher" not in words
    else:
        assert words.startswith("anything from ")


READINGS = st.lists(
    st.sampled_from([BETTER, WORSE, OPEN, HOLDING, HARMED, NO_ANSWER, replace(OPEN, always=None, once=None)]),
    max_size=4,
)


@given(
    READINGS,
    st.sampled_from(Split),
    st.lists(st.sampled_from([STOP, SHIP, INVALID]), max_size=2),
    st.booleans(),
    st.sampled_from([(), ("Stopped at noon.",)]),
)
def test_whatever_is_known_there_is_a_sentence_and_no_bare_p_value(
    readings: list[Reading],
    split: Split,
    decisions: list[Decision],
    is_one_look: bool,
    cautions: tuple[str, ...],
) -> None:
    found = judge(Evidence(readings, split, decisions, cautions, is_one_look))
    assert found.chip == CHIPS[found.state]
    assert found.headline
    assert found.sentence.endswith(".")
    assert found.emphasis in found.sentence
    assert "".join(found.sentence_parts) == found.sentence
    words = said(readings=readings, split=split, decisions=decisions, is_one_look=is_one_look)
    assert not re.search(r"signific|p[ -]?value|\bp\s*[=<]|prove|None|nan", words, re.IGNORECASE)
    assert found.against[: len(cautions)] == cautions
