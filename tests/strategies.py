"""Generated histories: small worlds in which everything odd that can happen to a unit happens often.

``histories()`` is shared by every test that compares an implementation with the reference. Names, ids and
moments come from small pools on purpose: equal ids, ties in time and events exactly on a border are the
interesting ones. ``interleavings`` gives orders in which a correct implementation may see one history.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, replace
from random import Random
from typing import Any
from zlib import crc32

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from schemas.events import HEADER
from tests.builders import (
    BEGINNING,
    DAY,
    HOUR,
    MINUTE,
    Log,
    Published,
    Written,
    a_definition,
    a_metric,
    encode,
    encode_as_of_old,
)
from udfs.attribution.reference import Assignment, Outcome, Rules

PARTITIONS = 2

TENANTS = ("acme", "globex")
UNITS = ("ann", "bob", "\U0001f600" * 200)
EXPERIMENTS = ("button", "Größe/\u00a0" + "x" * 190)
VARIANTS = ("control", "treatment", "третий")
SOURCES = ("purchase", "visit", "s" * 200)
BAD_IDS = ("", "i" * 201, "\U0001f600" * 201)

# With two ids whose order by UTF-8 is not that by UTF-16, and two that differ in their last byte only.
EVENT_IDS = (*(f"e{i}" for i in range(30)), "\uff5e", "\U0001f600", "i" * 199 + "1", "i" * 199 + "2")

COUNTRIES = ("DE", "US", "", "FR", "__other__", "ß")
ATTRIBUTES = ("country", "platform", "undeclared")

VALUES = (
    *(
        0.0,
        -0.0,
        1.0,
        -1.0,
        2.5,
        -2.5,
        1e-6,
        5e-7,
        -5e-7,
        1.5e-6,
        2.5e-6,
        0.1,
        5.0,
        5.000001,
        -7.0,
        123456.789012,
    ),
    *(9e9, 9e9, 9e9, -9e9, 8_999_999_999.999999, 5e-324),
)
BAD_VALUES = (float("nan"), float("inf"), float("-inf"), 9_000_000_000.000002, -9_000_000_000.000002)
WEIGHTS = (1.0, 1.0, 0.0, -0.0, 2.5, 1e-6, 5e-7, 9e9)
BAD_WEIGHTS = (float("nan"), float("inf"), -1e-300, 9_000_000_000.000002)

WINDOW_DAYS = (None, None, 1 / DAY, 1 / 24, 1, 7, 0.3)
PRE_PERIOD_DAYS = (0, 1 / 24, 1, 14, 14)
EXPOSURE_TIMES = (-HOUR, -1, 0, 0, 0, 0, 0, 1, HOUR, DAY, 40 * DAY)
SINCE_EXPOSURE = (
    *(-14 * DAY - 1, -14 * DAY, -DAY - 1, -DAY, -HOUR - 1, -HOUR, -HOUR, -MINUTE, -MINUTE, -MINUTE, -1, -1),
    *(0, 0, 0, 0, 1, 2, MINUTE, MINUTE, MINUTE, HOUR - 1, HOUR, HOUR + 1, DAY - 1, DAY, DAY + 1),
    *(7 * DAY - 1, 7 * DAY, 40 * DAY),
)
DEFINED = (
    *[-30 * DAY] * 16,
    *(-DAY, -1, 0, 1, HOUR, DAY, DAY + 1, 7 * DAY, 7 * DAY + 1, 8 * DAY + 1, 50 * DAY),
)


@dataclass(frozen=True)
class History:
    """What was published: definitions as their topic has them, records as their partitions have them."""

    rules: Rules
    definitions: tuple[Published, ...]
    records: tuple[Written, ...]


def settings_of_an_operator() -> SearchStrategy[Rules]:
    return st.builds(
        Rules,
        horizon_ms=st.sampled_from((7 * DAY, 7 * DAY, DAY)),
        future_ms=st.sampled_from((10 * MINUTE, 0)),
        retention_ms=st.sampled_from((28 * DAY, 28 * DAY, DAY, HOUR)),
        region=st.sampled_from(("local", "eu")),
    )


@st.composite
def metrics(draw: DrawFn) -> list[dict[str, Any]]:
    """One to three metrics of any kind; several may share a source, and windows may be empty."""
    return [
        a_metric(
            metric_id,
            source=draw(st.sampled_from((SOURCES[0], SOURCES[0], *SOURCES))),
            kind=draw(st.sampled_from(("mean", "proportion", "ratio"))),
            cap=draw(st.sampled_from((None, 5, 0.1, 9e9, 1e-6, 4e-7))),
            window_start_days=draw(st.sampled_from((0, 0, 0, 0, 0, 1 / DAY, 1 / 24, 7))),
            window_days=draw(st.sampled_from(WINDOW_DAYS)),
        )
        for metric_id in ("revenue", "größe", "m" * 200)[: draw(st.integers(1, 3))]
    ]


@st.composite
def definitions(draw: DrawFn, tenant_id: str, experiment_id: str, config_version: int) -> dict[str, Any]:
    variants = VARIANTS[: draw(st.integers(2, 3))]
    listed = st.lists(st.sampled_from(COUNTRIES), unique=True, max_size=3)
    return a_definition(
        *draw(metrics()),
        tenant_id=tenant_id,
        experiment_id=experiment_id,
        config_version=config_version,
        variants=dict.fromkeys(variants, 1.0),
        cohort_hours=draw(st.sampled_from((1, 1, 5, 24, 168))),
        segments={name: draw(listed) for name in draw(st.sets(st.sampled_from(ATTRIBUTES[:2])))},
        pre_period_days=draw(st.sampled_from(PRE_PERIOD_DAYS)),
    )


@st.composite
def published(draw: DrawFn, tenant_id: str, beginning: int) -> list[Published]:
    """Definitions of most versions of the tenant's experiments, some published twice with other content."""
    topic = []
    for experiment_id in EXPERIMENTS:
        for config_version in (1, 2):
            for _ in range(draw(st.sampled_from((0, 1, 1, 1, 1, 1, 1, 1, 2)))):
                at = beginning + draw(st.sampled_from(DEFINED))
                topic.append(Published(draw(definitions(tenant_id, experiment_id, config_version)), at))
    return sorted(topic, key=lambda each: each.append_time_ms)


