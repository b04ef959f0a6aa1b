"""Events as lines of JSON, as people and scripts write them: the fields of the Avro record.

A line may leave out what has a default. Times are epoch milliseconds, or ISO 8601 with a zone. Whether
an event is *acceptable* (its ranges, its lateness) is not decided here but by the attribution job,
which keeps what it refuses; a line is bad only if no record can be made of it.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from schemas.events import EventKind, own_schema
from udfs.attribution.reference import Assignment, Outcome

TENANT_ID = re.compile(r"[a-z0-9-]{1,40}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME_FIELDS = frozenset({"assigned_at", "occurred_at"})


class BadLineError(ValueError):
    """A line no event can be made of; the message names the field and what is wrong with it."""


def parse_line(kind: EventKind, line: str) -> Assignment | Outcome:
    """The event of one line.

    Raises:
        BadLineError: Not a JSON object, a field missing, unknown, or of the wrong type, a time without zone,
            or a tenant that can have no topic.
    """
    try:
        content = json.loads(line, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise BadLineError(f"not JSON: {error.msg} at column {error.pos + 1}") from error
    except ValueError as error:
        raise BadLineError(f"not JSON: {error}") from error
    if not isinstance(content, dict):
        raise BadLineError(f"not a JSON object: {line.strip()[:60]}")
    return event_of(kind, content)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def event_of(kind: EventKind, content: dict[str, Any]) -> Assignment | Outcome:
    """The event of a mapping with JSON's types.

    Raises:
        BadLineError: As ``parse_line``.
    """
    types = {field["name"]: field["type"] for field in own_schema(kind.record)["fields"]}
    optional = {field["name"] for field in own_schema(kind.record)["fields"] if "default" in field}
    for name in types:
        if name not in content and name not in optional:
            raise BadLineError(f"{name} is missing")
    for name in content:
        if name not in types:
            raise BadLineError(f"{name} is no field of {kind.record}; its fields are {', '.join(types)}")
    fields = {name: _value(name, types[name], given) for name, given in content.items()}
    if not TENANT_ID.fullmatch(fields["tenant_id"]):
        raise BadLineError(f"tenant_id {fields['tenant_id']!r} does not match [a-z0-9-]{{1,40}}")
    return Assignment(**fields) if kind is EventKind.ASSIGNMENTS else Outcome(**fields)


def epoch_ms(given: object) -> int:
    """Epoch milliseconds of a time given as such or as ISO 8601 with a zone; finer parts are cut off.

    Raises:
        BadLineError: It is neither.
    """
    if isinstance(given, str):
        try:
            moment = datetime.fromisoformat(given)
        except ValueError as error:
            raise BadLineError(f"{given!r} is not ISO 8601; write it like 2026-11-22T14:05Z") from error
        if moment.tzinfo is None:
            raise BadLineError(f"{given!r} has no zone; write it like 2026-01-31T12:00:00Z")
        return (moment - EPOCH) // timedelta(milliseconds=1)
    return _integer(given, bits=64)


def _value(name: str, avro_type: Any, given: object) -> Any:
    """What the field holds in Python; JSON's types must be the field's, nothing is guessed."""
    try:
        if name in TIME_FIELDS:
            return epoch_ms(given)
        if avro_type == "string":
            return _string(given)
        if avro_type == "int":
            return _integer(given, bits=32)
        if avro_type == "double":
            if isinstance(given, bool) or not isinstance(given, int | float):
                raise BadLineError(f"{given!r} is not a number")
            return float(given)
        if avro_type == "boolean":
            if not isinstance(given, bool):
                raise BadLineError(f"{given!r} is neither true nor false")
            return given
        if not isinstance(given, dict):
            raise BadLineError(f"{given!r} is not an object of strings")
        return {_string(key): _string(value) for key, value in given.items()}
    except OverflowError as error:
        raise BadLineError(f"{name}: {given!r} is too large") from error
    except BadLineError as error:
        raise BadLineError(f"{name}: {error}") from error


def _string(given: object) -> str:
    if not isinstance(given, str):
        raise BadLineError(f"{given!r} is not a string")
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise BadLineError(f"{given!r} is not Unicode text") from error
    return given


def _integer(given: object, *, bits: int) -> int:
    if isinstance(given, float) and given.is_integer():
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int):
        raise BadLineError(f"{given!r} is not an integer")
    if not -(2 ** (bits - 1)) <= given < 2 ** (bits - 1):
        raise BadLineError(f"{given} does not fit {bits} bits")
    return given
