"""Events and refused records as bytes, and bytes that are neither."""

from __future__ import annotations

import json
from contextlib import suppress
from io import BytesIO

import pytest
from fastavro import schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from schemas import AVRO_RECORDS, avro_text
from schemas.events import (
    HEADER,
    EventKind,
    ParsedSchema,
    UnreadableError,
    decode,
    decode_event,
    encode,
    encode_event,
    own_schema,
    parsed,
)
from tests.builders import BEGINNING, an_assignment, an_outcome
from udfs.attribution.reference import Assignment, Outcome

ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
millis = st.integers(-(2**63), 2**63 - 1)
assignments = st.builds(
    Assignment,
    ids,
    ids,
    ids,
    ids,
    ids,
    millis,
    st.integers(-(2**31), 2**31 - 1),
    st.dictionaries(ids, ids, max_size=3),
    st.booleans(),
)
outcomes = st.builds(
    Outcome, ids, ids, ids, ids, millis, st.floats(allow_nan=False), st.floats(allow_nan=False)
)


@given(assignments | outcomes)
def test_every_event_is_the_same_after_the_wire(event: Assignment | Outcome) -> None:
    kind = EventKind.ASSIGNMENTS if isinstance(event, Assignment) else EventKind.OUTCOMES
    assert decode_event(kind, encode_event(event, 7), lambda _: own_schema(kind.record)) == event


@given(st.binary(max_size=80))
def test_any_bytes_are_an_event_or_unreadable(payload: bytes) -> None:
    for kind in EventKind:
        schema = own_schema(kind.record)
        with suppress(UnreadableError):
            decode_event(kind, payload, lambda _, schema=schema: schema)  # type: ignore[misc]


@given(outcomes, st.integers(0, 60), st.binary(max_size=5))
def test_damaged_bytes_are_an_event_or_unreadable(event: Outcome, at: int, damage: bytes) -> None:
    payload = encode_event(event, 2)
    damaged = payload[:at] + damage + payload[at + len(damage) :]
    with suppress(UnreadableError):
        decode_event(EventKind.OUTCOMES, damaged, lambda _: own_schema("Outcome"))


def test_the_header_is_a_zero_byte_and_the_schema_id() -> None:
    assert encode_event(an_outcome(), 258)[: HEADER.size] == b"\0\0\0\1\2"


def test_a_record_written_by_an_older_schema_gets_the_defaults() -> None:
    schema = json.loads(avro_text("Outcome"))
    schema["fields"] = [each for each in schema["fields"] if each["name"] not in ("value", "weight")]
    older = parsed(json.dumps(schema))
    newer_bytes = encode_event(an_outcome(), 1)
    fields = {"tenant_id": "acme", "unit_id": "ann", "event_id": "o1", "metric_id": "purchase"}
    written = bytes(newer_bytes[:5]) + _written(older, fields | {"occurred_at": BEGINNING})
    assert decode_event(EventKind.OUTCOMES, written, lambda _: older) == Outcome(
        "acme", "ann", "o1", "purchase", BEGINNING, 1, 1
    )


def test_a_field_of_a_newer_schema_is_passed_over() -> None:
    schema = json.loads(avro_text("Outcome"))
    schema["fields"].insert(0, {"name": "channel", "type": "string", "default": ""})
    newer = parsed(json.dumps(schema))
    event = an_outcome(value=2.5)
    fields = {name: getattr(event, name) for name in event.__slots__} | {"channel": "web"}
    assert decode_event(EventKind.OUTCOMES, b"\0\0\0\0\5" + _written(newer, fields), lambda _: newer) == event


def test_a_time_beyond_the_calendar_is_still_a_number() -> None:
    event = an_assignment(assigned_at=2**62)
    assert (
        decode_event(EventKind.ASSIGNMENTS, encode_event(event, 1), lambda _: own_schema("Assignment"))
        == event
    )


def test_an_unknown_schema_id_makes_a_record_unreadable() -> None:
    def unknown(schema_id: int) -> ParsedSchema:
        raise UnreadableError(f"no schema {schema_id}")

    with pytest.raises(UnreadableError, match="no schema 9"):
        decode("Outcome", encode_event(an_outcome(), 9), unknown)


def test_a_version_beyond_32_bits_is_unreadable() -> None:
    good = encode_event(an_assignment(config_version=2**31 - 1), 1)
    assert good.count(b"\xfe\xff\xff\xff\x0f") == 1
    bad = good.replace(b"\xfe\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x10")
    with pytest.raises(UnreadableError, match="32 bits"):
        decode_event(EventKind.ASSIGNMENTS, bad, lambda _: own_schema("Assignment"))


@pytest.mark.parametrize("record", AVRO_RECORDS)
def test_every_field_that_is_not_essential_has_a_default_so_that_schemas_can_change(record: str) -> None:
    ids = {"tenant_id", "unit_id", "event_id", "experiment_id", "variant_id", "metric_id"}
    essential = ids | {"assigned_at", "occurred_at"}
    for field in own_schema(record)["fields"]:
        assert "default" in field or field["name"] in essential


def test_times_are_named_as_such_for_other_readers() -> None:
    fields = {each["name"]: each["type"] for each in json.loads(avro_text("Assignment"))["fields"]}
    assert fields["assigned_at"] == {"type": "long", "logicalType": "timestamp-millis"}


def _written(schema: ParsedSchema, fields: dict[str, object]) -> bytes:
    out = BytesIO()
    schemaless_writer(out, schema, fields)
    return out.getvalue()


def test_a_record_of_the_wrong_types_is_not_written() -> None:
    with pytest.raises(ValueError, match="Slot"):
        encode("Slot", {"n": object()}, 1)
