"""What is computed part by part is what the whole gives, and every difference is found and shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra import verification
from infra.cli.errors import CliError
from infra.cli.verify import report
from infra.verification import Comparison, Verification, attributed, compare, over_cohorts, settled
from infra.views import Ledger
from tests.builders import (
    BEGINNING,
    DAY,
    MINUTE,
    ONE_DAY_LATER,
    ONE_HOUR_LATER,
    RULES,
    Log,
    Published,
    a_definition,
    an_assignment,
    an_outcome,
)
from udfs.attribution.reference import (
    Activity,
    ActivityKey,
    LedgerEntry,
    LedgerKey,
    Received,
    Slot,
    SlotKey,
    attribute,
)

DEFINITION = Published(a_definition()).read()
KEY = SlotKey("acme", "checkout-button", 1, "control", "revenue", "", 0, "clean", "local")
SLOT = Slot(0, tuple(range(14)))
TOPIC = "livelift.acme.outcomes"
MINUTE_KEY = LedgerKey("acme", TOPIC, BEGINNING)
ACTIVITY_KEY = ActivityKey("acme", "checkout-button", 1, "control", "", BEGINNING, "local")
SAME = compare({}, {})


def many_units() -> list[Received]:
    log = Log()
    for number in range(200):
        unit = f"unit {number}"
        log.append(an_assignment(unit_id=unit, variant_id=("control", "treatment")[number % 2]))
        log.append(an_outcome(unit_id=unit, value=number - 100.0))
    return [written.received for written in log.records]


def test_what_follows_from_parts_of_the_units_adds_up_to_what_follows_from_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records = many_units()
    whole = attribute(records, [DEFINITION], RULES, ONE_DAY_LATER)
    reports: list[tuple[int, int]] = []
    monkeypatch.setattr(verification, "RECORDS_AT_A_TIME", 30)
    parts = attributed(
        records, [DEFINITION], RULES, ONE_DAY_LATER, lambda done, total: reports.append((done, total))
    )
    assert (parts.slots, parts.ledger, parts.activity) == (whole.slots, whole.ledger, whole.activity)
    assert sum(entry.received for entry in parts.ledger.values()) == 400
    assert len(reports) > 5
    assert reports[-1] == (400, 400)


def test_slots_that_cancel_out_are_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    for unit, value in (("ann", 5.0), ("ben", -5.0)):
        log.append(an_assignment(unit_id=unit))
        log.append(an_outcome(unit_id=unit, value=value), ONE_HOUR_LATER)
    monkeypatch.setattr(verification, "RECORDS_AT_A_TIME", 1)
    records = [written.received for written in log.records]
    parts = attributed(records, [DEFINITION], RULES, ONE_DAY_LATER)
    assert parts.slots == attribute(records, [DEFINITION], RULES).slots


def test_equal_slots_are_counted() -> None:
    result = compare({KEY: SLOT}, {KEY: SLOT})
    assert (result.equal, result.total, result.differences) == (1, 1, [])


def test_a_sum_that_is_off_by_one_is_found_and_named() -> None:
    off = Slot(0, (*range(13), 14))
    result = compare({KEY: SLOT}, {KEY: off})
    assert (result.equal, result.total) == (0, 1)
    assert list(result.differences[0].fields) == [("sum_ee", 13, 14)]


def test_a_slot_on_one_side_only_is_a_difference() -> None:
    other = KEY._replace(variant_id="treatment")
    result = compare({KEY: SLOT}, {other: Slot(n=2)})
    assert (result.equal, result.total) == (0, 2)
    missing, surplus = result.differences
    assert (missing.key, missing.found) == (KEY, None)
    assert (surplus.key, surplus.expected) == (other, None)
    assert list(surplus.fields) == [("n", 0, 2)]


def test_differences_of_ledger_and_activity_are_named_too() -> None:
    ledger = compare({MINUTE_KEY: LedgerEntry(2, 1, waiting=1)}, {MINUTE_KEY: LedgerEntry(2, 2)})
    assert list(ledger.differences[0].fields) == [("counted", 1, 2), ("waiting", 1, 0)]
    activity = compare({ACTIVITY_KEY: Activity(1, 5)}, {})
    assert list(activity.differences[0].fields) == [("n", 1, 0), ("value_micros", 5, 0)]


@pytest.mark.parametrize("limit_ms", [7 * DAY, 28 * DAY], ids=["horizon", "retention"])
@pytest.mark.parametrize(
    ("since_the_end", "is_moving"),
    [
        (-3 * MINUTE, False),
        (-MINUTE, True),
        (0, True),
        (2 * MINUTE, True),
        (3 * MINUTE - 1, True),
        (3 * MINUTE, False),
    ],
)
def test_what_stops_waiting_just_now_may_already_have_stopped(
    limit_ms: int, since_the_end: int, is_moving: bool
) -> None:
    now_ms = BEGINNING + limit_ms + since_the_end
    waiting: Ledger = {MINUTE_KEY: LedgerEntry(3, 1, waiting=2)}
    stopped: Ledger = {MINUTE_KEY: LedgerEntry(3, 1, expired_unmatched=1, unknown_definition=1)}
    assert (settled(waiting, now_ms, RULES) == settled(stopped, now_ms, RULES)) == is_moving
    wrong: Ledger = {MINUTE_KEY: LedgerEntry(3, 2, expired_unmatched=1)}
    assert settled(wrong, now_ms, RULES) != settled(stopped, now_ms, RULES)


def test_totals_are_the_slots_over_all_cohorts() -> None:
    later = KEY._replace(cohort_ms=BEGINNING)
    other, gone = KEY._replace(unit_class="bot"), KEY._replace(variant_id="treatment")
    less = Slot(0, tuple(-number for number in SLOT.sums))
    slots = {KEY: SLOT, later: SLOT, other: SLOT, gone: SLOT, gone._replace(cohort_ms=BEGINNING): less}
    assert over_cohorts(slots) == {KEY: SLOT + SLOT, other: SLOT}


def verified(
    slots: Comparison = SAME, ledger: Comparison = SAME, activity: Comparison = SAME
) -> Verification:
    return Verification(slots, slots, ledger, activity)


def test_the_report_of_equal_rows_is_four_lines(capsys: pytest.CaptureFixture[str]) -> None:
    ledger = compare({MINUTE_KEY: LedgerEntry(1, 1)}, {MINUTE_KEY: LedgerEntry(1, 1)})
    report(verified(compare({KEY: SLOT}, {KEY: SLOT}), ledger))
    assert capsys.readouterr().out == (
        "verify: 1 of 1 slots equal\ntotals: 1 of 1 rows equal\n"
        "ledger: 1 of 1 rows equal\nactivity: 0 of 0 rows equal\n"
    )


def test_the_report_of_a_difference_shows_it_and_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CliError, match="1 slots, 1 totals differ"):
        report(verified(compare({KEY: SLOT}, {KEY: Slot(0, (1, *range(1, 14)))})))
    out = capsys.readouterr().out
    assert "acme/checkout-button/1 control revenue (everyone) 1970-01-01T00:00 clean local" in out
    assert "acme/checkout-button/1 control revenue (everyone) (all cohorts) clean local" in out
    assert "sum_y" in out
    assert "verify: 0 of 1 slots equal\n" in out


def test_a_wrong_minute_of_ledger_or_activity_is_shown_and_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ledger = compare({MINUTE_KEY: LedgerEntry(1, 1)}, {MINUTE_KEY: LedgerEntry(1, 0, 1)})
    activity = compare({ACTIVITY_KEY: Activity(1)}, {ACTIVITY_KEY: Activity(2)})
    with pytest.raises(CliError, match=r"^1 ledger rows, 1 activity rows differ"):
        report(replace(verified(compare({KEY: SLOT}, {KEY: SLOT})), ledger=ledger, activity=activity))
    out = capsys.readouterr().out
    assert out.startswith("verify: 1 of 1 slots equal\n")
    assert f"{TOPIC} 2026-01-01T00:00" in out
    assert "acme/checkout-button/1 control (exposures) 2026-01-01T00:00 local" in out


def test_nothing_to_compare_is_no_success() -> None:
    with pytest.raises(CliError, match="there are no slots"):
        report(verified())
