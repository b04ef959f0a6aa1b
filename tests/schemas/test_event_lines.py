"""Lines of JSON become events, or are refused with the field that is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.event_lines import BadLineError, epoch_ms, parse_line
from schemas.events import EventKind
from tests.builders import BEGINNING
from udfs.attribution.reference import Assignment, Outcome

ASSIGNMENT = {
    "tenant_id": "acme",
    "unit_id": "ann",
    "event_id": "a1",
    "experiment_id": "checkout-button",
    "variant_id": "control",
    "assigned_at": BEGINNING,
}
OUTCOME = {
    "tenant_id": "acme",
    "unit_id": "ann",
    "event_id": "o1",
    "metric_id": "purchase",
    "occurred_at": BEGINNING,
}


def outcome(**changes: Any) -> str:
    return json.dumps(OUTCOME | changes)


def test_what_a_line_leaves_out_gets_its_default() -> None:
    assert parse_line(EventKind.ASSIGNMENTS, json.dumps(ASSIGNMENT)) == Assignment(
        "acme", "ann", "a1", "checkout-button", "control", BEGINNING, 1, {}, False
    )
    assert parse_line(EventKind.OUTCOMES, outcome()) == Outcome(
        "acme", "ann", "o1", "purchase", BEGINNING, 1, 1
    )


def test_what_a_line_gives_is_taken() -> None:
    event = parse_line(
        EventKind.ASSIGNMENTS,
        json.dumps(ASSIGNMENT | {"config_version": 3, "attributes": {"country": "DE"}, "is_bot": True}),
    )
    assert event == Assignment(
        "acme", "ann", "a1", "checkout-button", "control", BEGINNING, 3, {"country": "DE"}, True
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (BEGINNING, BEGINNING),
        (float(BEGINNING), BEGINNING),
        ("2026-01-01T00:00:00Z", BEGINNING),
        ("2026-01-01T02:00:00.250+02:00", BEGINNING + 250),
        ("2025-12-31T19:00:00.0019-05:00", BEGINNING + 1),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_times_are_epoch_milliseconds_or_iso_with_a_zone(given: object, expected: int) -> None:
    assert epoch_ms(given) == expected


@pytest.mark.parametrize(
    "given", ["2026-01-01T00:00:00", "2026-01-01", "now", "", None, True, 1.5, 2**63, [1]]
)
def test_other_times_are_refused(given: object) -> None:
    with pytest.raises(BadLineError):
        epoch_ms(given)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        (outcome(value=7)[:-1] + ' "x"\n', "not JSON: Expecting ',' delimiter at column "),
        (outcome(value=float("nan")), "not JSON: NaN is no JSON number"),
        (outcome(value=float("-inf")), "not JSON: -Infinity is no JSON number"),
        ("[1, 2]", "not a JSON object"),
        (outcome(value=None), "value: None is not a number"),
        (outcome(value=True), "value: True is not a number"),
        (outcome(value=10**400), "value: "),
        (outcome(unit_id=7), "unit_id: 7 is not a string"),
        (outcome(unit_id="\ud800"), "unit_id: '\\ud800' is not Unicode text"),
        (outcome(tenant_id="a" * 41), "tenant_id 'aaaa"),
        (outcome(tenant_id="acme\n"), "tenant_id 'acme\\n'"),
        (outcome(weigth=2), "weigth is no field of Outcome; its fields are tenant_id, unit_id"),
    ],
)
def test_a_bad_line_is_refused_with_what_is_wrong(line: str, complaint: str) -> None:
    with pytest.raises(BadLineError) as refusal:
        parse_line(EventKind.OUTCOMES, line)
    assert str(refusal.value).startswith(complaint)


@pytest.mark.parametrize(
    ("attributes", "complaint"),
    [("DE", "attributes: 'DE' is not an object of strings"), ({"age": 7}, "attributes: 7 is not a string")],
)
def test_attributes_are_an_object_of_strings(attributes: object, complaint: str) -> None:
    with pytest.raises(BadLineError) as refusal:
        parse_line(EventKind.ASSIGNMENTS, json.dumps(ASSIGNMENT | {"attributes": attributes}))
    assert str(refusal.value) == complaint


def test_values_beyond_the_bounds_pass_for_the_attribution_job_keeps_what_it_refuses() -> None:
    event = parse_line(EventKind.OUTCOMES, outcome(value=1e300, weight=-1, event_id=""))
    assert isinstance(event, Outcome)
    assert not event.is_sound
