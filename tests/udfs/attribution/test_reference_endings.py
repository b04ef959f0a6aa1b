"""When an experiment ends: whom it still takes in, and when its places close."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import (
    BEGINNING,
    DAY,
    HOUR,
    ONE_DAY_BEFORE,
    ONE_DAY_LATER,
    ONE_HOUR_BEFORE,
    ONE_HOUR_LATER,
    ONE_WEEK_LATER,
    TWO_HOURS_LATER,
    Log,
    Published,
    a_definition,
    a_metric,
    an_assignment,
    an_outcome,
    received,
)
from tests.udfs.attribution.answers import ONE, attributed, places_of, reasons_of, sums_of
from udfs.attribution.reference import Attribution

IN_PLACE = {("control", 1, "clean", 0): 1}
A_SECOND = 1000


def the_end(at: int, version: int = 2, *, published_at: int = ONE_DAY_BEFORE, **changes: Any) -> Published:
    """A further version of the experiment that ends it."""
    return Published(a_definition(config_version=version, ended_at=at, **changes), published_at)


# ------------------------------------------------------------------------------------- who is still taken in


@pytest.mark.parametrize(("after_the_end", "reasons"), [(0, []), (1, ["ended"])])
def test_an_assignment_after_the_end_is_refused(after_the_end: int, reasons: list[str]) -> None:
    exposure = an_assignment(assigned_at=ONE_DAY_LATER + after_the_end)
    result = attributed(received(exposure), a_definition(ended_at=ONE_DAY_LATER))
    assert reasons_of(result) == reasons
    assert (result.slots == {}) == bool(reasons)


def test_an_assignment_before_the_end_counts_however_late_it_is() -> None:
    log = Log()
    exposure = log.append(an_assignment(), at=ONE_WEEK_LATER)
    assert places_of(attributed([exposure], a_definition(ended_at=ONE_HOUR_LATER))) == IN_PLACE


def test_any_version_ends_the_experiment_for_all_its_versions() -> None:
    late = an_assignment(assigned_at=ONE_DAY_LATER)
    result = attributed(received(late), Published(a_definition()), the_end(ONE_HOUR_LATER))
    assert reasons_of(result) == ["ended"]


def test_a_later_version_without_an_end_does_not_reopen_the_experiment() -> None:
    records = received(an_assignment(config_version=3, assigned_at=ONE_DAY_LATER))
    result = attributed(records, a_definition(), the_end(ONE_HOUR_LATER), a_definition(config_version=3))
    assert reasons_of(result) == ["ended"]


def test_of_two_ends_the_earlier_one_holds() -> None:
    records = received(an_assignment(assigned_at=ONE_DAY_LATER))
    for ends in ((ONE_HOUR_LATER, ONE_WEEK_LATER), (ONE_WEEK_LATER, ONE_HOUR_LATER)):
        result = attributed(records, a_definition(), the_end(ends[0], 2), the_end(ends[1], 3))
        assert reasons_of(result) == ["ended"]


def test_the_end_of_another_experiment_or_tenant_ends_nothing_here() -> None:
    elsewhere: list[dict[str, Any]] = [{"experiment_id": "search-ranking"}, {"tenant_id": "globex"}]
    for other in elsewhere:
        records = received(an_assignment(assigned_at=ONE_DAY_LATER))
        result = attributed(records, a_definition(), the_end(BEGINNING, **other))
        assert reasons_of(result) == []


def test_an_end_in_content_that_does_not_stand_is_none() -> None:
    """The same version was published before, without it."""
    records = received(an_assignment(assigned_at=ONE_DAY_LATER))
    assert reasons_of(attributed(records, a_definition(), the_end(ONE_HOUR_LATER, 1))) == []


@pytest.mark.parametrize(("appended_after", "reasons"), [(A_SECOND - 1, []), (A_SECOND, ["ended"])])
def test_an_end_takes_effect_a_second_after_it_was_published(appended_after: int, reasons: list[str]) -> None:
    """It says that the experiment ended an hour ago; what came until now was counted and stays so."""
    log = Log()
    exposure = log.append(an_assignment(), at=ONE_HOUR_LATER + appended_after)
    result = attributed(
        [exposure], Published(a_definition()), the_end(ONE_HOUR_BEFORE, published_at=ONE_HOUR_LATER)
    )
    assert reasons_of(result) == reasons


@pytest.mark.parametrize(("published_after", "reasons"), [(0, ["ended"]), (1, [])])
def test_who_waits_for_a_definition_is_judged_by_the_ends_that_are_there_when_it_comes(
    published_after: int, reasons: list[str]
) -> None:
    end = the_end(ONE_HOUR_BEFORE, published_at=ONE_HOUR_LATER + published_after)
    result = attributed(received(an_assignment()), Published(a_definition(), ONE_HOUR_LATER), end)
    assert reasons_of(result) == reasons


def test_a_definition_that_comes_with_its_end_refuses_who_waited_for_it() -> None:
    definition = Published(a_definition(ended_at=ONE_HOUR_BEFORE), ONE_HOUR_LATER)
    assert reasons_of(attributed(received(an_assignment()), definition)) == ["ended"]


def test_who_is_refused_as_ended_leaves_the_event_id_free_unless_he_waited() -> None:
    after = an_assignment("a1", assigned_at=ONE_DAY_LATER)
    again = an_assignment("a1", assigned_at=ONE_HOUR_BEFORE)
    log = Log()
    records = [log.append(after), log.append(again, at=ONE_DAY_LATER)]
    known = attributed(records, a_definition(ended_at=BEGINNING))
    assert reasons_of(known) == ["ended"]
    assert places_of(known) == {("control", 1, "clean", -1): 1}
    awaited = attributed(records, Published(a_definition(ended_at=BEGINNING), ONE_DAY_LATER))
    assert reasons_of(awaited) == ["ended", "duplicate"]


def test_who_is_unknown_is_not_called_ended() -> None:
    records = received(
        an_assignment("a1", variant_id="blue", assigned_at=ONE_DAY_LATER),
        an_assignment("a2", config_version=9, assigned_at=ONE_DAY_LATER),
    )
    result = attributed(records, a_definition(ended_at=BEGINNING))
    assert reasons_of(result) == ["unknown_variant", "unknown_definition"]


def test_an_assignment_after_the_end_neither_crosses_nor_makes_a_bot() -> None:
    after = an_assignment("a2", variant_id="treatment", is_bot=True, assigned_at=ONE_DAY_LATER)
    result = attributed(received(an_assignment("a1"), after), a_definition(ended_at=ONE_HOUR_LATER))
    assert places_of(result) == IN_PLACE


# ----------------------------------------------------------------------------------- when a place is closed


def purchase_appended_at(
    appended_at: int, *definitions: dict[str, Any] | Published, before: int = 0
) -> Attribution:
    """Ann is assigned at the beginning and makes a purchase that is appended at this moment."""
    log = Log()
    exposure = log.append(an_assignment())
    outcome = log.append(an_outcome(occurred_at=appended_at - before), at=appended_at)
    return attributed([exposure, outcome], *definitions)


def test_windows_run_out_normally_after_the_end() -> None:
    three_days = a_definition(a_metric(window_days=3), ended_at=ONE_HOUR_LATER)
    assert sums_of(purchase_appended_at(BEGINNING + 3 * DAY - 1, three_days))["y"] == ONE
    assert sums_of(purchase_appended_at(BEGINNING + 10 * DAY - 1, three_days, before=7 * DAY))["y"] == ONE


@pytest.mark.parametrize(("after_closing", "counts"), [(0, True), (1, False)])
def test_without_a_window_outcomes_count_until_a_horizon_after_the_end(
    after_closing: int, counts: bool
) -> None:
    """Ended after one day, a horizon of seven: closed after eight."""
    result = purchase_appended_at(BEGINNING + 8 * DAY + after_closing, a_definition(ended_at=ONE_DAY_LATER))
    assert ("y" in sums_of(result)) == counts
    assert places_of(result) == IN_PLACE


@pytest.mark.parametrize(("after_closing", "counts"), [(0, True), (1, False)])
def test_the_longest_window_keeps_a_place_open_for_all_metrics(after_closing: int, counts: bool) -> None:
    """Windows of three and five days, a horizon of seven: closed twelve days after the exposure."""
    definition = a_definition(
        a_metric("revenue"),
        a_metric("three", window_days=3),
        a_metric("five", window_start_days=4, window_days=5),
        ended_at=ONE_DAY_LATER,
    )
    result = purchase_appended_at(BEGINNING + 12 * DAY + after_closing, definition)
    assert ("y" in sums_of(result)) == counts


@pytest.mark.parametrize(("after_closing", "counts"), [(0, True), (1, False)])
def test_an_end_in_the_past_closes_places_a_horizon_after_it_took_effect(
    after_closing: int, counts: bool
) -> None:
    """Nobody knew of it earlier: what was counted in the meantime stays counted."""
    end = the_end(ONE_DAY_LATER, published_at=BEGINNING + 20 * DAY)
    closed_at = BEGINNING + 27 * DAY + A_SECOND
    result = purchase_appended_at(closed_at + after_closing, Published(a_definition()), end)
    assert ("y" in sums_of(result)) == counts


@pytest.mark.parametrize(("after_closing", "counts"), [(0, True), (1, False)])
def test_of_two_ends_the_one_that_is_in_effect_first_closes(after_closing: int, counts: bool) -> None:
    """The second version ends it on day 30; the third, of day 5, on day 3: in effect on day 5."""
    closed_at = BEGINNING + 12 * DAY + A_SECOND
    result = purchase_appended_at(
        closed_at + after_closing,
        Published(a_definition()),
        the_end(BEGINNING + 30 * DAY, 2, published_at=ONE_DAY_LATER),
        the_end(BEGINNING + 3 * DAY, 3, published_at=BEGINNING + 5 * DAY),
    )
    assert ("y" in sums_of(result)) == counts


def test_a_unit_that_comes_back_after_forty_days_counts_unless_the_experiment_has_ended() -> None:
    forty_days_later = BEGINNING + 40 * DAY
    assert sums_of(purchase_appended_at(forty_days_later, a_definition()))["y"] == ONE
    assert sums_of(purchase_appended_at(forty_days_later, a_definition(ended_at=ONE_DAY_LATER))) == {}


def test_a_closed_place_keeps_what_it_has() -> None:
    result = attributed(
        received(
            an_assignment(),
            an_outcome("o1", value=2.0),
            an_outcome("o2", value=3.0, occurred_at=BEGINNING + 40 * DAY),
        ),
        a_definition(ended_at=TWO_HOURS_LATER),
    )
    assert sums_of(result)["y"] == 2 * ONE


def test_each_place_closes_by_its_own_experiment() -> None:
    other = {"experiment_id": "search-ranking"}
    result = attributed(
        received(
            an_assignment("a1"), an_assignment("a2", **other), an_outcome(occurred_at=BEGINNING + 40 * DAY)
        ),
        a_definition(ended_at=ONE_DAY_LATER),
        a_definition(**other),
    )
    assert [key.experiment_id for key in result.slots if key.metric_id] == ["search-ranking"]


def test_a_covariate_that_arrives_a_horizon_late_still_counts_after_the_end() -> None:
    """Exposed as it ended, an hour after it was known to end: what came before has a horizon to arrive."""
    log = Log()
    records = [
        log.append(an_assignment()),
        log.append(an_outcome(occurred_at=BEGINNING - 1), at=ONE_WEEK_LATER - 1),
    ]
    ended = the_end(BEGINNING, published_at=BEGINNING - HOUR)
    result = attributed(records, Published(a_definition(pre_period_days=1)), ended)
    assert sums_of(result)["x"] == ONE