@st.composite
def assignments(draw: DrawFn, tenant_id: str, unit_id: str, beginning: int) -> Assignment:
    return Assignment(
        tenant_id=tenant_id,
        unit_id=unit_id,
        event_id=draw(st.sampled_from(EVENT_IDS)),
        experiment_id=draw(st.sampled_from((EXPERIMENTS[0], EXPERIMENTS[0], *EXPERIMENTS))),
        variant_id=draw(st.sampled_from((VARIANTS[0], *VARIANTS))),
        assigned_at=beginning + draw(st.sampled_from(EXPOSURE_TIMES)),
        config_version=draw(st.sampled_from((1, 1, 1, 2))),
        attributes=draw(st.dictionaries(st.sampled_from(ATTRIBUTES), st.sampled_from(COUNTRIES), max_size=3)),
        is_bot=draw(st.integers(0, 9)) == 9,
    )


@st.composite
def outcomes(draw: DrawFn, tenant_id: str, unit_id: str, beginning: int) -> Outcome:
    exposed_at = beginning + draw(st.sampled_from(EXPOSURE_TIMES))
    return Outcome(
        tenant_id=tenant_id,
        unit_id=unit_id,
        event_id=draw(st.sampled_from(EVENT_IDS)),
        metric_id=draw(st.sampled_from((SOURCES[0], SOURCES[0], SOURCES[0], *SOURCES))),
        occurred_at=exposed_at + draw(st.sampled_from(SINCE_EXPOSURE)),
        value=draw(st.one_of(st.sampled_from(VALUES), st.floats(-9e9, 9e9))),
        weight=draw(st.one_of(st.sampled_from(WEIGHTS), st.floats(0, 9e9))),
    )


@st.composite
def spoiled(draw: DrawFn, event: Assignment | Outcome) -> Assignment | Outcome:
    """The event with one thing that the contract forbids, or that only looks forbidden."""
    changes: list[dict[str, Any]] = [
        {"tenant_id": "globex" if event.tenant_id == "acme" else "acme"},
        *({name: bad} for name in ("unit_id", "event_id") for bad in BAD_IDS),
    ]
    times = (-(2**63), 2**63 - 1, -1, 0)
    if isinstance(event, Assignment):
        changes += [{name: bad} for name in ("experiment_id", "variant_id") for bad in BAD_IDS]
        changes += [{"config_version": version} for version in (0, -1, -(2**31), 2**31 - 1)]
        changes += [{"assigned_at": time} for time in times]
        changes += [{"variant_id": "unknown"}, {"experiment_id": "unknown"}]
    else:
        changes += [{"metric_id": bad} for bad in BAD_IDS]
        changes += [{"value": bad} for bad in BAD_VALUES] + [{"weight": bad} for bad in BAD_WEIGHTS]
        changes += [{"occurred_at": time} for time in times]
    return replace(event, **draw(st.sampled_from(changes)))


