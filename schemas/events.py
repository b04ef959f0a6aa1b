"""Events and refused records as bytes: Avro behind the five-byte Confluent header (zero, schema id).

Writer schemas come from the registry by id, so events written with an older or newer schema are read
with the one in ``schemas/avro``. Times stay epoch milliseconds, as integers.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from schemas import avro_text
from udfs.attribution.reference import Assignment, Outcome

HEADER = struct.Struct(">bi")

ParsedSchema = dict[str, Any]
SchemaLookup = Callable[[int], ParsedSchema]
"""The writer's schema for an id, as ``parsed`` gives it; raises ``UnreadableError`` for an unknown id."""


class EventKind(StrEnum):
    """What a tenant's topic carries; the value is the last part of its name."""

    ASSIGNMENTS = "assignments"
    OUTCOMES = "outcomes"

    @property
    def record(self) -> str:
        """Name of the Avro record."""
        return "Assignment" if self is EventKind.ASSIGNMENTS else "Outcome"


class UnreadableError(ValueError):
    """Bytes that are not the record that was asked for; the message says why."""


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A record the attribution job refused, from ``livelift-internal.rejected``."""

    tenant_id: str | None
    reason: str | None
    detail: str | None
    topic: str | None
    partition: int | None
    offset: int | None
    append_time: int | None
    record_key: bytes | None
    record_value: bytes | None


def parsed(text: str) -> ParsedSchema:
    """An Avro schema ready for reading and writing, without logical types: a time is an integer.

    With them, a time beyond the year 9999 could not be read here, though the engine reads it.
    """
    schema = parse_schema(_without_logical_types(json.loads(text)))
    if not isinstance(schema, dict):
        raise ValueError(f"not the schema of a record: {text[:80]}")
    return schema


@cache
def own_schema(record: str) -> ParsedSchema:
    """The schema of ``schemas/avro`` that this version of the code reads and writes with."""
    return parsed(avro_text(record))


def encode(record: str, fields: Mapping[str, Any], schema_id: int) -> bytes:
    """The record in the wire format. A field that is missing or of the wrong type is a ValueError."""
    out = BytesIO()
    out.write(HEADER.pack(0, schema_id))
    try:
        schemaless_writer(out, own_schema(record), fields)
    except (TypeError, KeyError, AttributeError, OverflowError, ValueError, struct.error) as error:
        raise ValueError(f"not a record {record}: {error}") from error
    return out.getvalue()


def encode_event(event: Assignment | Outcome, schema_id: int) -> bytes:
    """An event in the wire format."""
    record = type(event).__name__
    return encode(record, {name: getattr(event, name) for name in event.__slots__}, schema_id)


def decode(record: str, payload: bytes | None, schemas: SchemaLookup) -> dict[str, Any]:
    """The fields of a record, by this code's schema, whatever schema it was written with.

    Raises:
        UnreadableError: No payload, no header, an unknown schema id, or bytes that are not this record.
    """
    if payload is None:
        raise UnreadableError("the record has no value")
    if len(payload) < HEADER.size:
        raise UnreadableError(f"{len(payload)} bytes are no Confluent header")
    magic, schema_id = HEADER.unpack_from(payload)
    if magic != 0:
        raise UnreadableError(f"the first byte is {payload[0]}, not 0")
    writer = schemas(schema_id)
    if writer["name"] != own_schema(record)["name"]:
        raise UnreadableError(f"a record {writer['name']}, not {own_schema(record)['name']}")
    try:
        fields = schemaless_reader(BytesIO(payload[HEADER.size :]), writer, own_schema(record))
    except Exception as error:  # fastavro raises many types on foreign bytes, none of them promised
        raise UnreadableError(f"not a record {record}: {str(error)[:200] or type(error).__name__}") from error
    if not isinstance(fields, dict):
        raise UnreadableError(f"not a record {record}")
    return fields


def decode_event(kind: EventKind, payload: bytes | None, schemas: SchemaLookup) -> Assignment | Outcome:
    """The event in a record of a tenant's topic; its values may still break the rules of section 4.2.

    Raises:
        UnreadableError: As ``decode``.
    """
    fields = decode(kind.record, payload, schemas)
    if kind is EventKind.OUTCOMES:
        return Outcome(**fields)
    if not -(2**31) <= fields["config_version"] < 2**31:  # fastavro does not look
        raise UnreadableError(f"config_version {fields['config_version']} does not fit 32 bits")
    return Assignment(**fields)


def decode_rejected(payload: bytes | None, schemas: SchemaLookup) -> RejectedRecord:
    """The refused record in a record of the rejected topic.

    Raises:
        UnreadableError: As ``decode``.
    """
    return RejectedRecord(**decode("Rejected", payload, schemas))


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _without_logical_types(value) for key, value in schema.items() if key != "logicalType"}
    if isinstance(schema, list):
        return [_without_logical_types(part) for part in schema]
    return schema
