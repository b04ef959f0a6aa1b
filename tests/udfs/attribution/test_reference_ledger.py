"""What became of each record, and what happened in each minute, with numbers worked by hand."""

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
    ONE_DAY_LATER,
    ONE_HOUR_BEFORE,
    ONE_HOUR_LATER,
    ONE_MINUTE_LATER,
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
from tests.udfs.attribution.answers import ONE, activity_of, attributed, ledger_of, reasons_of, sums_of
from udfs.attribution.reference import (
    LEDGER_NAMES,
    Activity,
    ActivityKey,
    LedgerEntry,
    LedgerKey,
    Outcome,
    Reason,
    attribute,
)

ASSIGNMENTS, OUTCOMES = "livelift.acme.assignments", "livelift.acme.outcomes"

# ------------------------------------------------------------------------------------------ the ledger's form


def test_the_ledger_counts_records_by_topic_and_minute_of_append_time() -> None:
    log = Log()
    records = [
        log.append(an_assignment("a1")),
        log.append(an_assignment("a2"), at=BEGINNING + 59_999),
        log.append(an_assignment("a3"), at=BEGINNING + 60_000),
        log.append(an_outcome("o1", occurred_at=BEGINNING + 1), at=BEGINNING + 30_000),
    ]
    assert attributed(records).ledger == {
        LedgerKey(TENANT, ASSIGNMENTS, BEGINNING): LedgerEntry(received=2, counted=2),
        LedgerKey(TENANT, ASSIGNMENTS, ONE_MINUTE_LATER): LedgerEntry(received=1, counted=1),
        LedgerKey(TENANT, OUTCOMES, BEGINNING): LedgerEntry(received=1, counted=1),
    }


def test_the_ledger_names_counts_and_all_reasons_in_the_order_of_the_rows() -> None:
    assert (
        *("counted", "duplicate", "waiting", "expired_unmatched", "unreadable", "mismatch", "bad_value"),
        *("from_future", "too_late", "unknown_definition", "unknown_variant", "ended", "late"),
    ) == LEDGER_NAMES
    assert {reason.value for reason in Reason} <= set(LEDGER_NAMES)


def test_entries_add() -> None:
    assert LedgerEntry(1, counted=1) + LedgerEntry(2, late=1, ended=2) == LedgerEntry(
        3, counted=1, ended=2, late=1
    )


def test_each_refused_record_stands_under_its_reason() -> None:
    log = Log()
    for event in (
        an_assignment("a1"),
        an_assignment("a1"),
        an_assignment("a2", tenant_id="globex"),
        an_assignment("a2", config_version=0),
        an_assignment("a2", assigned_at=BEGINNING + DAY),
        an_assignment("a2", assigned_at=BEGINNING - 8 * DAY),
        an_assignment("a2", config_version=9),
        an_assignment("a3", variant_id="blue"),
        an_assignment("a3", assigned_at=BEGINNING + 1),
    ):
        log.append(event, at=BEGINNING)
    log.append_bytes(Outcome, b"?", BEGINNING, key=b"ann")
    result = attributed((each.received for each in log.records), a_definition(ended_at=BEGINNING))
    assert ledger_of(result) == {
        "counted": 1,
        **dict.fromkeys((reason.value for reason in Reason), 1),
    }


def test_a_record_of_another_tenant_stands_in_the_ledger_of_the_topic_it_came_by() -> None:
    result = attributed(received(an_assignment(tenant_id="globex")))
    assert result.ledger == {LedgerKey(TENANT, ASSIGNMENTS, BEGINNING): LedgerEntry(received=1, mismatch=1)}


# -------------------------------------------------------------------------------- what becomes of an outcome


def test_an_outcome_that_serves_several_metrics_and_experiments_is_counted_once() -> None:
    metrics = (a_metric("revenue"), a_metric("converted", kind="proportion"))
    other = {"experiment_id": "search-ranking"}
    result = attributed(
        received(an_assignment("a1"), an_assignment("a2", **other), an_outcome()),
        a_definition(*metrics),
        a_definition(*metrics, **other),
    )
    assert sum(slot.sums[0] for slot in result.slots.values()) == 4 * ONE
    assert ledger_of(result, "outcomes") == {"counted": 1}


