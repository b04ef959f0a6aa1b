"""What several looks at one experiment say: columns that remember, and decisions that are made once."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from jobs.scorecard.agenda import Question
from jobs.scorecard.book import Book
from jobs.scorecard.definitions import DAY_MS
from jobs.scorecard.looks import SETTLED_MS, Looks
from jobs.scorecard.rows import Answered, Card, Moment, fill
from jobs.scorecard.verdicts import decision_id, judge, topic_record
from schemas import json_schema
from tests.jobs.scorecard.builders import NOON_MS, a_book, a_definition, a_metric, add, only
from udfs.stats.decisions import Goal, may_ship, stop_level

SLOWER = [11.0, 13.0] * 100
AS_BEFORE = [10.0, 12.0] * 100
LATENCY = a_metric(id="latency", role="guardrail", direction="decrease", margin=0.02, stop=True)
ONE_SECOND = 1000


def guarded(treatment: list[float], **changes: Any) -> Book:
    """A stop guardrail beside the goal, and what the treatment did to it; the goal does not move."""
    book = a_book(a_definition(**{"metrics": [a_metric(), LATENCY], **changes}))
    for variant, latency in (("control", AS_BEFORE), ("treatment", treatment)):
        add(book, variant, AS_BEFORE)
        add(book, variant, latency, metric_id="latency")
    return book


class Watched:
    """One look a second at a book, long after the job began."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.looks = Looks(0, NOON_MS - SETTLED_MS)
        self.now_ms = NOON_MS
        self.card: Card | None = None

    def look(self) -> list[dict[str, Any]]:
        moment = Moment(self.now_ms, self.now_ms * 1000, NOON_MS)
        self.now_ms += ONE_SECOND
        begun = self.looks.frozen
        self.card = fill(self.book, moment, begun=lambda *place: begun(("difference", *place)))
        assert self.card is not None
        return judge(self.card, self.looks, is_new=True)

    def result(self, **where: Any) -> dict[str, Any]:
        assert self.card is not None
        main = {"config_version": 0, "policy": "first_seen", "segment": "", "metric_id": "revenue"}
        return only([each.row for each in self.card.results], **{**main, **where})

    def ratio(self, **where: Any) -> dict[str, Any]:
        assert self.card is not None
        return only([each.row for each in self.card.ratios], **{"segment": "", "bots": "excluded", **where})


# ------------------------------------------------------------------------------------------ the columns


def moved(by: float) -> Book:
    book = a_book()
    add(book, "control", [1.0, 2.0, 3.0] * 50)
    add(book, "treatment", [1.0 + by, 2.0 + by, 3.0 + by] * 50)
    return book


def test_before_two_looks_agree_every_p_that_remembers_is_one() -> None:
    watched = Watched(moved(1.0))
    watched.look()
    row = watched.result()
    assert row["seq_p_value"] < 1e-6
    assert (row["seq_p_min"], row["p_adjusted"], row["crossed_at"]) == (1.0, 1.0, None)
    assert watched.ratio()["seq_p_min"] == 1.0


def test_the_minimum_stays_when_the_effect_goes() -> None:
    watched = Watched(moved(1.0))
    watched.look()
    watched.look()
    least = watched.result()
    assert least["seq_p_min"] == pytest.approx(least["seq_p_value"])
    assert least["crossed_at"] == NOON_MS
    watched.book = moved(0.0)
    watched.look()
    watched.look()
    row = watched.result()
    assert row["seq_p_value"] > 0.5
    assert (row["seq_p_min"], row["crossed_at"]) == (least["seq_p_min"], NOON_MS)


def test_holm_uses_the_minima() -> None:
    watched = Watched(guarded(AS_BEFORE))
    watched.book.definitions[1] = a_definition(metrics=[a_metric(), a_metric(id="latency")])
    add(watched.book, "treatment", [each + 0.7 for each in AS_BEFORE])
    watched.look()
    watched.look()
    add(watched.book, "treatment", AS_BEFORE)
    watched.look()
    row = watched.result()
    assert row["p_adjusted"] == pytest.approx(min(1.0, 2 * row["seq_p_min"]))
    assert watched.result(metric_id="latency")["p_adjusted"] == 1.0


