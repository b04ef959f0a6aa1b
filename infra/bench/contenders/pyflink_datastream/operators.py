"""The co-process function: bytes of two topics in, changes of slots out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

from fastavro import schemaless_reader
from pyflink.common import Row, Types
from pyflink.datastream import KeyedCoProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueState, ValueStateDescriptor

from infra.bench.contenders.pyflink_datastream.rules import AttributionRules, Change, Unit
from schemas.events import HEADER, ParsedSchema, own_schema
from udfs.attribution.reference import Assignment, Definition, Outcome, Rules

DOUBLES = [f"{total}{when}" for when in "01" for total in "ydxe"]
CHANGE = Types.ROW_NAMED(["slot", "n", *DOUBLES], [Types.STRING(), Types.LONG(), *[Types.DOUBLE()] * 8])


def unit_key(value: bytes) -> bytes:
    """Tenant and unit as they begin the record: two Avro strings of at most 63 bytes behind the header."""
    tenant = value[5] >> 1
    unit = value[6 + tenant] >> 1
    return value[5 : 7 + tenant + unit]


class AttributeInPython(KeyedCoProcessFunction):
    """Keyed by unit; all that is known of it is one value of bytes, read and written at each event."""

    def __init__(self, definitions: Sequence[Definition], rules: Rules) -> None:
        self._definitions = definitions
        self._rules_of_log = rules

    def open(self, runtime_context: RuntimeContext) -> None:
        self._rules = AttributionRules(self._definitions, self._rules_of_log)
        self._assignment, self._outcome = own_schema("Assignment"), own_schema("Outcome")
        self._unit: ValueState = runtime_context.get_state(
            ValueStateDescriptor("unit", Types.PICKLED_BYTE_ARRAY())
        )

    def process_element1(self, value: bytes, ctx: KeyedCoProcessFunction.Context) -> Iterator[Row]:
        unit = Unit.of_bytes(self._unit.value())
        event = Assignment(**_fields(value, self._assignment))
        changes = self._rules.on_assignment(unit, event, ctx.timestamp())
        self._unit.update(unit.to_bytes())
        return _rows(changes)

    def process_element2(self, value: bytes, ctx: KeyedCoProcessFunction.Context) -> Iterator[Row]:
        unit = Unit.of_bytes(self._unit.value())
        event = Outcome(**_fields(value, self._outcome))
        changes = self._rules.on_outcome(unit, event, ctx.timestamp())
        self._unit.update(unit.to_bytes())
        return _rows(changes)


def _fields(value: bytes, schema: ParsedSchema) -> dict[str, Any]:
    """The record's fields; all were written with our own schema here, which saves resolving another."""
    read: Any = schemaless_reader  # its annotations know nothing of records
    fields: dict[str, Any] = read(BytesIO(value[HEADER.size :]), schema, None)
    return fields


def _rows(changes: list[Change]) -> Iterator[Row]:
    for slot, n, before, after in changes:
        yield Row(slot, n, *map(float, before), *map(float, after))