@pytest.mark.parametrize(("pre_period_days", "fate"), [(1, "counted"), (1 / 25, "waiting"), (0, "waiting")])
def test_an_outcome_that_enters_only_a_covariate_counts(pre_period_days: float, fate: str) -> None:
    records = received(an_outcome(occurred_at=ONE_HOUR_BEFORE), an_assignment())
    result = attributed(records, a_definition(pre_period_days=pre_period_days), now=BEGINNING)
    assert ("x" in sums_of(result)) == (fate == "counted")
    assert ledger_of(result, "outcomes") == {fate: 1}


@pytest.mark.parametrize(
    ("outcome", "metric"),
    [
        (an_outcome(metric_id="nobody-asks"), a_metric()),
        (an_outcome(occurred_at=ONE_HOUR_BEFORE), a_metric()),
        (an_outcome(occurred_at=ONE_DAY_LATER), a_metric(window_days=1)),
        (an_outcome(occurred_at=BEGINNING), a_metric(window_start_days=1)),
    ],
)
def test_an_outcome_that_enters_nothing_waits(outcome: Outcome, metric: dict[str, Any]) -> None:
    result = attributed(received(an_assignment(), outcome), a_definition(metric), now=ONE_DAY_LATER)
    assert ledger_of(result, "outcomes") == {"waiting": 1}


def test_an_outcome_whose_value_adds_nothing_counts_all_the_same() -> None:
    ratio = a_definition(a_metric(kind="ratio"))
    result = attributed(received(an_assignment(), an_outcome(value=0.0, weight=0.0)), ratio)
    assert ledger_of(result, "outcomes") == {"counted": 1}


@pytest.mark.parametrize(
    ("now", "fate"), [(BEGINNING + 28 * DAY, "waiting"), (BEGINNING + 28 * DAY + 1, "expired_unmatched")]
)
def test_an_outcome_without_exposure_waits_for_the_retention_and_expires(now: int, fate: str) -> None:
    result = attributed(received(an_outcome(occurred_at=BEGINNING)), now=now)
    assert ledger_of(result) == {fate: 1}
    assert reasons_of(result) == []


def test_an_outcome_that_counts_does_not_expire() -> None:
    result = attributed(received(an_assignment(), an_outcome()))
    assert ledger_of(result, "outcomes") == {"counted": 1}


def test_an_outcome_that_waited_longer_than_the_retention_expires_though_its_unit_is_exposed() -> None:
    log = Log()
    records = [
        log.append(an_outcome()),
        log.append(an_assignment(), at=ONE_HOUR_LATER + DAY + 1),
    ]
    rules = replace(RULES, retention_ms=DAY)
    assert ledger_of(attributed(records, rules=rules), "outcomes") == {"expired_unmatched": 1}


def test_an_outcome_appended_after_its_place_has_closed_waits_and_expires() -> None:
    records = received(an_assignment(), an_outcome(occurred_at=BEGINNING + 40 * DAY))
    ended = a_definition(ended_at=ONE_DAY_LATER)
    in_time = attributed(records, ended, now=BEGINNING + 68 * DAY)
    assert ledger_of(in_time, "outcomes") == {"waiting": 1}
    assert ledger_of(attributed(records, ended), "outcomes") == {"expired_unmatched": 1}


def test_an_earlier_exposure_that_arrives_late_can_leave_an_outcome_waiting() -> None:
    """The purchase lay in the day after the exposure known so far, and not in that after the first one."""
    definition = a_definition(a_metric(window_days=1))
    log = Log()
    records = [
        log.append(an_assignment("a1", assigned_at=ONE_DAY_LATER)),
        log.append(an_outcome(occurred_at=ONE_DAY_LATER + HOUR)),
    ]
    assert ledger_of(attributed(records, definition), "outcomes") == {"counted": 1}
    records.append(log.append(an_assignment("a2"), at=ONE_DAY_LATER + 2 * HOUR))
    waits = attributed(records, definition, now=ONE_DAY_LATER + 2 * HOUR)
    assert ledger_of(waits) == {"counted": 2, "waiting": 1, "late": 1}


