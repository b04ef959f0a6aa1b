"""From sums and definitions to rows, with numbers worked by hand and against the scalar statistics."""

from __future__ import annotations

from typing import Any

import pytest
from scipy import stats as reference

from jobs.scorecard.agenda import VIEWS
from jobs.scorecard.book import Book
from jobs.scorecard.cuts import ROLLING, Cuts, matured
from jobs.scorecard.definitions import DAY_MS
from jobs.scorecard.rows import STATISTICS, answers
from jobs.scorecard.slots import Slot
from tests.jobs.scorecard.builders import NOON_MS, NOW, ONE_HOUR_MS, a_book, a_definition, a_metric, add, only
from udfs.stats import (
    Moments,
    SequentialEstimate,
    cuped_difference,
    mean_difference,
    planned_information,
    sequential_difference,
)


def results(book: Book) -> list[dict[str, Any]]:
    return answers(book, NOW)["result_rows"]


def ratios(book: Book) -> list[dict[str, Any]]:
    return answers(book, NOW)["sample_ratio_rows"]


def a_result(book: Book, **where: Any) -> dict[str, Any]:
    main = {"config_version": 1, "policy": "first_seen", "segment": "", "metric_id": "revenue"}
    return only(results(book), **{**main, **where})


@pytest.fixture
def small() -> Book:
    """Three users each: means 2 and 4, variances 1 and 4."""
    book = a_book()
    add(book, "control", [1, 2, 3])
    add(book, "treatment", [2, 4, 6])
    return book


def test_nothing_is_said_of_slots_without_a_definition(small: Book) -> None:
    assert answers(Book(totals=small.totals), NOW) == {}


def test_nothing_is_said_of_a_definition_without_slots() -> None:
    assert answers(a_book(), NOW) == {}


def test_one_slot_is_enough_for_every_row_though_none_has_an_answer() -> None:
    book = a_book()
    add(book, "control", [1])
    row = a_result(book)
    assert (row["n_control"], row["n_treatment"]) == (1, 0)
    assert (row["status"], row["reason"]) == ("undetermined", "too_few_units")
    assert row["p_value"] is None


def test_welch_by_hand(small: Book) -> None:
    row = a_result(small)
    variance, degrees = 1 / 3 + 4 / 3, 50 / 17
    half_width = reference.t.ppf(0.975, degrees) * variance**0.5
    assert (row["mean_control"], row["mean_treatment"], row["abs_diff"], row["rel_diff"]) == (2, 4, 2, 1)
    assert row["abs_ci_lower"] == pytest.approx(2 - half_width, rel=1e-12)
    assert row["abs_ci_upper"] == pytest.approx(2 + half_width, rel=1e-12)
    assert row["p_value"] == pytest.approx(2 * reference.t.sf(2 / variance**0.5, degrees), rel=1e-12)
    assert row["status"] == "ok"


def test_a_row_says_what_it_was_computed_from_and_when(small: Book) -> None:
    row = a_result(small)
    assert (row["tenant_id"], row["experiment_id"], row["view"]) == ("acme", "checkout", "all")
    assert (row["control_variant"], row["treatment_variant"]) == ("control", "treatment")
    assert row["slot_updates"] == 3 + 3 + 3 + 3
    assert {each["epoch"] for each in (*results(small), *ratios(small))} == {0}
    assert (row["as_of"], row["computed_at"], row["version"]) == (NOON_MS, NOW.now_ms, NOW.version)
    assert row["regions"] == ["local"]
    assert row["covers_from"] == NOON_MS - ONE_HOUR_MS


def test_users_without_outcomes_count(small: Book) -> None:
    exposure = next(group for group in small.totals if (group.variant_id, group.metric_id) == ("control", ""))
    small.totals[exposure] = Slot(1, 6, "", 6, NOON_MS)
    row = a_result(small)
    assert (row["n_control"], row["mean_control"]) == (6, 1)


