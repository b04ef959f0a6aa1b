"""A small data set as everything in the bench sees it, and what the reference makes of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import cache

import numpy as np

from infra.bench.dataset import DataSet, Encoder, Events, Shape, definitions
from infra.definitions import Limits, draft_of
from infra.strict_yaml import Document
from schemas.events import decode_event, encode_event, own_schema
from tests.builders import BEGINNING, RULES
from udfs.attribution.reference import Assignment, Definition, Outcome, Received, Slot, attribute

SMALL = Shape(events=2000, users=60, tenants=3, experiments=7, events_per_second=0.02)
"""In a day, so that there are cohorts; with duplicates and disorder, as in the full data set."""
PLAIN = replace(SMALL, duplicates=0.0)
SCHEMA_IDS = {"Assignment": 3, "Outcome": 7}

Question = tuple[str, str, str, str]
"""Tenant, experiment, variant and metric's source; '' for exposures."""


def taken(shape: Shape) -> tuple[Events, DataSet]:
    """All records of a shape, and the data set after they were taken."""
    data = DataSet(shape)
    chunks = list(data.chunks())
    columns = [np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in Events.__slots__]
    return Events(*columns), data


def decoded(shape: Shape, events: Events) -> list[Assignment | Outcome]:
    """The events in the records' bytes, topic by topic."""
    found = []
    for batch in Encoder(shape, SCHEMA_IDS, BEGINNING).batches(events):
        for key, value in zip(batch.keys, batch.values, strict=True):
            event = decode_event(
                batch.kind, value.tobytes(), lambda _, kind=batch.kind: own_schema(kind.record)
            )
            assert event.tenant_id == batch.tenant_id
            assert event.unit_id.encode() == key.tobytes()
            assert encode_event(event, SCHEMA_IDS[batch.kind.record]) == value.tobytes()
            found.append(event)
    return found


def received(shape: Shape, events: Events) -> list[Received]:
    """The records in one log, appended when the last event had happened."""
    end = BEGINNING + shape.span_ms
    return [
        Received(
            event.tenant_id,
            f"{event.tenant_id}/{type(event).__name__}",
            0,
            offset,
            end,
            event.unit_id.encode(),
            event,
        )
        for offset, event in enumerate(decoded(shape, events))
    ]


@cache
def expected(shape: Shape) -> dict[Question, Slot]:
    """The reference's sums, all cohorts and classes together, by the source of the metric."""
    limits = Limits(RULES.horizon_ms, RULES.retention_ms)
    drafts = [draft_of(Document("bench", content, {}), limits) for content in definitions(shape)]
    book = [Definition.from_json(draft.content, BEGINNING - 10_000) for draft in drafts]
    sources = {metric.metric_id: metric.source for metric in book[0].metrics} | {"": ""}
    sums: defaultdict[Question, Slot] = defaultdict(Slot)
    for key, slot in attribute(received(shape, taken(shape)[0]), book, RULES).slots.items():
        sums[key.tenant_id, key.experiment_id, key.variant_id, sources[key.metric_id]] += slot
    return dict(sums)