def test_an_earlier_exposure_can_make_a_waiting_outcome_count() -> None:
    log = Log()
    records = [log.append(an_outcome()), log.append(an_assignment("a1", assigned_at=TWO_HOURS_LATER))]
    assert ledger_of(attributed(records, now=ONE_DAY_LATER)) == {"counted": 1, "waiting": 1}
    records.append(log.append(an_assignment("a2"), at=TWO_HOURS_LATER))
    assert ledger_of(attributed(records, now=ONE_DAY_LATER)) == {"counted": 3, "late": 1}


# ----------------------------------------------------------------------------- what becomes of an assignment


@pytest.mark.parametrize(
    ("now", "fate", "reasons"),
    [
        (BEGINNING + 7 * DAY, "waiting", []),
        (BEGINNING + 7 * DAY + 1, "unknown_definition", ["unknown_definition"]),
    ],
)
def test_an_assignment_without_definition_waits_for_the_horizon_and_is_refused(
    now: int, fate: str, reasons: list[str]
) -> None:
    result = attributed(received(an_assignment(experiment_id="never-defined")), now=now)
    assert ledger_of(result) == {fate: 1}
    assert reasons_of(result) == reasons


def test_the_id_of_a_waiting_assignment_is_taken() -> None:
    never_defined = {"experiment_id": "never-defined"}
    records = received(an_assignment("a1", **never_defined), an_assignment("a1"), an_assignment("a2"))
    result = attributed(records, now=BEGINNING)
    assert ledger_of(result) == {"waiting": 1, "duplicate": 1, "counted": 1}


def test_when_the_definition_is_there_who_waited_counts_or_is_refused() -> None:
    records = received(an_assignment("a1"), an_assignment("a2", variant_id="blue"))
    other = Published(a_definition(experiment_id="search-ranking"))
    assert ledger_of(attributed(records, other, now=ONE_HOUR_LATER)) == {"waiting": 2}
    defined = Published(a_definition(), ONE_HOUR_LATER)
    assert ledger_of(attributed(records, defined, now=ONE_HOUR_LATER)) == {"counted": 1, "unknown_variant": 1}


def test_by_default_it_is_now_when_the_last_record_was_appended() -> None:
    never_defined = an_assignment(experiment_id="never-defined")
    records = received(never_defined, an_outcome(occurred_at=BEGINNING + 7 * DAY))
    assert ledger_of(attribute(records, [], RULES)) == {"waiting": 2}
    records = received(never_defined, an_outcome(occurred_at=BEGINNING + 7 * DAY + 1))
    assert ledger_of(attribute(records, [], RULES)) == {"waiting": 1, "unknown_definition": 1}


# ---------------------------------------------------------------------------------------------- what is late


@pytest.mark.parametrize(("after", "memo"), [(60_000, {}), (60_001, {"late": 1})])
def test_what_counts_and_came_more_than_a_minute_after_it_happened_is_late(
    after: int, memo: dict[str, int]
) -> None:
    log = Log()
    assignment = log.append(an_assignment(), at=BEGINNING + after)
    outcome = log.append(an_outcome(), at=ONE_HOUR_LATER + after)
    result = attributed([assignment, outcome])
    assert ledger_of(result, "assignments") == {"counted": 1, **memo}
    assert ledger_of(result, "outcomes") == {"counted": 1, **memo}


def test_only_what_counts_is_noted_as_late() -> None:
    log = Log()
    records = [
        log.append(an_assignment("a1"), at=BEGINNING + 1),
        log.append(an_assignment("a1"), at=ONE_HOUR_LATER),
        log.append(an_assignment("a2", variant_id="blue"), at=ONE_HOUR_LATER),
        log.append(an_outcome(metric_id="nobody-asks"), at=ONE_DAY_LATER),
        log.append(an_outcome("o2", metric_id="nobody-asks"), at=BEGINNING + 3 * DAY),
    ]
    result = attributed(records, now=BEGINNING + 29 * DAY + 1)
    assert ledger_of(result) == {
        "counted": 1,
        "duplicate": 1,
        "unknown_variant": 1,
        "expired_unmatched": 1,
        "waiting": 1,
    }


# ------------------------------------------------------------------------------------------------- activity