def test_crossed_users_count_where_they_were_first_seen_or_not_at_all(small: Book) -> None:
    add(small, "treatment", [8], unit_class="crossed")
    assert a_result(small)["mean_treatment"] == 5
    assert a_result(small, policy="exclude_crossed")["mean_treatment"] == 4


def test_bots_are_in_no_result(small: Book) -> None:
    add(small, "treatment", [1000], unit_class="bot")
    for policy in ("first_seen", "exclude_crossed"):
        assert a_result(small, policy=policy)["mean_treatment"] == 4


def test_regions_are_added_and_named(small: Book) -> None:
    add(small, "control", [6], region="eu")
    row = a_result(small)
    assert (row["n_control"], row["mean_control"], row["regions"]) == (4, 3, ["eu", "local"])


def test_one_version_alone_is_also_the_combination(small: Book) -> None:
    alone, combined = (a_result(small, config_version=version) for version in (1, 0))
    assert alone.pop("config_version") != combined.pop("config_version")
    assert alone == combined


def test_the_combination_weighs_differences_by_users_and_is_no_sum_over_versions() -> None:
    """Fifty-fifty, then one in four: each version has effect 1, the naive sum would show another."""
    book = a_book(a_definition(), a_definition(config_version=2, variants={"control": 1, "treatment": 3}))
    add(book, "control", [0, 2])
    add(book, "treatment", [1, 3])
    add(book, "control", [10, 12], config_version=2)
    add(book, "treatment", [9, 11, 13, 11, 13, 15], config_version=2)
    first, second, combined = (a_result(book, config_version=version) for version in (1, 2, 0))
    assert (first["abs_diff"], second["abs_diff"], combined["abs_diff"]) == (1, 1, 1)
    assert (combined["n_control"], combined["n_treatment"]) == (4, 8)
    assert combined["mean_treatment"] - combined["mean_control"] == pytest.approx(1)


def test_a_metric_that_changed_its_meaning_is_not_combined() -> None:
    book = a_book(a_definition(), a_definition(config_version=2, metrics=[a_metric(cap=5)]))
    for version in (1, 2):
        add(book, "control", [1, 2, 3], config_version=version)
        add(book, "treatment", [2, 4, 6], config_version=version)
    row = a_result(book, config_version=0)
    assert (row["status"], row["reason"]) == ("undetermined", "metric_changed")
    assert {row[name] for name in STATISTICS} == {None}
    assert a_result(book, config_version=2)["status"] == "ok"


def test_a_version_without_slots_takes_no_part(small: Book) -> None:
    small.definitions[2] = a_definition(config_version=2, metrics=[a_metric(cap=5)])
    assert {row["config_version"] for row in results(small)} == {0, 1}
    assert a_result(small, config_version=0)["status"] == "ok"


def test_every_treatment_is_compared_with_the_control_in_every_metric() -> None:
    book = a_book(
        a_definition(variants={"a": 1, "b": 1, "c": 1}, control="a", metrics=[a_metric(), a_metric(id="x")])
    )
    add(book, "a", [1, 2])
    rows = [row for row in results(book) if row["policy"] == "first_seen" and row["config_version"] == 1]
    assert [(row["metric_id"], row["treatment_variant"]) for row in rows] == [
        ("revenue", "b"),
        ("revenue", "c"),
        ("x", "b"),
        ("x", "c"),
    ]


def test_a_segment_has_rows_of_its_own_from_its_own_users(small: Book) -> None:
    add(small, "control", [1, 3], segment="country=DE")
    add(small, "treatment", [5, 7], segment="country=DE")
    assert a_result(small, segment="country=DE")["abs_diff"] == 4
    assert a_result(small)["abs_diff"] == 2


