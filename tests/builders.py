"""Small builders of events, definitions and records: say what matters in a test, the rest is ordinary.

Time is a story that begins at ``BEGINNING``, a midnight in UTC.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from io import BytesIO
from typing import Any

from fastavro import schemaless_writer

from schemas import avro_text
from schemas.events import (
    HEADER,
    EventKind,
    ParsedSchema,
    UnreadableError,
    decode_event,
    encode_event,
    parsed,
)
from udfs.attribution.reference import Assignment, Definition, Outcome, Received, Rules

SECOND = 1_000
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

BEGINNING = 1_767_225_600_000  # 2026-01-01T00:00:00Z
ONE_HOUR_BEFORE = BEGINNING - HOUR
ONE_DAY_BEFORE = BEGINNING - DAY
ONE_MINUTE_LATER = BEGINNING + MINUTE
ONE_HOUR_LATER = BEGINNING + HOUR
TWO_HOURS_LATER = BEGINNING + 2 * HOUR
ONE_DAY_LATER = BEGINNING + DAY
ONE_WEEK_LATER = BEGINNING + 7 * DAY

RULES = Rules(horizon_ms=7 * DAY, future_ms=10 * MINUTE, retention_ms=28 * DAY, region="local")

TENANT = "acme"
EXPERIMENT = "checkout-button"
UNIT = "ann"


def an_assignment(event_id: str = "a1", **changes: Any) -> Assignment:
    """Ann is assigned ``control`` at the beginning."""
    ordinary = Assignment(TENANT, UNIT, event_id, EXPERIMENT, "control", assigned_at=BEGINNING)
    return replace(ordinary, **changes)


def an_outcome(event_id: str = "o1", **changes: Any) -> Outcome:
    """Ann makes a purchase of 1.0 an hour after the beginning."""
    ordinary = Outcome(TENANT, UNIT, event_id, "purchase", occurred_at=ONE_HOUR_LATER)
    return replace(ordinary, **changes)


def a_metric(metric_id: str = "revenue", **changes: Any) -> dict[str, Any]:
    """A published metric: the mean of purchases, without cap or window."""
    return {
        "id": metric_id,
        "source": "purchase",
        "kind": "mean",
        "cap": None,
        "window_start_days": 0,
        "window_days": None,
        "role": "secondary",
        "direction": "increase",
        "margin": None,
        "margin_abs": None,
        "stop": False,
    } | changes


def a_definition(*metrics: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A published definition: two variants, hourly cohorts, no segments, no pre-period."""
    return {
        "tenant_id": TENANT,
        "experiment_id": EXPERIMENT,
        "config_version": 1,
        "control": "control",
        "variants": {"control": 0.5, "treatment": 0.5},
        "cohort_hours": 1,
        "segments": {},
        "pre_period_days": 0,
        "alpha": 0.05,
        "planned_units": 200_000,
        "stop_alpha": 0.05,
        "min_days": 7,
        "ended_at": None,
        "metrics": list(metrics) or [a_metric()],
    } | changes


@dataclass(frozen=True)
class Published:
    """A definition on its topic."""

    json: dict[str, Any]
    append_time_ms: int = ONE_DAY_BEFORE

    def read(self) -> Definition:
        return Definition.from_json(self.json, self.append_time_ms)

    def key(self) -> bytes:
        return "/".join(
            str(self.json[name]) for name in ("tenant_id", "experiment_id", "config_version")
        ).encode()

    def value(self) -> bytes:
        return json.dumps(self.json, ensure_ascii=False).encode()


@dataclass(frozen=True)
class Written:
    """A record as the broker keeps it, with what a reader must make of it."""

    received: Received
    value: bytes | None