def test_activity_counts_exposures_and_outcomes_in_the_minutes_they_happened() -> None:
    log = Log()
    records = [
        log.append(an_assignment(assigned_at=BEGINNING + MINUTE + 59_999), at=ONE_HOUR_LATER),
        log.append(an_outcome("o1", occurred_at=BEGINNING + 2 * MINUTE, value=2.0), at=ONE_HOUR_LATER),
        log.append(an_outcome("o2", occurred_at=BEGINNING + 2 * MINUTE + 1, value=-0.5), at=ONE_DAY_LATER),
        log.append(an_outcome("o3", occurred_at=BEGINNING + 3 * MINUTE), at=ONE_DAY_LATER),
    ]
    result = attributed(records)
    arm = (TENANT, EXPERIMENT, 1, "control")
    assert result.activity == {
        ActivityKey(*arm, "", BEGINNING + MINUTE, "local"): Activity(1),
        ActivityKey(*arm, "revenue", BEGINNING + 2 * MINUTE, "local"): Activity(2, 1_500_000),
        ActivityKey(*arm, "revenue", BEGINNING + 3 * MINUTE, "local"): Activity(1, 1_000_000),
    }


def test_activity_of_units_adds_up() -> None:
    bob = {"unit_id": "bob"}
    result = attributed(received(an_assignment(), an_assignment(**bob), an_outcome(), an_outcome(**bob)))
    assert activity_of(result, "") == {("control", 0): (2, 0)}
    assert activity_of(result, "revenue") == {("control", 60): (2, 2 * ONE)}


def test_activity_has_an_outcome_once_for_each_metric_it_enters() -> None:
    definition = a_definition(
        a_metric("revenue", cap=1),
        a_metric("converted", kind="proportion"),
        a_metric("per_session", kind="ratio"),
        a_metric("short", window_days=1 / 25),
        a_metric("latency", source="page_latency"),
    )
    outcomes = [an_outcome("o1", value=6.0, weight=4.0), an_outcome("o2", value=5.0)]
    result = attributed(received(an_assignment(), *outcomes), definition)
    uncapped = {("control", 60): (2, 11 * ONE)}
    assert activity_of(result, "revenue") == uncapped
    assert activity_of(result, "converted") == uncapped
    assert activity_of(result, "per_session") == uncapped
    assert activity_of(result, "short") == {}
    assert activity_of(result, "latency") == {}


def test_activity_knows_no_covariate() -> None:
    records = received(an_outcome(occurred_at=ONE_HOUR_BEFORE), an_assignment())
    result = attributed(records, a_definition(pre_period_days=1))
    assert activity_of(result, "revenue") == {}


def test_activity_has_everybody_also_bots_and_who_crossed() -> None:
    result = attributed(
        received(
            an_assignment("a1"),
            an_assignment("a2", variant_id="treatment", assigned_at=ONE_MINUTE_LATER),
            an_assignment("a1", unit_id="bob", is_bot=True),
            an_outcome(),
        )
    )
    assert activity_of(result, "") == {("control", 0): (2, 0)}
    assert activity_of(result, "revenue") == {("control", 60): (1, ONE)}


def test_an_earlier_exposure_that_arrives_late_moves_the_activity_of_its_unit() -> None:
    log = Log()
    treated = an_assignment("a1", variant_id="treatment", assigned_at=ONE_HOUR_LATER)
    records = [log.append(treated), log.append(an_outcome(occurred_at=TWO_HOURS_LATER))]
    result = attributed(records)
    assert activity_of(result, "") == {("treatment", 60): (1, 0)}
    assert activity_of(result, "revenue") == {("treatment", 120): (1, ONE)}
    records.append(log.append(an_assignment("a2"), at=ONE_DAY_LATER))
    result = attributed(records)
    assert activity_of(result, "") == {("control", 0): (1, 0)}
    assert activity_of(result, "revenue") == {("control", 120): (1, ONE)}


def test_activity_stands_in_every_experiment_of_the_unit() -> None:
    other = {"experiment_id": "search-ranking"}
    result = attributed(
        received(an_assignment("a1"), an_assignment("a2", **other), an_outcome()),
        a_definition(),
        a_definition(**other),
    )
    assert {(key.experiment_id, key.metric_id): each.n for key, each in result.activity.items()} == {
        (EXPERIMENT, ""): 1,
        (EXPERIMENT, "revenue"): 1,
        ("search-ranking", ""): 1,
        ("search-ranking", "revenue"): 1,
    }
