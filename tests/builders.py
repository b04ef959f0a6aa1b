"""Small builders of events, definitions and records: say what matters in a test, the rest is ordinary.

Time is a story that begins at ``BEGINNING``, a midnight in UTC.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import fastavro

from udfs.attribution.reference import Assignment, Definition, Outcome, Received, Rules

AVRO_SCHEMAS = Path(__file__).parents[1] / "schemas" / "avro"

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

SCHEMA_IDS = {"Assignment": 1, "Outcome": 2}


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
        return self._append(topic_of(type(event), self.tenant_id), partition, at, key, event, encode(event))

    def append_bytes(
        self,
        kind: type[Assignment | Outcome],
        value: bytes | None,
        at: int,
        *,
        key: bytes,
        partition: int = 0,
    ) -> Received:
        """Appends bytes that are no event."""
        return self._append(topic_of(kind, self.tenant_id), partition, at, key, None, value)

    def _append(
        self,
        topic: str,
        partition: int,
        at: int,
        key: bytes,
        event: Assignment | Outcome | None,
        value: bytes | None,
    ) -> Received:
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


def encode(event: Assignment | Outcome, schema_id: int | None = None) -> bytes:
    """The event in the Confluent wire format: a zero, the schema's id in four bytes, Avro."""
    name = type(event).__name__
    fields: dict[str, Any] = {field: getattr(event, field) for field in event.__dataclass_fields__}
    body = io.BytesIO()
    fastavro.schemaless_writer(body, _schema(name), fields)
    return framed(body.getvalue(), SCHEMA_IDS[name] if schema_id is None else schema_id)


def framed(body: bytes, schema_id: int) -> bytes:
    return b"\x00" + schema_id.to_bytes(4, "big") + body


@cache
def _schema(name: str) -> Any:
    return fastavro.parse_schema(json.loads((AVRO_SCHEMAS / f"{name}.avsc").read_text()))