@dataclass
class Log:
    """A tenant's topics in the making: records get the next offset of their partition."""

    tenant_id: str = TENANT
    records: list[Written] = field(default_factory=list)
    _next_offset: dict[tuple[str, int], int] = field(default_factory=dict)

    def append(
        self,
        event: Assignment | Outcome,
        at: int | None = None,
        *,
        key: bytes | None = None,
        partition: int = 0,
    ) -> Received:
        """Appends an event, by default at the moment it happened and keyed by its unit."""
        key = event.unit_id.encode() if key is None else key
        at = event.happened_at if at is None else at
        return self._append(type(event), partition, at, key, event, encode(event))

    def append_bytes(
        self,
        kind: type[Assignment | Outcome],
        value: bytes | None,
        at: int,
        *,
        key: bytes,
        partition: int = 0,
    ) -> Received:
        """Appends bytes, which may be an event of this kind or not."""
        return self._append(kind, partition, at, key, decode(kind, value), value)

    def _append(
        self,
        kind: type[Assignment | Outcome],
        partition: int,
        at: int,
        key: bytes,
        event: Assignment | Outcome | None,
        value: bytes | None,
    ) -> Received:
        topic = topic_of(kind, self.tenant_id)
        offset = self._next_offset.get((topic, partition), 0)
        self._next_offset[topic, partition] = offset + 1
        received = Received(self.tenant_id, topic, partition, offset, at, key, event)
        self.records.append(Written(received, value))
        return received


def topic_of(kind: type[Assignment | Outcome], tenant_id: str = TENANT) -> str:
    return f"livelift.{tenant_id}.{'assignments' if kind is Assignment else 'outcomes'}"


def received(*events: Assignment | Outcome, at: int | None = None) -> list[Received]:
    """The events in this order on their topics, each appended when it happened unless ``at`` is given."""
    log = Log()
    return [log.append(event, at) for event in events]


def read(definitions: Iterable[Published]) -> Sequence[Definition]:
    return [published.read() for published in definitions]


# ------------------------------------------------------------------------------------------------- bytes


def _schema_without(record: str, *fields: str) -> str:
    """An older schema of the record: without these fields, and with one that has gone since."""
    schema = json.loads(avro_text(record))
    kept = [field for field in schema["fields"] if field["name"] not in fields]
    return json.dumps(schema | {"fields": [{"name": "gone", "type": "string", "default": ""}, *kept]})


ASSIGNMENT, OUTCOME, OLD_ASSIGNMENT, OLD_OUTCOME = 1, 2, 3, 4
SCHEMAS = {
    ASSIGNMENT: avro_text("Assignment"),
    OUTCOME: avro_text("Outcome"),
    OLD_ASSIGNMENT: _schema_without("Assignment", "config_version", "attributes", "is_bot"),
    OLD_OUTCOME: _schema_without("Outcome", "weight"),
}
"""Writers' schemas by their ids, as a registry has them; the last two are what old producers use."""


def encode(event: Assignment | Outcome) -> bytes:
    """The event in the Confluent wire format, by today's schema."""
    return encode_event(event, ASSIGNMENT if isinstance(event, Assignment) else OUTCOME)


def encode_as_of_old(event: Assignment | Outcome) -> bytes:
    """The same by the old schema; what it lacks must have its default, or it is lost."""
    schema_id = OLD_ASSIGNMENT if isinstance(event, Assignment) else OLD_OUTCOME
    fields = {name: getattr(event, name) for name in event.__slots__} | {"gone": "by the board"}
    out = BytesIO()
    schemaless_writer(out, writers_schema(schema_id), fields)
    return HEADER.pack(0, schema_id) + out.getvalue()


def decode(kind: type[Assignment | Outcome], value: bytes | None) -> Assignment | Outcome | None:
    """What a reader makes of a record's bytes, None if they are no event of this kind."""
    try:
        return decode_event(
            EventKind.ASSIGNMENTS if kind is Assignment else EventKind.OUTCOMES, value, writers_schema
        )
    except UnreadableError:
        return None


@cache
def writers_schema(schema_id: int) -> ParsedSchema:
    """What the registry says to an id; unknown ones make a record unreadable."""
    if schema_id not in SCHEMAS:
        raise UnreadableError(f"no schema {schema_id}")
    return parsed(SCHEMAS[schema_id])