def test_the_covariate_is_used_where_there_is_a_pre_period() -> None:
    before, control, treatment = [1, 2, 3, 5], [2, 2, 4, 6], [3, 6, 6, 9]
    with_one, without = a_book(a_definition(pre_period_days=14)), a_book()
    for book in (with_one, without):
        add(book, "control", control, before)
        add(book, "treatment", treatment, before)
    expected = cuped_difference(*(Moments.from_units(y, [1] * 4, before) for y in (control, treatment)))
    row = a_result(with_one)
    assert row["cuped_abs_diff"] == pytest.approx(expected.difference.estimate, rel=1e-12)
    assert row["cuped_p_value"] == pytest.approx(expected.difference.p_value, rel=1e-12)
    assert row["cuped_theta"] == pytest.approx(expected.theta, rel=1e-12)
    assert a_result(without)["cuped_abs_diff"] is None


def test_the_rows_are_what_the_scalar_statistics_say(small: Book) -> None:
    expected = mean_difference(Moments.from_units([1, 2, 3]), Moments.from_units([2, 4, 6]))
    row = a_result(small)
    assert row["abs_ci_lower"] == pytest.approx(expected.ci_lower, rel=1e-12)
    assert row["p_value"] == pytest.approx(expected.p_value, rel=1e-12)


@pytest.mark.parametrize("pre_period_days", [0, 14])
def test_the_relative_interval_for_any_look_is_what_the_scalar_statistics_say(pre_period_days: int) -> None:
    before, after = [1, 2, 3, 5] * 25, {"control": [9, 9, 10, 12] * 25, "treatment": [10, 11, 11, 13] * 25}
    book = a_book(a_definition(pre_period_days=pre_period_days, planned_units=1000))
    for variant, values in after.items():
        add(book, variant, values, before)
    expected = sequential_difference(
        *(Moments.from_units(values, [1] * 100, before) for values in after.values()),
        planned=float(planned_information(1000, 0.5, 0.5)),
        use_covariate=pre_period_days > 0,
    )
    row = a_result(book)
    assert isinstance(expected, SequentialEstimate)
    assert (row["seq_ci_lower"], row["seq_ci_upper"]) == (expected.ci_lower, expected.ci_upper)
    assert (row["seq_rel_ci_lower"], row["seq_rel_ci_upper"]) == expected.relative_interval
    assert row["seq_rel_ci_lower"] < row["seq_rel_diff"] < row["seq_rel_ci_upper"]
    assert row["seq_rel_diff"] == pytest.approx(row["rel_diff"], rel=1e-12)  # both arms were alike before


def test_alpha_is_the_first_versions(small: Book) -> None:
    strict = Book(small.totals, spreads=small.spreads, definitions={1: a_definition(alpha=0.001)})
    assert a_result(strict)["abs_ci_upper"] > a_result(small)["abs_ci_upper"]


def test_sequential_columns_are_there_for_the_question_that_is_asked_again_and_again(small: Book) -> None:
    add(small, "control", [1, 3], segment="country=DE")
    add(small, "treatment", [5, 7], segment="country=DE")
    main = a_result(small)
    assert None not in (main["seq_p_value"], main["seq_ci_lower"], main["p_adjusted"])
    assert main["seq_basis"] == "accruing"
    for once in ({"segment": "country=DE"}, {"policy": "exclude_crossed"}):
        row = a_result(small, **once)
        assert (row["seq_p_value"], row["seq_basis"], row["p_adjusted"]) == (None, None, None)
        assert (row["seq_rel_diff"], row["seq_rel_ci_lower"], row["seq_rel_ci_upper"]) == (None, None, None)
        assert row["reason"] in ("one_look_only", "baseline_near_zero")


def test_only_goals_are_adjusted_together() -> None:
    book = a_book(a_definition(metrics=[a_metric(), a_metric(id="other", role="secondary")]))
    for metric_id in ("revenue", "other"):
        add(book, "control", [1, 2, 3], metric_id=metric_id)
        add(book, "treatment", [2, 4, 6], metric_id=metric_id)
    assert a_result(book)["p_adjusted"] is not None
    assert a_result(book, metric_id="other")["p_adjusted"] is None


