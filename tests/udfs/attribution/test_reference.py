"""Every rule of attribution as a sentence, with numbers worked by hand.

Each test tells what was received; ``answers`` say what the reference makes of it. When an experiment ends is
told in ``test_reference_endings``, the ledger and the activity in ``test_reference_ledger``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.builders import (
    BEGINNING,
    DAY,
    EXPERIMENT,
    HOUR,
    MINUTE,
    ONE_DAY_BEFORE,
    ONE_DAY_LATER,
    ONE_HOUR_BEFORE,
    ONE_HOUR_LATER,
    ONE_MINUTE_LATER,
    ONE_WEEK_LATER,
    RULES,
    TENANT,
    TWO_HOURS_LATER,
    Log,
    Published,
    a_definition,
    a_metric,
    an_assignment,
    an_outcome,
    received,
)
from tests.udfs.attribution.answers import (
    ONE,
    attributed,
    hours_since_beginning,
    places_of,
    reasons_of,
    sums_of,
)
from udfs.attribution.reference import Outcome, Slot, SlotKey

# ----------------------------------------------------------------------------------------- slots and sums


def test_an_exposed_unit_without_outcomes_is_counted_in_one_slot_and_adds_nothing_else() -> None:
    result = attributed(received(an_assignment()))
    key = SlotKey(TENANT, EXPERIMENT, 1, "control", "", "", BEGINNING, "clean", "local")
    assert result.slots == {key: Slot(1)}
    assert result.rejected == []


def test_a_unit_with_one_outcome_adds_its_value_the_count_and_their_products() -> None:
    result = attributed(received(an_assignment(), an_outcome(value=2.5)))
    assert sums_of(result) == {
        "y": 2_500_000,
        "d": 1_000_000,
        "yy": 6_250_000_000_000,
        "yd": 2_500_000_000_000,
        "dd": 1_000_000_000_000,
    }


def test_a_metric_slot_carries_no_n_and_an_exposure_slot_no_sums() -> None:
    result = attributed(received(an_assignment(), an_outcome()))
    assert {(key.metric_id, slot.n, any(slot.sums)) for key, slot in result.slots.items()} == {
        ("", 1, False),
        ("revenue", 0, True),
    }


def test_all_fourteen_sums_of_a_unit_with_a_past() -> None:
    before, after = an_outcome("o1", value=3.0, occurred_at=ONE_HOUR_BEFORE), an_outcome("o2", value=5.0)
    result = attributed(received(before, an_assignment(), after), a_definition(pre_period_days=14))
    micros = {"y": 5, "d": 1, "x": 3, "e": 1}
    products = {"yy": 25, "yd": 5, "yx": 15, "ye": 5, "dd": 1, "dx": 3, "de": 1, "xx": 9, "xe": 3, "ee": 1}
    assert sums_of(result) == {name: total * ONE for name, total in micros.items()} | {
        name: total * ONE * ONE for name, total in products.items()
    }


def test_two_units_in_the_same_place_add_up_as_units_not_as_one() -> None:
    bob = {"unit_id": "bob"}
    result = attributed(
        received(an_assignment(), an_assignment(**bob), an_outcome(value=1.0), an_outcome(value=2.0, **bob))
    )
    assert places_of(result) == {("control", 1, "clean", 0): 2}
    assert sums_of(result)["y"] == 3 * ONE
    assert sums_of(result)["yy"] == (1 + 4) * ONE * ONE


def test_two_outcomes_of_one_unit_are_summed_before_they_are_squared() -> None:
    result = attributed(received(an_assignment(), an_outcome("o1", value=1.0), an_outcome("o2", value=2.0)))
    assert sums_of(result)["yy"] == 9 * ONE * ONE
    assert sums_of(result)["dd"] == 4 * ONE * ONE


def test_values_that_cancel_leave_a_slot_for_the_number_of_outcomes() -> None:
    result = attributed(received(an_assignment(), an_outcome("o1", value=1.0), an_outcome("o2", value=-1.0)))
    assert sums_of(result) == {"d": 2 * ONE, "dd": 4 * ONE * ONE}


def test_a_ratio_whose_values_and_weights_are_zero_leaves_no_slot() -> None:
    ratio = a_definition(a_metric(kind="ratio"))
    result = attributed(received(an_assignment(), an_outcome(value=0.0, weight=0.0)), ratio)
    assert [key.metric_id for key in result.slots] == [""]


@pytest.mark.parametrize(
    ("value", "micros"),
    [
        (1e-6, 1),
        (5e-7, 0),  # a half goes to the even neighbour
        (1.5e-6, 2),
        (2.5e-6, 2),
        (-5e-7, 0),
        (-1.5e-6, -2),
        (0.1, 100_000),
        (1.0000005, 1_000_001),  # the double nearest to it lies above the half
        (9e9, 9_000_000_000_000_000),
    ],
)
def test_a_value_is_rounded_to_micros_half_to_even(value: float, micros: int) -> None:
    result = attributed(received(an_assignment(), an_outcome(value=value)))
    assert sums_of(result).get("y", 0) == micros


def test_each_outcome_is_rounded_by_itself() -> None:
    outcomes = [an_outcome(f"o{i}", value=4e-7) for i in range(10)]
    assert "y" not in sums_of(attributed(received(an_assignment(), *outcomes)))


def test_the_tenant_and_the_region_are_part_of_the_slot() -> None:
    elsewhere = {"tenant_id": "globex"}
    log = Log("globex")
    log.append(an_assignment(**elsewhere))
    result = attributed(
        received(an_assignment()) + [each.received for each in log.records],
        a_definition(),
        a_definition(**elsewhere),
        rules=replace(RULES, region="eu"),
    )
    assert {(key.tenant_id, key.region) for key in result.slots} == {("acme", "eu"), ("globex", "eu")}
    assert reasons_of(result) == []


# ------------------------------------------------------------------------------ rule 1: the first exposure


def test_the_earliest_assignment_decides_wherever_it_stands_in_the_log() -> None:
    later = an_assignment("a1", assigned_at=TWO_HOURS_LATER)
    earlier = an_assignment("a2", assigned_at=ONE_HOUR_LATER)
    assert places_of(attributed(received(later, earlier))) == {("control", 1, "clean", 1): 1}


def test_an_earlier_exposure_that_arrives_late_moves_the_unit_to_its_variant_with_its_outcomes() -> None:
    treated = an_assignment("a1", variant_id="treatment", assigned_at=ONE_HOUR_LATER)
    purchase = an_outcome(occurred_at=TWO_HOURS_LATER)
    log = Log()
    records = [log.append(treated), log.append(purchase), log.append(an_assignment("a2"), at=TWO_HOURS_LATER)]
    result = attributed(records)
    assert places_of(result) == {("control", 1, "crossed", 0): 1}
    assert {key.variant_id for key in result.slots} == {"control"}
    assert sums_of(result)["y"] == ONE


def test_of_two_assignments_at_the_same_moment_the_smaller_event_id_is_first() -> None:
    records = received(an_assignment("b"), an_assignment("a", variant_id="treatment"))
    assert places_of(attributed(records)) == {("treatment", 1, "crossed", 0): 1}


def test_event_ids_are_compared_by_their_utf8_bytes() -> None:
    """U+FF5E is three bytes and U+1F600 four; in UTF-16 their order is the other way round."""
    records = received(an_assignment("\U0001f600"), an_assignment("\uff5e", variant_id="treatment"))
    assert places_of(attributed(records)) == {("treatment", 1, "crossed", 0): 1}


def test_a_unit_is_placed_in_every_experiment_by_itself() -> None:
    other = {"experiment_id": "search-ranking"}
    result = attributed(
        received(an_assignment("a1"), an_assignment("a2", variant_id="treatment", **other), an_outcome()),
        a_definition(),
        a_definition(**other),
    )
    assert {(key.experiment_id, key.variant_id, key.unit_class) for key in result.slots} == {
        (EXPERIMENT, "control", "clean"),
        ("search-ranking", "treatment", "clean"),
    }
    assert sum(slot.sums[0] for slot in result.slots.values()) == 2 * ONE


def test_the_version_of_the_first_exposure_brings_all_its_rules() -> None:
    first = a_definition(a_metric(cap=1), cohort_hours=1)
    second = a_definition(a_metric("spend", cap=3), config_version=2, cohort_hours=24)
    result = attributed(
        received(
            an_assignment("a1", config_version=2, assigned_at=ONE_HOUR_LATER),
            an_assignment("a2", config_version=1, assigned_at=TWO_HOURS_LATER),
            an_outcome(value=10.0, occurred_at=TWO_HOURS_LATER),
        ),
        first,
        second,
    )
    assert places_of(result) == {("control", 2, "clean", 0): 1}
    assert {key.metric_id for key in result.slots} == {"", "spend"}
    assert sums_of(result, "spend")["y"] == 3 * ONE


# The exposure is 490,925 hours after the epoch (7 x 70,132 + 1) and 29 after the beginning.
@pytest.mark.parametrize(("cohort_hours", "cohort"), [(1, 29), (6, 24), (24, 24), (7, 28)])
def test_a_cohort_is_the_exposure_floored_to_the_cohort_width_from_the_epoch(
    cohort_hours: int, cohort: int
) -> None:
    exposure = an_assignment(assigned_at=BEGINNING + 29 * HOUR + 59 * MINUTE)
    result = attributed(received(exposure), a_definition(cohort_hours=cohort_hours))
    assert places_of(result) == {("control", 1, "clean", cohort): 1}


def test_a_cohort_before_the_epoch_is_floored_too() -> None:
    result = attributed(received(an_assignment(assigned_at=-1)), Published(a_definition(), append_time_ms=-1))
    assert [key.cohort_ms for key in result.slots] == [-HOUR]


# ----------------------------------------------------------------------------------------------- segments

BY_COUNTRY = a_definition(segments={"country": ["DE", "US"], "platform": ["ios"]})


def test_a_unit_counts_in_the_segment_of_each_declared_dimension_it_has() -> None:
    exposure = an_assignment(attributes={"country": "DE", "platform": "ios", "undeclared": "x"})
    result = attributed(received(exposure, an_outcome()), BY_COUNTRY)
    assert {(key.segment, key.metric_id) for key in result.slots} == {
        (segment, metric) for segment in ("", "country=DE", "platform=ios") for metric in ("", "revenue")
    }
    assert sums_of(result, segment="country=DE") == sums_of(result)


@pytest.mark.parametrize("country", ["FR", "", "de", "__other__"])
def test_a_value_that_is_not_listed_is_other(country: str) -> None:
    result = attributed(received(an_assignment(attributes={"country": country})), BY_COUNTRY)
    assert {key.segment for key in result.slots} == {"", "country=__other__"}


def test_a_dimension_that_the_first_exposure_lacks_gives_no_slot() -> None:
    result = attributed(
        received(
            an_assignment("a1", attributes={}),
            an_assignment("a2", assigned_at=ONE_HOUR_LATER, attributes={"country": "DE"}),
        ),
        BY_COUNTRY,
    )
    assert {key.segment for key in result.slots} == {""}


def test_the_cohorts_of_segments_are_days() -> None:
    exposure = an_assignment(assigned_at=BEGINNING + 29 * HOUR, attributes={"country": "DE"})
    result = attributed(received(exposure), BY_COUNTRY)
    assert {key.segment: hours_since_beginning(key.cohort_ms) for key in result.slots} == {
        "": 29,
        "country=DE": 24,
    }


# -------------------------------------------------------------------------------- rule 2: crossed and bots


def test_a_unit_seen_in_two_variants_is_crossed_and_stays_with_its_first() -> None:
    other = an_assignment("a2", variant_id="treatment", assigned_at=ONE_HOUR_LATER)
    result = attributed(received(an_assignment("a1"), other, an_outcome()))
    assert places_of(result) == {("control", 1, "crossed", 0): 1}
    assert {key.unit_class for key in result.slots} == {"crossed"}


def test_another_variant_in_another_version_crosses_too() -> None:
    result = attributed(
        received(an_assignment("a1"), an_assignment("a2", variant_id="treatment", config_version=2)),
        a_definition(),
        a_definition(config_version=2),
    )
    assert places_of(result) == {("control", 1, "crossed", 0): 1}


def test_another_variant_in_another_experiment_does_not_cross() -> None:
    other = {"experiment_id": "search-ranking"}
    result = attributed(
        received(an_assignment("a1"), an_assignment("a2", variant_id="treatment", **other)),
        a_definition(),
        a_definition(**other),
    )
    assert {key.unit_class for key in result.slots} == {"clean"}


def test_the_same_variant_again_does_not_cross() -> None:
    result = attributed(received(an_assignment("a1"), an_assignment("a2", assigned_at=ONE_HOUR_LATER)))
    assert places_of(result) == {("control", 1, "clean", 0): 1}


def test_a_bot_mark_on_any_assignment_makes_a_bot() -> None:
    result = attributed(
        received(an_assignment("a1"), an_assignment("a2", assigned_at=ONE_DAY_LATER, is_bot=True))
    )
    assert places_of(result) == {("control", 1, "bot", 0): 1}


def test_a_bot_that_crosses_is_a_bot() -> None:
    result = attributed(
        received(an_assignment("a1", is_bot=True), an_assignment("a2", variant_id="treatment"))
    )
    assert places_of(result) == {("control", 1, "bot", 0): 1}


def test_a_refused_assignment_neither_crosses_nor_makes_a_bot() -> None:
    log = Log()
    records = [
        log.append(an_assignment("a1")),
        log.append(an_assignment("a2", variant_id="treatment", is_bot=True), at=ONE_WEEK_LATER + 1),
    ]
    result = attributed(records)
    assert places_of(result) == {("control", 1, "clean", 0): 1}
    assert reasons_of(result) == ["too_late"]


# ---------------------------------------------------------------------------- rule 3: windows and sources


@pytest.mark.parametrize(
    ("since_exposure", "counts"),
    [(-1, False), (0, True), (1, True), (DAY - 1, True), (DAY, False)],
)
def test_a_window_includes_the_exposure_and_excludes_its_end(since_exposure: int, counts: bool) -> None:
    outcome = an_outcome(occurred_at=BEGINNING + since_exposure)
    result = attributed(received(an_assignment(), outcome), a_definition(a_metric(window_days=1)))
    assert ("y" in sums_of(result)) == counts


@pytest.mark.parametrize(
    ("since_exposure", "counts"),
    [(0, False), (7 * DAY - 1, False), (7 * DAY, True), (8 * DAY - 1, True), (8 * DAY, False)],
)
def test_retention_on_day_seven_counts_from_seven_days_to_eight(since_exposure: int, counts: bool) -> None:
    day_seven = a_definition(a_metric(kind="proportion", window_start_days=7, window_days=8))
    outcome = an_outcome(occurred_at=BEGINNING + since_exposure)
    assert ("y" in sums_of(attributed(received(an_assignment(), outcome), day_seven))) == counts


def test_without_a_window_an_outcome_counts_however_late_it_occurs() -> None:
    outcome = an_outcome(occurred_at=BEGINNING + 400 * DAY)
    assert sums_of(attributed(received(an_assignment(), outcome)))["y"] == ONE


def test_days_are_rounded_to_milliseconds_half_to_even() -> None:
    tiny = a_definition(a_metric(window_days=2.5 / DAY))
    outcomes = [an_outcome(f"o{ms}", occurred_at=BEGINNING + ms) for ms in (0, 1, 2)]
    assert sums_of(attributed(received(an_assignment(), *outcomes), tiny))["y"] == 2 * ONE


def test_an_outcome_counts_for_every_metric_of_its_source_and_for_no_other() -> None:
    definition = a_definition(
        a_metric("revenue", source="purchase"),
        a_metric("converted", source="purchase", kind="proportion"),
        a_metric("latency", source="page_latency"),
    )
    result = attributed(received(an_assignment(), an_outcome(value=7.0)), definition)
    assert sums_of(result, "revenue")["y"] == 7 * ONE
    assert sums_of(result, "converted")["y"] == ONE
    assert sums_of(result, "latency") == {}


def test_a_source_is_not_a_metrics_id() -> None:
    definition = a_definition(a_metric("purchase", source="order_placed"))
    assert sums_of(attributed(received(an_assignment(), an_outcome()), definition), "purchase") == {}


def test_a_proportion_is_one_for_outcomes_of_any_value_and_counts_them_in_d() -> None:
    definition = a_definition(a_metric(kind="proportion", cap=0.5))
    outcomes = [an_outcome("o1", value=0.0), an_outcome("o2", value=-3.0, weight=9.0)]
    assert sums_of(attributed(received(an_assignment(), *outcomes), definition)) == {
        "y": ONE,
        "d": 2 * ONE,
        "yy": ONE * ONE,
        "yd": 2 * ONE * ONE,
        "dd": 4 * ONE * ONE,
    }


def test_a_mean_ignores_weights_and_a_ratio_divides_by_them() -> None:
    definition = a_definition(a_metric("revenue"), a_metric("per_session", kind="ratio"))
    result = attributed(received(an_assignment(), an_outcome(value=6.0, weight=4.0)), definition)
    assert (sums_of(result, "revenue")["y"], sums_of(result, "revenue")["d"]) == (6 * ONE, ONE)
    assert (sums_of(result, "per_session")["y"], sums_of(result, "per_session")["d"]) == (6 * ONE, 4 * ONE)


def test_outcomes_of_a_unit_that_was_never_exposed_are_in_no_slot() -> None:
    result = attributed(received(an_outcome()))
    assert result.slots == {}
    assert result.rejected == []


# ------------------------------------------------------------------------------------ rule 4: the covariate


@pytest.mark.parametrize(
    ("since_exposure", "counts"),
    [(-14 * DAY - 1, False), (-14 * DAY, True), (-1, True), (0, False)],
)
def test_the_pre_period_includes_its_beginning_and_excludes_the_exposure(
    since_exposure: int, counts: bool
) -> None:
    outcome = an_outcome(occurred_at=BEGINNING + since_exposure)
    result = attributed(received(outcome, an_assignment()), a_definition(pre_period_days=14))
    assert ("x" in sums_of(result)) == counts
    assert ("e" in sums_of(result)) == counts


def test_the_covariate_is_aggregated_as_its_metric_is() -> None:
    definition = a_definition(
        a_metric("revenue", cap=4),
        a_metric("converted", kind="proportion"),
        a_metric("per_session", kind="ratio"),
        pre_period_days=1,
    )
    outcomes = [
        an_outcome("o1", value=3.0, weight=2.0, occurred_at=ONE_HOUR_BEFORE),
        an_outcome("o2", value=3.0, weight=5.0, occurred_at=ONE_HOUR_BEFORE),
    ]
    result = attributed(received(*outcomes, an_assignment()), definition)
    x_and_e = {name: (sums_of(result, name)["x"] // ONE, sums_of(result, name)["e"] // ONE) for name in
               ("revenue", "converted", "per_session")}  # fmt: skip
    assert x_and_e == {"revenue": (4, 2), "converted": (1, 2), "per_session": (6, 7)}


def test_the_covariate_has_no_window_start() -> None:
    definition = a_definition(a_metric(window_start_days=7), pre_period_days=1)
    result = attributed(received(an_outcome(occurred_at=ONE_HOUR_BEFORE), an_assignment()), definition)
    assert sums_of(result)["x"] == ONE


def test_without_a_pre_period_there_is_no_covariate() -> None:
    result = attributed(received(an_outcome(occurred_at=BEGINNING - 1), an_assignment()))
    assert sums_of(result) == {}


def test_an_earlier_exposure_turns_past_into_future() -> None:
    purchase = an_outcome(occurred_at=ONE_HOUR_LATER)
    definition = a_definition(pre_period_days=1)
    late_comer = an_assignment("a1", assigned_at=TWO_HOURS_LATER)
    assert sums_of(attributed(received(late_comer, purchase), definition)).keys() == {
        "x",
        "e",
        "xx",
        "xe",
        "ee",
    }
    records = received(late_comer, an_assignment("a2"), purchase)
    assert sums_of(attributed(records, definition)).keys() == {"y", "d", "yy", "yd", "dd"}


# ------------------------------------------------------------------------------------- rule 5: caps and cut


def test_the_total_is_capped_not_the_single_outcome() -> None:
    definition = a_definition(a_metric(cap=5))
    outcomes = [an_outcome("o1", value=8.0), an_outcome("o2", value=-4.0)]
    assert sums_of(attributed(received(an_assignment(), *outcomes), definition))["y"] == 4 * ONE


@pytest.mark.parametrize(
    ("value", "capped"), [(5.0, 5.0), (5.000001, 5.0), (-7.0, -5.0), (4.999999, 4.999999)]
)
def test_a_cap_holds_on_both_sides_of_zero(value: float, capped: float) -> None:
    result = attributed(received(an_assignment(), an_outcome(value=value)), a_definition(a_metric(cap=5)))
    assert sums_of(result)["y"] == round(capped * ONE)


def test_a_cap_leaves_the_denominator_alone() -> None:
    definition = a_definition(a_metric(kind="ratio", cap=1))
    result = attributed(received(an_assignment(), an_outcome(value=9.0, weight=9.0)), definition)
    assert (sums_of(result)["y"], sums_of(result)["d"]) == (ONE, 9 * ONE)


def test_totals_are_cut_at_nine_billion_after_exact_addition() -> None:
    """1,100 outcomes of 9e9 are 9.9e18 micros, more than 63 bits hold; then as many go back down."""
    up = [an_outcome(f"u{i}", value=9e9, weight=9e9) for i in range(1_100)]
    down = [an_outcome(f"d{i}", value=-9e9, weight=0.0) for i in range(1_099)]
    definition = a_definition(a_metric(kind="ratio"))
    most = 9_000_000_000 * ONE
    at_the_top = sums_of(attributed(received(an_assignment(), *up), definition))
    assert at_the_top == {"y": most, "d": most, "yy": most**2, "yd": most**2, "dd": most**2}
    back_again = sums_of(
        attributed(received(an_assignment(), *up, *down, an_outcome("z", value=-1.0)), definition)
    )
    assert back_again["y"] == most - ONE


def test_a_total_below_minus_nine_billion_is_cut_too() -> None:
    outcomes = [an_outcome(f"o{i}", value=-9e9) for i in range(2)]
    assert sums_of(attributed(received(an_assignment(), *outcomes)))["y"] == -9_000_000_000 * ONE


# --------------------------------------------------------------------------------- rule 6: late and early


@pytest.mark.parametrize(("late_by", "reasons"), [(7 * DAY, []), (7 * DAY + 1, ["too_late"])])
def test_a_record_appended_later_than_the_horizon_is_too_late(late_by: int, reasons: list[str]) -> None:
    assert reasons_of(attributed(received(an_assignment(), at=BEGINNING + late_by))) == reasons
    assert reasons_of(attributed(received(an_outcome(), at=ONE_HOUR_LATER + late_by))) == reasons


@pytest.mark.parametrize(("early_by", "reasons"), [(10 * MINUTE, []), (10 * MINUTE + 1, ["from_future"])])
def test_a_record_from_more_than_ten_minutes_ahead_is_from_the_future(
    early_by: int, reasons: list[str]
) -> None:
    assert reasons_of(attributed(received(an_assignment(), at=BEGINNING - early_by))) == reasons
    assert reasons_of(attributed(received(an_outcome(), at=ONE_HOUR_LATER - early_by))) == reasons


def test_a_unit_that_comes_back_after_forty_days_is_still_in_its_place() -> None:
    result = attributed(
        received(
            an_assignment("a1"),
            an_assignment("a2", assigned_at=BEGINNING + 40 * DAY, variant_id="treatment"),
            an_outcome(occurred_at=BEGINNING + 40 * DAY),
        )
    )
    assert places_of(result) == {("control", 1, "crossed", 0): 1}
    assert sums_of(result)["y"] == ONE


# ------------------------------------------------------------------------------------- rule 7: who waited


def test_an_outcome_waits_for_an_exposure_that_arrives_later() -> None:
    log = Log()
    records = [log.append(an_outcome()), log.append(an_assignment(), at=TWO_HOURS_LATER)]
    assert sums_of(attributed(records))["y"] == ONE


@pytest.mark.parametrize(("waited", "counts"), [(DAY, True), (DAY + 1, False)])
@pytest.mark.parametrize("sum_name", ["x", "y"])
def test_an_outcome_that_waited_longer_than_the_retention_does_not_count(
    sum_name: str, waited: int, counts: bool
) -> None:
    exposed_at = BEGINNING if sum_name == "y" else TWO_HOURS_LATER
    log = Log()
    records = [
        log.append(an_outcome(), at=ONE_HOUR_LATER),
        log.append(an_assignment(assigned_at=exposed_at), at=ONE_HOUR_LATER + waited),
    ]
    result = attributed(records, a_definition(pre_period_days=1), rules=replace(RULES, retention_ms=DAY))
    assert (sum_name in sums_of(result)) == counts


def test_an_outcome_appended_after_its_exposure_never_waited() -> None:
    log = Log()
    records = [log.append(an_assignment()), log.append(an_outcome(occurred_at=BEGINNING + 99 * DAY))]
    assert sums_of(attributed(records, rules=replace(RULES, retention_ms=DAY)))["y"] == ONE


# -------------------------------------------------------------------------------------- rule 8: definitions


@pytest.mark.parametrize(("later_by", "reasons"), [(7 * DAY, []), (7 * DAY + 1, ["unknown_definition"])])
def test_an_assignment_waits_for_its_definition_for_one_horizon(later_by: int, reasons: list[str]) -> None:
    result = attributed(received(an_assignment()), Published(a_definition(), BEGINNING + later_by))
    assert reasons_of(result) == reasons
    assert (places_of(result) == {}) == bool(reasons)


@pytest.mark.parametrize(
    "missing", [{"tenant_id": "globex"}, {"experiment_id": "other"}, {"config_version": 2}]
)
def test_a_definition_of_something_else_does_not_help(missing: dict[str, Any]) -> None:
    result = attributed(received(an_assignment()), a_definition(**missing))
    assert result.slots == {}
    assert reasons_of(result) == ["unknown_definition"]


def test_a_variant_that_the_definition_lacks_is_refused() -> None:
    result = attributed(received(an_assignment(variant_id="blue")))
    assert result.slots == {}
    assert reasons_of(result) == ["unknown_variant"]


def test_a_variant_with_weight_zero_is_accepted() -> None:
    definition = a_definition(variants={"control": 1, "treatment": 0})
    result = attributed(received(an_assignment(variant_id="treatment")), definition)
    assert places_of(result) == {("treatment", 1, "clean", 0): 1}


def test_a_definition_published_again_with_other_content_changes_nothing() -> None:
    result = attributed(
        received(an_assignment(), an_outcome(value=9.0)),
        Published(a_definition(a_metric(cap=1)), ONE_DAY_BEFORE),
        Published(a_definition(a_metric(cap=2)), ONE_HOUR_BEFORE),
    )
    assert sums_of(result)["y"] == ONE


def test_outcomes_need_no_definition_to_be_admitted() -> None:
    assert reasons_of(attributed(received(an_outcome(metric_id="nobody-asks")))) == []


# ----------------------------------------------------------------------------------------------- duplicates


def test_a_second_record_with_the_same_event_id_is_a_duplicate() -> None:
    result = attributed(received(an_assignment(), an_assignment(), an_outcome(), an_outcome(), an_outcome()))
    assert reasons_of(result) == ["duplicate"] * 3
    assert places_of(result) == {("control", 1, "clean", 0): 1}
    assert sums_of(result)["d"] == ONE


def test_of_two_contents_under_one_event_id_the_first_in_the_log_stands() -> None:
    records = received(an_assignment(), an_outcome(value=1.0), an_outcome(value=2.0))
    for given in (records, records[::-1]):
        result = attributed(given)
        assert sums_of(result)["y"] == ONE
        assert [refusal.offset for refusal in result.rejected] == [1]


def test_an_assignment_and_an_outcome_may_share_an_event_id() -> None:
    assert reasons_of(attributed(received(an_assignment("same"), an_outcome("same")))) == []


def test_two_units_may_share_an_event_id() -> None:
    assert reasons_of(attributed(received(an_assignment(), an_assignment(unit_id="bob")))) == []


def test_two_experiments_of_a_unit_may_not_share_an_event_id() -> None:
    other = {"experiment_id": "search-ranking"}
    records = received(an_assignment("a1"), an_assignment("a1", **other))
    assert reasons_of(attributed(records, a_definition(), a_definition(**other))) == ["duplicate"]


def test_a_refused_record_leaves_its_event_id_free() -> None:
    log = Log()
    records = [
        log.append(an_assignment("a1", variant_id="blue")),
        log.append(an_assignment("a1")),
        log.append(an_outcome("o1", value=float("nan"))),
        log.append(an_outcome("o1"), at=BEGINNING),  # an hour ahead of its time
        log.append(an_outcome("o1")),
    ]
    result = attributed(records)
    assert reasons_of(result) == ["unknown_variant", "bad_value", "from_future"]
    assert places_of(result) == {("control", 1, "clean", 0): 1}
    assert sums_of(result)["y"] == ONE


def test_an_assignment_that_waited_has_taken_its_event_id_even_if_it_is_refused_in_the_end() -> None:
    waits = an_assignment("a1", variant_id="blue")
    after = an_assignment("a1", assigned_at=TWO_HOURS_LATER)
    result = attributed(received(waits, after), Published(a_definition(), ONE_HOUR_LATER))
    assert reasons_of(result) == ["unknown_variant", "duplicate"]

    never_defined = an_assignment("a1", experiment_id="never-defined")
    result = attributed(received(never_defined, after))
    assert reasons_of(result) == ["unknown_definition", "duplicate"]


@pytest.mark.parametrize(
    ("published_before", "reasons"),
    [
        (1000, ["unknown_variant"]),
        (999, ["unknown_variant", "duplicate"]),
        (0, ["unknown_variant", "duplicate"]),
    ],
)
def test_a_definition_takes_effect_a_second_after_it_was_appended(
    published_before: int, reasons: list[str]
) -> None:
    """From then on a refusal is at once and leaves the event id free; who came earlier has waited."""
    records = received(an_assignment("a1", variant_id="blue"), an_assignment("a1"))
    definition = Published(a_definition(), BEGINNING - published_before)
    result = attributed(records, definition)
    assert reasons_of(result) == reasons
    assert (places_of(result) == {}) == ("duplicate" in reasons)


@pytest.mark.parametrize("published_at", [BEGINNING - 1000, BEGINNING - 1, BEGINNING, BEGINNING + 1])
def test_around_its_effect_a_definition_counts_whom_it_knows(published_at: int) -> None:
    result = attributed(received(an_assignment()), Published(a_definition(), published_at))
    assert places_of(result) == {("control", 1, "clean", 0): 1}


ID_MEMORY = 7 * DAY + 10 * MINUTE
"""The horizon and the future of ``RULES``: a copy that comes later is too late anyway."""


@pytest.mark.parametrize(("later_by", "reasons"), [(ID_MEMORY, ["duplicate"]), (ID_MEMORY + 1, [])])
def test_an_event_id_is_free_again_after_horizon_and_future(later_by: int, reasons: list[str]) -> None:
    again = BEGINNING + later_by
    log = Log()
    records = [
        log.append(an_assignment("a1")),
        log.append(an_assignment("a1", variant_id="treatment", assigned_at=again)),
        log.append(an_outcome("o1", occurred_at=BEGINNING)),
        log.append(an_outcome("o1", occurred_at=again)),
    ]
    result = attributed(records)
    assert reasons_of(result) == reasons * 2
    assert sums_of(result)["d"] == (1 if reasons else 2) * ONE
    assert places_of(result) == {("control", 1, "clean" if reasons else "crossed", 0): 1}


def test_a_copy_sent_after_horizon_and_future_is_too_late() -> None:
    """The earliest it can have been accepted is ten minutes ahead of its time."""
    log = Log()
    records = [
        log.append(an_outcome("o1", occurred_at=BEGINNING + 10 * MINUTE), at=BEGINNING),
        log.append(an_outcome("o1", occurred_at=BEGINNING + 10 * MINUTE), at=BEGINNING + ID_MEMORY),
        log.append(an_outcome("o1", occurred_at=BEGINNING + 10 * MINUTE), at=BEGINNING + ID_MEMORY + 1),
    ]
    assert reasons_of(attributed(records)) == ["duplicate", "too_late"]


def test_a_duplicate_does_not_prolong_the_memory_of_an_id_but_the_next_taker_does() -> None:
    moments = [0, ID_MEMORY, ID_MEMORY + 1, 2 * ID_MEMORY + 1, 2 * ID_MEMORY + 2]
    result = attributed(received(*(an_outcome("o1", occurred_at=BEGINNING + each) for each in moments)))
    assert [refusal.offset for refusal in result.rejected] == [1, 3]


def test_the_id_of_an_assignment_that_waited_is_free_again_too() -> None:
    never_defined = an_assignment("a1", experiment_id="never-defined")
    after = an_assignment("a1", assigned_at=BEGINNING + ID_MEMORY + 1)
    assert reasons_of(attributed(received(never_defined, after))) == ["unknown_definition"]


# ---------------------------------------------------------------------------------- what is wrong by itself


def test_unreadable_bytes_are_refused_and_nothing_else_happens() -> None:
    log = Log()
    records = [
        log.append_bytes(Outcome, b"?", BEGINNING, key=b"ann"),
        log.append(an_assignment()),
    ]
    result = attributed(records)
    assert [(refusal.reason, refusal.topic) for refusal in result.rejected] == [
        ("unreadable", "livelift.acme.outcomes")
    ]
    assert places_of(result) == {("control", 1, "clean", 0): 1}


def test_an_event_of_another_tenant_or_under_another_units_key_is_a_mismatch() -> None:
    log = Log()
    records = [
        log.append(an_assignment(tenant_id="globex")),
        log.append(an_assignment(), key=b"bob"),
        log.append(an_outcome(unit_id=""), key=b"ann"),
    ]
    result = attributed(records, a_definition(), a_definition(tenant_id="globex"))
    assert reasons_of(result) == ["mismatch"] * 3
    assert result.slots == {}


@pytest.mark.parametrize(
    "bad",
    [
        an_assignment(unit_id=""),
        an_assignment(unit_id="u" * 201),
        an_assignment(""),
        an_assignment("a" * 201),
        an_assignment(experiment_id=""),
        an_assignment(experiment_id="e" * 201),
        an_assignment(variant_id=""),
        an_assignment(variant_id="v" * 201),
        an_assignment(config_version=0),
        an_assignment(config_version=-1),
        an_outcome(unit_id=""),
        an_outcome(""),
        an_outcome("o" * 201),
        an_outcome(metric_id=""),
        an_outcome(metric_id="m" * 201),
        an_outcome(value=float("nan")),
        an_outcome(value=float("inf")),
        an_outcome(value=float("-inf")),
        an_outcome(value=9_000_000_000.000002),
        an_outcome(value=-9_000_000_000.000002),
        an_outcome(weight=float("nan")),
        an_outcome(weight=float("inf")),
        an_outcome(weight=-1e-300),
        an_outcome(weight=9_000_000_000.000002),
    ],
)
def test_an_event_outside_the_contracts_ranges_is_a_bad_value(bad: Any) -> None:
    assert reasons_of(attributed(received(bad))) == ["bad_value"]


def test_ids_may_have_two_hundred_code_points_of_four_bytes_each() -> None:
    long_id = "\U0001f600" * 200
    result = attributed(
        received(
            an_assignment(long_id, unit_id=long_id, experiment_id=long_id, variant_id=long_id),
            an_outcome(long_id, unit_id=long_id, metric_id=long_id, value=-0.0, weight=-0.0),
        ),
        a_definition(a_metric(long_id, source=long_id), experiment_id=long_id, variants={long_id: 1}),
    )
    assert reasons_of(result) == []
    assert sums_of(result, long_id) == {"d": ONE, "dd": ONE * ONE}


def test_the_first_check_that_fails_names_the_record() -> None:
    """One record fails all checks; mended one by one, it is named by the next."""
    ahead, behind = BEGINNING + DAY, BEGINNING - 8 * DAY
    log = Log()
    log.append(an_assignment("taken"))
    bad = an_assignment(
        "taken", config_version=0, variant_id="blue", tenant_id="globex", assigned_at=BEGINNING + 1
    )
    for event in (
        replace(bad, assigned_at=ahead),
        replace(bad, tenant_id=TENANT, assigned_at=ahead),
        replace(bad, tenant_id=TENANT, config_version=9, assigned_at=ahead),
        replace(bad, tenant_id=TENANT, config_version=9, assigned_at=behind),
        replace(bad, tenant_id=TENANT, config_version=9),
        replace(bad, tenant_id=TENANT, config_version=9, event_id="waits"),
        replace(bad, tenant_id=TENANT, config_version=1, event_id="free"),
        replace(bad, tenant_id=TENANT, config_version=1, event_id="free", variant_id="control"),
        replace(bad, tenant_id=TENANT, config_version=1, event_id="free", variant_id="control",
                assigned_at=BEGINNING),
    ):  # fmt: skip
        log.append(event, at=BEGINNING)
    result = attributed((each.received for each in log.records), a_definition(ended_at=BEGINNING))
    assert reasons_of(result) == [
        "mismatch",
        "bad_value",
        "from_future",
        "too_late",
        "duplicate",
        "unknown_definition",
        "unknown_variant",
        "ended",
    ]


def test_times_at_the_ends_of_the_long_range_are_refused_by_the_clock() -> None:
    records = received(
        an_assignment(assigned_at=2**63 - 1), an_outcome(occurred_at=-(2**63)), at=ONE_MINUTE_LATER
    )
    assert sorted(reasons_of(attributed(records))) == ["from_future", "too_late"]


# --------------------------------------------------------------------------------------------------- order


def test_what_is_given_in_any_order_is_read_in_the_order_of_the_log() -> None:
    records = received(
        an_assignment("a1"),
        an_assignment("a1", variant_id="treatment"),
        an_outcome("o1", value=1.0),
        an_outcome("o1", value=2.0),
        an_assignment("a2", unit_id="bob"),
    )
    expected = attributed(records)
    assert attributed(records[::-1]) == expected
    assert attributed(records[2:] + records[:2]) == expected
    assert [(refusal.topic, refusal.offset) for refusal in expected.rejected] == [
        ("livelift.acme.assignments", 1),
        ("livelift.acme.outcomes", 1),
    ]


def test_a_definition_with_a_missing_field_is_not_guessed_at() -> None:
    incomplete = a_definition()
    del incomplete["cohort_hours"]
    with pytest.raises(KeyError, match="cohort_hours"):
        Published(incomplete).read()