def test_the_family_is_that_of_the_newest_version() -> None:
    """Whose other goal means something else now: it counts as one without an answer."""
    watched = Watched(guarded(AS_BEFORE))
    goals = [a_metric(), *(a_metric(id=each) for each in ("latency", "dropped", "dropped_too"))]
    watched.book.definitions[1] = a_definition(metrics=goals)
    watched.book.definitions[2] = a_definition(
        config_version=2, metrics=[a_metric(), a_metric(id="latency", cap=1.0)]
    )
    add(watched.book, "control", AS_BEFORE, config_version=2)
    add(watched.book, "treatment", [each + 0.7 for each in AS_BEFORE], config_version=2)
    watched.look()
    watched.look()
    row = watched.result()
    assert row["p_adjusted"] == pytest.approx(min(1.0, 2 * row["seq_p_min"]))
    assert row["seq_p_min"] < 0.1
    assert watched.result(metric_id="latency")["p_adjusted"] is None
    assert watched.result(metric_id="dropped")["p_adjusted"] is None


def test_rows_of_the_only_version_remember_what_those_of_the_combination_do() -> None:
    watched = Watched(moved(1.0))
    watched.look()
    watched.look()
    names = ("seq_p_min", "crossed_at", "p_adjusted")
    alone, combined = watched.result(config_version=1), watched.result()
    assert [alone[name] for name in names] == [combined[name] for name in names]


def test_questions_asked_once_have_no_minimum() -> None:
    watched = Watched(moved(1.0))
    watched.look()
    watched.look()
    row = watched.result(policy="exclude_crossed")
    assert (row["seq_p_min"], row["crossed_at"], row["p_adjusted"]) == (None, None, None)


def test_the_sample_ratio_remembers_too() -> None:
    watched = Watched(a_book())
    add(watched.book, "control", [1.0, 2.0] * 300)
    add(watched.book, "treatment", [1.0, 2.0] * 150)
    watched.look()
    watched.look()
    ratio = watched.ratio()
    assert 0.0 < ratio["seq_p_min"] == pytest.approx(ratio["seq_p_value"])


# ---------------------------------------------------------------------------------------------- the stop


def test_harm_beyond_the_margin_stops_once() -> None:
    watched = Watched(guarded(SLOWER))
    assert watched.look() == []
    (decision,) = watched.look()
    assert (decision["kind"], decision["metric_id"], decision["treatment_variant"]) == (
        "stop",
        "latency",
        "treatment",
    )
    assert decision["bound"] < 0.0 < decision["abs_diff"]
    assert decision["distance"] == pytest.approx(-1.0 + 0.02 * 11.0)
    assert (decision["margin"], decision["level"], decision["config_version"]) == (0.02, 0.05, 0)
    assert decision["crossed_at"] == NOON_MS
    assert decision["log_e"] > -math.log(0.05)
    assert "latency of treatment is worse than control by more than a margin of 2 %" in decision["message"]
    assert "biased away from zero" in decision["message"]
    assert [watched.look() for _ in range(5)] == [[]] * 5


def test_after_a_restart_it_is_still_the_same_decision() -> None:
    watched, again = Watched(guarded(SLOWER)), Watched(guarded(SLOWER))
    watched.look()
    (decision,) = watched.look()
    watched.looks = Looks.decode(watched.looks.encode())
    assert watched.look() == []
    again.now_ms += 5 * ONE_SECOND
    again.look()
    (repeated,) = again.look()
    assert repeated["decision_id"] == decision["decision_id"]
    assert repeated["version"] < decision["version"], "the first record must stand"


def test_harm_within_the_margin_stops_nothing() -> None:
    watched = Watched(guarded([each * 1.01 for each in AS_BEFORE]))
    assert [watched.look() for _ in range(5)] == [[]] * 5


def test_the_same_harm_to_a_guardrail_that_does_not_stop_stops_nothing() -> None:
    watched = Watched(guarded(SLOWER))
    watched.book.definitions[1] = a_definition(metrics=[a_metric(), {**LATENCY, "stop": False}])
    assert [watched.look() for _ in range(5)] == [[]] * 5