def crossing(control: int, treatment: int, **place: Any) -> Book:
    """A hundred users in each arm, of whom so many saw both."""
    book = a_book()
    for variant, crossed in (("control", control), ("treatment", treatment)):
        add(book, variant, [1, 2] * ((100 - crossed) // 2), **place)
        add(book, variant, [1, 2] * (crossed // 2), unit_class="crossed", **place)
    return book


def test_equal_shares_of_crossed_users_by_hand() -> None:
    """Ten and twenty of a hundred: of 30 crossed and 170 clean, each arm expects 15 and 85."""
    book = crossing(10, 20)
    chi2 = 2 * 5**2 / 15 + 2 * 5**2 / 85
    for policy in ("first_seen", "exclude_crossed"):
        row = a_result(book, policy=policy)
        assert row["crossed_p_value"] == pytest.approx(reference.chi2.sf(chi2, 1), rel=1e-12)
        assert row["reason"] != "crossed_unbalanced"


def test_leaving_out_crossed_users_who_are_unbalanced_is_told() -> None:
    book = crossing(4, 40)
    assert a_result(book)["crossed_p_value"] < 0.001
    assert a_result(book, policy="exclude_crossed")["reason"] == "crossed_unbalanced"
    assert a_result(book, policy="first_seen")["reason"] == ""


def test_crossed_users_of_a_segment_are_its_own() -> None:
    book = crossing(10, 20)
    book.totals |= crossing(4, 40, segment="country=DE").totals
    assert a_result(book, segment="country=DE")["crossed_p_value"] < 0.001
    assert a_result(book)["crossed_p_value"] > 0.001


def test_crossed_users_of_two_versions_are_tested_version_by_version() -> None:
    """Opposite imbalances do not cancel, though the arms of both together are alike."""
    book = a_book(a_definition(), a_definition(config_version=2))
    book.totals |= crossing(4, 40).totals
    book.totals |= crossing(40, 4, config_version=2).totals
    combined, alone = (a_result(book, config_version=version) for version in (0, 2))
    assert combined["crossed_p_value"] < alone["crossed_p_value"] < 0.001


def test_without_crossed_users_there_is_nothing_to_balance(small: Book) -> None:
    assert a_result(small)["crossed_p_value"] is None


def since(hours: float, **changes: Any) -> Book:
    """A hundred users in each arm of an experiment of 1000, the first in a cohort so many hours ago."""
    book = a_book(a_definition(**changes))
    for variant in ("control", "treatment"):
        add(book, variant, [1, 2] * 50, since_ms=int(NOON_MS - hours * ONE_HOUR_MS))
    return book


def test_the_days_left_are_those_of_the_planned_users_at_the_pace_so_far() -> None:
    """Two hundred of a thousand in twelve hours: 400 a day, 800 missing."""
    assert a_result(since(hours=12))["days_left"] == 2


def test_days_are_told_after_an_hour_beyond_the_first_cohort() -> None:
    assert a_result(since(hours=1.9))["days_left"] is None
    assert a_result(since(hours=2))["days_left"] is not None
    assert a_result(since(hours=12, cohort_hours=24))["days_left"] is None


def test_no_days_are_left_where_an_end_is_known() -> None:
    """An experiment ends by a version to which nobody comes."""
    book = since(hours=12)
    book.definitions[2] = a_definition(config_version=2, ended_at=NOON_MS)
    assert a_result(book)["days_left"] is None


def test_the_pace_of_a_version_is_counted_from_its_own_beginning() -> None:
    book = since(hours=48)
    book.definitions[2] = a_definition(config_version=2)
    for variant in ("control", "treatment"):
        add(book, variant, [1, 2] * 50, config_version=2, since_ms=NOON_MS - 12 * ONE_HOUR_MS)
    assert a_result(book, config_version=2)["days_left"] == 2
    assert a_result(book, config_version=0)["days_left"] == 3
    assert a_result(book, config_version=1)["days_left"] is None
    assert a_result(book, config_version=2)["covers_from"] == NOON_MS - 48 * ONE_HOUR_MS


def test_days_are_counted_for_the_experiment_as_a_whole() -> None:
    book = since(hours=12)
    add(book, "control", [1, 2], segment="country=DE", since_ms=NOON_MS - 20 * ONE_HOUR_MS)
    add(book, "control", [1, 2], unit_class="bot", since_ms=NOON_MS - 100 * ONE_HOUR_MS)
    assert a_result(book, segment="country=DE")["days_left"] is None
    assert a_result(book, policy="exclude_crossed")["days_left"] is None
    assert a_result(book)["days_left"] == 2
    assert a_result(book)["covers_from"] == NOON_MS - 12 * ONE_HOUR_MS


def test_the_sample_ratio_expects_each_versions_users_in_its_own_shares() -> None:
    book = a_book(a_definition(), a_definition(config_version=2, variants={"control": 1, "treatment": 3}))
    add(book, "control", [1] * 5)
    add(book, "treatment", [1] * 5)
    add(book, "control", [1] * 2, config_version=2)
    add(book, "treatment", [1] * 6, config_version=2)
    row = only(ratios(book), segment="", bots="excluded")
    assert row["variants"] == ["control", "treatment"]
    assert (row["counts"], row["expected"]) == ([7, 11], [5 + 2, 5 + 6])
    assert (row["chi2_p_value"], row["status"], row["reason"]) == (1, "ok", "")


def test_the_sample_ratio_by_hand(small: Book) -> None:
    """Ten to twenty of thirty: chi-square (25 + 25) / 15 with one degree of freedom."""
    book = a_book()
    add(book, "control", [1] * 10)
    add(book, "treatment", [1] * 20)
    assert only(ratios(book), bots="excluded")["chi2_p_value"] == pytest.approx(reference.chi2.sf(50 / 15, 1))


def test_bots_are_counted_in_the_sample_ratio_that_includes_them(small: Book) -> None:
    add(small, "treatment", [1, 1], unit_class="bot")
    add(small, "control", [1], unit_class="crossed")
    assert only(ratios(small), bots="excluded")["counts"] == [4, 3]
    assert only(ratios(small), bots="included")["counts"] == [4, 5]


def test_users_in_a_variant_of_weight_zero_are_a_leak() -> None:
    book = a_book(a_definition(variants={"control": 0.5, "treatment": 0.5, "off": 0}))
    for variant in ("control", "treatment", "off"):
        add(book, variant, [1, 2])
    row = only(ratios(book), bots="excluded")
    assert (row["counts"], row["expected"], row["reason"]) == ([2, 2, 2], [2, 2, 0], "leak")


def test_a_sample_ratio_of_nobody_is_undetermined_and_shows_its_counts() -> None:
    book = a_book()
    add(book, "control", [1], unit_class="bot")
    row = only(ratios(book), bots="excluded")
    assert (row["status"], row["reason"], row["chi2_p_value"]) == ("undetermined", "no_units", None)
    assert (row["counts"], row["expected"]) == ([0, 0], [0, 0])


def test_sums_that_no_users_can_have_are_an_answer_of_their_own(small: Book) -> None:
    """The sums of a metric may reach the job a moment before the users they belong to."""
    exposure = next(group for group in small.totals if (group.variant_id, group.metric_id) == ("control", ""))
    small.totals[exposure] = Slot(1, 2, "", 2, NOON_MS)
    assert a_result(small)["reason"] == "impossible_sums"


def cut(book: Book, *others: Book) -> Book:
    """The book with its users of before, who are all mature and out of the rolling views, but the others'."""
    book.cuts, book.moved_to_ms = Cuts.of(book.definitions.values()), NOON_MS
    for rule, found in book.cuts.by_rule.items():
        for part in (book,) if rule.is_closed else others:
            for group, total in part.totals.items():
                found.add(group, total.amount)
    for part in others:
        book.totals |= {
            group: Slot.of(total.amount.plus(book.totals[group].amount), NOON_MS)
            for group, total in part.totals.items()
        }
    return book


WEEKLY = a_metric(window_days=7)


def newcomers(**changes: Any) -> Book:
    """Two users more in each arm, whose means are 10 and 20."""
    book = a_book()
    add(book, "control", [9, 11], **changes)
    add(book, "treatment", [18, 22], **changes)
    return book


@pytest.fixture
def viewed() -> Book:
    """The users of ``small``, who are mature, and newcomers who are in the rolling views."""
    book = a_book(a_definition(metrics=[WEEKLY]))
    add(book, "control", [1, 2, 3])
    add(book, "treatment", [2, 4, 6])
    return cut(book, newcomers())


def a_view(book: Book, view: str, **where: Any) -> dict[str, Any]:
    main = {"config_version": 1, "policy": "first_seen", "segment": "", "metric_id": "revenue"}
    return only(answers(book, NOW, VIEWS)["result_rows"], view=view, **{**main, **where})


def test_each_view_has_its_own_users(viewed: Book) -> None:
    found = {view: a_view(viewed, view) for view in VIEWS}
    assert {view: (row["n_control"], row["abs_diff"]) for view, row in found.items()} == {
        "all": (5, pytest.approx((12 + 40) / 5 - (6 + 20) / 5)),
        "matured": (3, 2),
        "rolling_24h": (2, 10),
        "rolling_7d": (2, 10),
    }


def test_every_view_has_the_same_questions(viewed: Book) -> None:
    rows = answers(viewed, NOW, VIEWS)["result_rows"]
    asked: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        place = row["config_version"], row["policy"], row["segment"], row["metric_id"]
        asked.setdefault(row["view"], []).append(place)
    assert set(asked) == set(VIEWS)
    assert all(places == asked["all"] for places in asked.values())


def test_sequential_columns_are_in_views_that_users_do_not_leave(viewed: Book) -> None:
    for view in ("all", "matured"):
        row = a_view(viewed, view)
        assert None not in (row["seq_p_value"], row["p_adjusted"], row["seq_basis"])
    for view in ("rolling_24h", "rolling_7d"):
        row = a_view(viewed, view)
        assert (row["seq_p_value"], row["p_adjusted"], row["seq_basis"]) == (None, None, None)
        assert row["reason"] in ("one_look_only", "baseline_near_zero")
    assert a_view(viewed, "matured", policy="exclude_crossed")["seq_p_value"] is None


def test_the_basis_is_matured_users_in_their_view_and_wherever_all_windows_are_closed(viewed: Book) -> None:
    assert a_view(viewed, "matured")["seq_basis"] == "matured"
    assert a_view(viewed, "all")["seq_basis"] == "accruing"
    hour_and_window_ms = ONE_HOUR_MS + 7 * DAY_MS
    for late_ms, basis in ((-1, "accruing"), (0, "matured")):
        moment = NOW._replace(as_of_ms=NOON_MS - ONE_HOUR_MS + hour_and_window_ms + late_ms)
        for group, spread in viewed.spreads.items():
            viewed.spreads[group] = spread._replace(last_cohort_ms=NOON_MS - ONE_HOUR_MS)
        rows = answers(viewed, moment)["result_rows"]
        assert only(rows, config_version=1, policy="first_seen")["seq_basis"] == basis


def test_users_of_a_metric_without_a_window_never_mature() -> None:
    book = a_book(a_definition(metrics=[WEEKLY, a_metric(id="endless")]))
    for variant, values in (("control", [1, 2, 3]), ("treatment", [2, 4, 6])):
        add(book, variant, values)
        add(book, variant, values, metric_id="endless")
    cut(book)
    row = a_view(book, "matured", metric_id="endless")
    assert (row["n_control"], row["status"], row["reason"]) == (0, "undetermined", "never_matures")
    assert {row[name] for name in STATISTICS} == {None}
    assert a_view(book, "all", metric_id="endless")["status"] == "ok"


def test_a_goal_that_never_matures_is_one_of_the_goals() -> None:
    """As an undetermined one it counts as 1, so that the others do not become significant by its absence."""
    adjusted = []
    for metrics in ([WEEKLY], [WEEKLY, a_metric(id="endless")]):
        book = a_book(a_definition(metrics=metrics))
        add(book, "control", [1, 2, 3] * 90)
        add(book, "treatment", [2, 4, 6] * 90)
        adjusted.append(a_view(cut(book), "matured")["p_adjusted"])
    assert adjusted[1] == pytest.approx(2 * adjusted[0])


def test_metrics_mature_each_after_its_own_window() -> None:
    book = a_book(a_definition(metrics=[WEEKLY, a_metric(id="quick", window_days=1)]))
    for variant, values in (("control", [1, 2, 3]), ("treatment", [2, 4, 6])):
        add(book, variant, values)
        add(book, variant, values, metric_id="quick")
    cut(book)
    assert book.cuts is not None
    book.cuts.by_rule[matured(7 * DAY_MS)].sums.clear()
    assert a_view(book, "matured")["n_control"] == 0
    assert a_view(book, "matured", metric_id="quick")["n_control"] == 3


def test_the_combination_of_versions_holds_in_every_view() -> None:
    book = a_book(
        a_definition(metrics=[WEEKLY]),
        a_definition(config_version=2, metrics=[WEEKLY], variants={"control": 1, "treatment": 3}),
    )
    for version, before in ((1, 0), (2, 10)):
        add(book, "control", [before, before + 2], config_version=version)
        add(book, "treatment", [before + 1, before + 3], config_version=version)
    cut(book, newcomers(), newcomers(config_version=2))
    for view, difference in (("matured", 1), ("rolling_24h", 10), ("rolling_7d", 10)):
        row = a_view(book, view, config_version=0)
        assert (row["n_control"], row["abs_diff"]) == (4, pytest.approx(difference))


def test_a_metric_that_changed_its_meaning_is_combined_in_no_view() -> None:
    book = a_book(
        a_definition(metrics=[WEEKLY]), a_definition(config_version=2, metrics=[a_metric(window_days=1)])
    )
    for version in (1, 2):
        add(book, "control", [1, 2, 3], config_version=version)
        add(book, "treatment", [2, 4, 6], config_version=version)
    cut(book)
    for view in VIEWS:
        assert a_view(book, view, config_version=0)["reason"] == "metric_changed"
    assert a_view(book, "matured", config_version=2)["abs_diff"] == 2


def test_rolling_views_of_the_same_users_say_the_same(small: Book) -> None:
    cut(small, newcomers())
    first, second = (a_view(small, view) for view in ROLLING)
    assert first.pop("view") != second.pop("view")
    assert first == second


def test_mature_users_come_at_the_pace_of_users_a_window_later() -> None:
    """Two hundred of a thousand in twelve hours, a day ago: 400 a day, 800 missing."""
    book = since(hours=36, metrics=[a_metric(window_days=1)])
    assert a_view(cut(book), "matured")["days_left"] == 2


def test_the_sample_ratio_goes_with_the_view_of_all(viewed: Book) -> None:
    assert answers(viewed, NOW, VIEWS)["sample_ratio_rows"] == answers(viewed, NOW)["sample_ratio_rows"] != []
    assert answers(viewed, NOW, VIEWS[1:])["sample_ratio_rows"] == []
