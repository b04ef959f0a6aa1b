"""Slots computed part by part are those of the whole, and every difference is found and shown."""

from __future__ import annotations

import pytest

from infra import verification
from infra.cli.errors import CliError
from infra.cli.verify import report
from infra.verification import attributed, compare
from tests.builders import ONE_HOUR_LATER, RULES, Log, Published, a_definition, an_assignment, an_outcome
from udfs.attribution.reference import Received, Slot, SlotKey, attribute

DEFINITION = Published(a_definition()).read()
KEY = SlotKey("acme", "checkout-button", 1, "control", "revenue", "", 0, "clean", "local")
SLOT = Slot(0, tuple(range(14)))


def many_units() -> list[Received]:
    log = Log()
    for number in range(200):
        unit = f"unit {number}"
        log.append(an_assignment(unit_id=unit, variant_id=("control", "treatment")[number % 2]))
        log.append(an_outcome(unit_id=unit, value=number - 100.0))
    return [written.received for written in log.records]


def test_slots_of_parts_of_the_units_add_up_to_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    records = many_units()
    whole = attribute(records, [DEFINITION], RULES).slots
    reports: list[tuple[int, int]] = []
    monkeypatch.setattr(verification, "RECORDS_AT_A_TIME", 30)
    parts = attributed(records, [DEFINITION], RULES, lambda done, total: reports.append((done, total)))
    assert parts == whole
    assert len(reports) > 5
    assert reports[-1] == (400, 400)


def test_slots_that_cancel_out_are_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    for unit, value in (("ann", 5.0), ("ben", -5.0)):
        log.append(an_assignment(unit_id=unit))
        log.append(an_outcome(unit_id=unit, value=value), ONE_HOUR_LATER)
    monkeypatch.setattr(verification, "RECORDS_AT_A_TIME", 1)
    records = [written.received for written in log.records]
    assert attributed(records, [DEFINITION], RULES) == attribute(records, [DEFINITION], RULES).slots


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


def test_the_report_of_equal_slots_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    report(compare({KEY: SLOT}, {KEY: SLOT}))
    assert capsys.readouterr().out == "verify: 1 of 1 slots equal\n"


def test_the_report_of_a_difference_shows_it_and_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CliError, match="1 slots differ"):
        report(compare({KEY: SLOT}, {KEY: Slot(0, (1, *range(1, 14)))}))
    out = capsys.readouterr().out
    assert "acme/checkout-button/1 control revenue (everyone) 1970-01-01T00:00 clean local" in out
    assert "sum_y" in out
    assert out.endswith("verify: 0 of 1 slots equal\n")


def test_nothing_to_compare_is_no_success() -> None:
    with pytest.raises(CliError, match="there are no slots"):
        report(compare({}, {}))