def test_a_change_for_the_better_stops_nothing() -> None:
    watched = Watched(guarded([each - 1.0 for each in AS_BEFORE]))
    assert [watched.look() for _ in range(5)] == [[]] * 5


def test_one_look_with_harm_stops_nothing() -> None:
    """As where the treatment's sums come a window before its users."""
    watched = Watched(guarded(AS_BEFORE))
    watched.look()
    watched.book = guarded(SLOWER)
    assert watched.look() == []
    watched.book = guarded(AS_BEFORE)
    assert [watched.look() for _ in range(5)] == [[]] * 5


def test_guardrails_and_treatments_share_the_error_rate() -> None:
    variants = {"control": 0.4, "treatment": 0.3, "other": 0.3}
    watched = Watched(guarded(SLOWER, variants=variants, stop_alpha=0.08))
    watched.look()
    (decision,) = (each for each in watched.look() if each["kind"] == "stop")
    assert decision["level"] == stop_level(0.08, guardrails=1, treatments=2) == 0.04


def test_where_the_metric_means_something_else_now_the_newest_version_stops_alone() -> None:
    watched = Watched(guarded(SLOWER))
    watched.book.definitions[2] = a_definition(
        config_version=2, metrics=[a_metric(), {**LATENCY, "cap": 100.0}]
    )
    for variant, latency in (("control", AS_BEFORE), ("treatment", SLOWER)):
        add(watched.book, variant, AS_BEFORE, config_version=2)
        add(watched.book, variant, latency, metric_id="latency", config_version=2)
    watched.look()
    (decision,) = watched.look()
    assert (decision["kind"], decision["config_version"]) == ("stop", 2)


def test_a_rebuild_makes_the_same_decision() -> None:
    watched, rebuilt = Watched(guarded(SLOWER)), Watched(replace(guarded(SLOWER), epoch=1))
    watched.look()
    rebuilt.look()
    ((decision,), (again,)) = watched.look(), rebuilt.look()
    assert again["decision_id"] == decision["decision_id"]
    assert (decision["epoch"], again["epoch"]) == (0, 1)


def test_harm_that_crosses_since_the_level_was_raised_says_when() -> None:
    slightly = [each + 0.7 for each in AS_BEFORE]
    watched = Watched(guarded(slightly, stop_alpha=1e-6))
    assert [watched.look() for _ in range(3)] == [[]] * 3
    watched.book.definitions[2] = a_definition(config_version=2, metrics=[a_metric(), LATENCY])
    add(watched.book, "treatment", AS_BEFORE[:2], config_version=2)
    (decision,) = watched.look()
    assert (decision["kind"], decision["crossed_at"]) == ("stop", NOON_MS)


def test_a_decision_is_valid_on_its_topic() -> None:
    watched = Watched(guarded(SLOWER))
    watched.look()
    (decision,) = watched.look()
    Draft202012Validator(json_schema("decision")).validate(json.loads(topic_record(decision)))


def test_an_id_says_what_is_decided_and_nothing_else_changes_it() -> None:
    place = ("acme", "checkout", 0, "stop", "latency", "treatment")
    assert decision_id(*place) == decision_id(*place)
    others = [("globex", *place[1:]), (*place[:2], 1, *place[3:]), (*place[:-1], "other")]
    assert len({decision_id(*each) for each in (place, *others)}) == 4


# --------------------------------------------------------------------------------------------- invalid


def test_users_in_other_shares_than_intended_make_an_experiment_invalid_once() -> None:
    watched = Watched(a_book())
    add(watched.book, "control", [1.0, 2.0] * 300)
    add(watched.book, "treatment", [1.0, 2.0] * 150)
    assert watched.look() == []
    (decision,) = watched.look()
    assert (decision["kind"], decision["metric_id"], decision["level"]) == ("invalid", "", 0.001)
    assert (decision["n_control"], decision["n_treatment"]) == (600, 300)
    assert watched.look() == []


def test_users_where_nobody_should_be_make_an_experiment_invalid() -> None:
    watched = Watched(a_book(a_definition(variants={"control": 0.5, "treatment": 0.5, "off": 0})))
    for variant in ("control", "treatment", "off"):
        add(watched.book, variant, [1.0, 2.0])
    watched.look()
    (decision,) = watched.look()
    assert decision["kind"] == "invalid"
    assert "2 users are in variants that should receive nobody" in decision["message"]