@st.composite
def garbled(draw: DrawFn, event: Assignment | Outcome) -> bytes | None:
    """Bytes that are not the event's, most of them no event at all."""
    good = encode(event)
    schema_id, old_schema_id = good[4], encode_as_of_old(event)[4]
    somewhere = draw(st.integers(0, len(good) - 1))
    return draw(
        st.sampled_from(
            (
                None,
                b"",
                good[:somewhere],
                good[:5],
                b"\x01" + good[1:],
                HEADER.pack(0, 99) + good[5:],  # nobody registered it
                HEADER.pack(0, 3 - schema_id) + good[5:],  # the other event's
                HEADER.pack(0, old_schema_id) + good[5:],
                good[:somewhere] + b"\xff" + good[somewhere + 1 :],
                good + b"trailing",
            )
        )
    )


@st.composite
def lateness(draw: DrawFn, rules: Rules) -> int:
    """Append time minus event time, often exactly on a border of the rules."""
    borders = (rules.horizon_ms, rules.horizon_ms + 1, -rules.future_ms, -rules.future_ms - 1)
    return draw(st.sampled_from((0, 0, 0, 0, 0, 0, 0, 1, MINUTE, MINUTE, MINUTE, HOUR, HOUR, DAY, *borders)))


@st.composite
def histories(draw: DrawFn, *, most_events: int = 20) -> History:
    """One or two tenants with up to three units and ``most_events`` events in all, some of them repeated."""
    rules = draw(settings_of_an_operator())
    beginning = draw(st.sampled_from((*[BEGINNING] * 7, 0)))  # some times before 0
    tenants = TENANTS[: draw(st.sampled_from((1, 1, 1, 2)))]
    units = UNITS[: draw(st.sampled_from((1, 1, 1, 2, 3)))]
    logs = {tenant_id: Log(tenant_id) for tenant_id in tenants}
    for _ in range(draw(st.integers(1, most_events))):
        log = logs[draw(st.sampled_from(tenants))]
        of_unit = (log.tenant_id, draw(st.sampled_from(units)), beginning)
        event: Assignment | Outcome
        event = draw(outcomes(*of_unit)) if draw(st.booleans()) else draw(assignments(*of_unit))
        key = event.unit_id.encode()
        at = event.happened_at + draw(lateness(rules))
        value: bytes | None = encode(event)
        match draw(st.integers(0, 19)):
            case 19:
                event = draw(spoiled(event))
                value = encode(event)
                key = draw(st.sampled_from((key, event.unit_id.encode())))
            case 18:
                value = draw(garbled(event))
            case 17:
                value = encode_as_of_old(event)
            case 16:
                key = draw(st.sampled_from((b"", b"bob", b"\xff")))
        for again in (0, *draw(st.sampled_from(((), (), (), (), (), (), (), (0,), (HOUR,), (DAY, 8 * DAY))))):
            log.append_bytes(
                type(event), value, max(0, at + again), key=key, partition=crc32(key) % PARTITIONS
            )
    definitions = [each for tenant_id in tenants for each in draw(published(tenant_id, beginning))]
    return History(
        rules, tuple(definitions), tuple(record for log in logs.values() for record in log.records)
    )


# ------------------------------------------------------------------------------------------------- orders


@dataclass(frozen=True)
class AdvanceTo:
    """Append time has come so far: what is due is decided."""

    append_time_ms: int


@dataclass(frozen=True)
class Restart:
    """The process that runs the rules begins anew from what it stored."""


Step = Published | Written | AdvanceTo | Restart


def interleaved(history: History, random: Random) -> list[Step]:
    """An order in which a job may see this history.

    It keeps the order of the definitions and, for each unit, that of its records of one type. Everything else
    is free: definitions may be seen long before or after what needs them, units and topics at any pace. Time
    never passes a definition that has not been seen; that much a job owes to its rules.
    """
    queues: defaultdict[Any, deque[Published | Written]] = defaultdict(deque)
    for record in history.records:
        queues[record.received.tenant_id, record.received.topic, record.received.key].append(record)
    queues["definitions"].extend(history.definitions)
    pace = {name: random.choice((0.001, 0.1, 1.0, 1.0, 10.0, 1000.0)) for name in queues}
    moments = [record.received.append_time_ms for record in history.records]
    steps: list[Step] = []
    while waiting := [name for name, queue in queues.items() if queue]:
        name = random.choices(waiting, [pace[name] for name in waiting])[0]
        steps.append(queues[name].popleft())
        if random.random() < 0.15:
            unseen = [
                each.append_time_ms - 1 for each in queues["definitions"] if isinstance(each, Published)
            ]
            now = random.choice(moments) + random.choice((0, 1, history.rules.horizon_ms + 1))
            steps.append(AdvanceTo(min([now, *unseen])))
        if random.random() < 0.05:
            steps.append(Restart())
    return steps