def test_bots_in_other_shares_do_not_make_an_experiment_invalid() -> None:
    watched = Watched(moved(0.0))
    add(watched.book, "control", [1.0] * 600, unit_class="bot")
    assert [watched.look() for _ in range(3)] == [[]] * 3


# ------------------------------------------------------------------------------------------------ ship


class Matured(Watched):
    """The rows of view ``all`` stand for those of ``matured`` as well."""

    def look(self) -> list[dict[str, Any]]:
        moment = Moment(self.now_ms, self.now_ms * 1000, NOON_MS)
        self.now_ms += ONE_SECOND
        found = fill(self.book, moment)
        assert found is not None
        results = [*found.results, *map(matured, found.results)]
        self.card = replace(found, views=[*found.views, "matured"], results=results)
        return judge(self.card, self.looks, is_new=True)


def matured(answered: Answered) -> Answered:
    asked = answered.question
    question = Question.of(asked.subject, "matured", asked.segment, asked.policy)
    return answered._replace(row={**answered.row, "view": "matured"}, question=question)


def shippable(latency: list[float] = AS_BEFORE, **changes: Any) -> Book:
    """Its goal moved up, and its first users came eight days ago."""
    wide = [a_metric(window_days=1), {**LATENCY, "margin": 0.1, "window_days": 1}]
    book = guarded(latency, **{"metrics": wide, "ship": True, "min_days": 7, **changes})
    add(book, "control", AS_BEFORE, since_ms=NOON_MS - 8 * DAY_MS)
    add(book, "treatment", [each + 1.0 for each in AS_BEFORE])
    add(book, "control", latency, metric_id="latency", since_ms=NOON_MS - 8 * DAY_MS)
    return book


def kinds(watched: Watched) -> list[str]:
    return [decision["kind"] for _ in range(3) for decision in watched.look()]


def test_a_better_goal_with_safe_guardrails_is_shipped_once() -> None:
    watched = Matured(shippable())
    watched.look()
    (decision,) = watched.look()
    assert (decision["kind"], decision["metric_id"], decision["level"]) == ("ship", "revenue", 0.05)
    assert watched.look() == []


def test_nothing_is_shipped_because_of_what_has_turned_round_since() -> None:
    turned = shippable(ship=False)
    watched = Matured(turned)
    assert kinds(watched) == []
    add(turned, "treatment", [each + 0.05 for each in AS_BEFORE])
    turned.definitions[1] = shippable().definitions[1]
    assert kinds(watched) == []
    goal = watched.result(view="matured")
    assert goal["p_adjusted"] < 0.001
    assert goal["abs_diff"] > 0.0
    assert goal["seq_p_value"] > 0.5


def test_nothing_is_shipped_that_was_not_asked_for() -> None:
    assert kinds(Matured(shippable(ship=False))) == []


def test_nothing_is_shipped_before_its_days_have_passed() -> None:
    assert kinds(Matured(shippable(min_days=9))) == []


def test_nothing_is_shipped_by_users_whose_outcomes_may_still_come() -> None:
    assert kinds(Watched(shippable())) == []


def test_nothing_is_shipped_while_a_guardrail_may_be_harmed() -> None:
    unsure = shippable()
    add(unsure, "treatment", [each * 1.08 for each in AS_BEFORE], metric_id="latency")
    assert kinds(Matured(unsure)) == []


def test_nothing_is_shipped_whose_users_did_not_arrive_as_intended() -> None:
    watched = Matured(shippable())
    add(watched.book, "treatment", [each + 1.0 for each in AS_BEFORE[:20]])
    assert kinds(watched) == ["invalid"]


def test_a_worse_goal_keeps_a_better_one_from_being_shipped() -> None:
    better, worse = Goal(-9.0, is_good=True), Goal(-9.0, is_good=False)
    rest = {"alpha": 0.05, "is_sound": True, "days": 8.0, "min_days": 7.0}
    assert may_ship(better, [better], [], **rest)
    assert not may_ship(better, [better, worse], [], **rest)
    assert not may_ship(worse, [worse], [], **rest)
