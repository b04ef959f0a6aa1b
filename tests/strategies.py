"""Generated histories: small worlds in which everything odd that can happen to a unit happens often.

``histories()`` is shared by every test that compares an implementation with the reference. Names, ids and
moments come from small pools on purpose: equal ids, ties in time and events exactly on a border are the
interesting ones. ``interleaved`` gives orders in which a correct implementation may see one history.

A history follows from one number, its seed. Drawn event by event, three of four would be made of parts of
others and each would take a hundred times as long; ``smallest`` does what Hypothesis cannot then: it leaves
out of a history that fails a test what it does not take to fail.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple
from zlib import crc32

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from schemas.events import HEADER
from tests.builders import (
    BEGINNING,
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Log,
    Published,
    Written,
    a_definition,
    a_metric,
    encode,
    encode_as_of_old,
)
from udfs.attribution.reference import EFFECT_MS, Assignment, Outcome, Rules

Event = Assignment | Outcome

PARTITIONS = 2

TENANTS = ("acme", "globex")
UNITS = ("ann", "bob", "\U0001f600" * 200)
EXPERIMENTS = ("button", "Größe/\u00a0" + "x" * 190)
VERSIONS = (1, 2, 3)
VARIANTS = ("control", "treatment", "третий")
SOURCES = ("purchase", "visit", "s" * 200)
BAD_IDS = ("", "i" * 201, "\U0001f600" * 201)

FEW_IDS = 30
# Two ids whose order by UTF-8 is not that by UTF-16, and two that differ in their last byte only.
ODD_IDS = ("\uff5e", "\U0001f600", "i" * 199 + "1", "i" * 199 + "2")

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

WINDOW_DAYS = (None, None, None, None, 1 / DAY, 1 / 24, 1, 7, 0.3)
PRE_PERIOD_DAYS = (0, 1 / 24, 1, 14, 14)
EXPOSURE_TIMES = (-HOUR, -1, 0, 0, 0, 0, 0, 1, SECOND, HOUR, HOUR, DAY, DAY, 9 * DAY, 40 * DAY)
SINCE_EXPOSURE = (
    *(-14 * DAY - 1, -14 * DAY, -DAY - 1, -DAY, -HOUR - 1, -HOUR, -HOUR, -MINUTE, -MINUTE, -MINUTE, -1, -1),
    *(0, 0, 0, 0, 1, 2, MINUTE, MINUTE, MINUTE, HOUR - 1, HOUR, HOUR + 1, DAY - 1, DAY, DAY + 1),
    *(7 * DAY - 1, 7 * DAY, 40 * DAY),
)
CAPS = (None, 5, 0.1, 9e9, 1e-6, 4e-7)
WINDOW_START_DAYS = (0, 0, 0, 0, 0, 1 / DAY, 1 / 24, 7)
DEFINED = (
    *(-DAY, -SECOND - 1, -SECOND, -SECOND + 1, -1, 0, 1, HOUR - SECOND, HOUR, DAY),
    *(DAY + 1, 7 * DAY, 7 * DAY + 1, 8 * DAY + 1, 50 * DAY),
)
ENDED = (-DAY, -1, 0, 0, 1, MINUTE, HOUR, HOUR, DAY, DAY, 7 * DAY, 40 * DAY)


@dataclass(frozen=True)
class History:
    """What was published: definitions as their topic has them, records as their partitions have them."""

    rules: Rules
    definitions: tuple[Published, ...]
    records: tuple[Written, ...]
    max_skew_ms: int = DAY
    """One topic may be read so far behind another."""
    seed: int = 0
    """What it was made from; for whatever else has to be random."""

    @property
    def latest(self) -> int:
        """When the last record or definition was appended."""
        appended = [each.append_time_ms for each in self.definitions]
        return max(appended + [each.received.append_time_ms for each in self.records])


@dataclass(frozen=True)
class World:
    """What the events and definitions of one history have in common."""

    rules: Rules
    beginning: int
    defined_at: int
    """Most definitions that do not stand from long ago are published then."""
    ends_at: int
    """Most experiments that end at all end then."""
    tenants: Sequence[str]
    units: Sequence[str]
    event_ids: int

    @classmethod
    def drawn(cls, random: Random, most_events: int) -> World:
        beginning = random.choice((*[BEGINNING] * 7, 0))  # some times before 0
        return cls(
            rules=Rules(
                horizon_ms=random.choice((7 * DAY, 7 * DAY, DAY, HOUR, 5 * MINUTE)),
                future_ms=random.choice((10 * MINUTE, 0)),
                retention_ms=random.choice((28 * DAY, 28 * DAY, DAY, HOUR)),
                region=random.choice(("local", "eu")),
            ),
            beginning=beginning,
            defined_at=beginning + random.choice(DEFINED),
            ends_at=beginning + random.choice(ENDED),
            tenants=TENANTS[: random.choice((1, 1, 1, 2))],
            units=UNITS[: random.choice((1, 1, 1, 2, 3))],
            event_ids=max(FEW_IDS, 2 * most_events),
        )


class Sending(NamedTuple):
    kind: type[Event]
    tenant_id: str
    key: bytes
    value: bytes | None
    at: int


def histories(*, most_events: int = 20) -> SearchStrategy[History]:
    return st.integers(0, 2**63 - 1).map(lambda seed: history_of(seed, most_events))


def history_of(seed: int, most_events: int) -> History:
    """One or two tenants with up to three units and ``most_events`` events in all, some of them repeated.

    Append times mostly ascend along a partition, as they do unless a leader's clock stepped back.
    """
    random = Random(seed)
    world = World.drawn(random, most_events)
    definitions = [
        each
        for tenant_id in world.tenants
        for experiment_id in EXPERIMENTS
        for config_version in VERSIONS
        for each in published(random, world, tenant_id, experiment_id, config_version)
    ]
    sent = [each for _ in range(random.randint(1, most_events)) for each in sendings(random, world)]
    if random.random() < 0.75:
        sent.sort(key=lambda sending: sending.at)
    logs = {tenant_id: Log(tenant_id) for tenant_id in world.tenants}
    for kind, tenant_id, key, value, at in sent:
        logs[tenant_id].append_bytes(kind, value, at, key=key, partition=crc32(key) % PARTITIONS)
    return History(
        world.rules,
        tuple(sorted(definitions, key=lambda each: each.append_time_ms)),
        tuple(record for log in logs.values() for record in log.records),
        max_skew_ms=random.choice((0, 0, HOUR, DAY, 50 * DAY)),
        seed=seed,
    )


def published(
    random: Random, world: World, tenant_id: str, experiment_id: str, config_version: int
) -> Iterator[Published]:
    """A version of an experiment; sometimes it is missing, or published twice with other content."""
    for _ in range(random.choice((0, *[1] * 12, 2))):
        at = world.beginning - 30 * DAY
        ends = 0.2
        if random.random() < 0.3:
            at = random.choice((world.defined_at, world.beginning + random.choice(DEFINED)))
            ends = 0.5
        ends_at = random.choice((*[world.ends_at] * 3, world.beginning + random.choice(ENDED)))
        definition = a_definition(
            *metrics(random),
            tenant_id=tenant_id,
            experiment_id=experiment_id,
            config_version=config_version,
            variants=dict.fromkeys(VARIANTS[: random.randint(2, 3)], 1.0),
            cohort_hours=random.choice((1, 1, 5, 24, 168)),
            segments={
                name: random.sample(COUNTRIES, random.randint(0, 3))
                for name in random.sample(ATTRIBUTES[:2], random.randint(0, 2))
            },
            pre_period_days=random.choice(PRE_PERIOD_DAYS),
            ended_at=ends_at if random.random() < ends else None,
        )
        yield Published(definition, at)


def metrics(random: Random) -> Iterator[dict[str, Any]]:
    """One to three metrics of any kind; several may share a source, and windows may be empty."""
    for metric_id in ("revenue", "größe", "m" * 200)[: random.randint(1, 3)]:
        yield a_metric(
            metric_id,
            source=random.choice((SOURCES[0], SOURCES[0], *SOURCES)),
            kind=random.choice(("mean", "proportion", "ratio")),
            cap=random.choice(CAPS),
            window_start_days=random.choice(WINDOW_START_DAYS),
            window_days=random.choice(WINDOW_DAYS),
        )


def sendings(random: Random, world: World) -> Iterator[Sending]:
    """An event as it is sent: late or early; some are spoiled, garbled, under another key or sent again."""
    tenant_id = random.choice(world.tenants)
    event = random.choice((assignment, outcome))(random, world, tenant_id)
    at = event.happened_at + lateness(random, world.rules)
    key = event.unit_id.encode()
    oddity = random.randrange(20)
    if oddity == 0:
        event = spoiled(random, event)
        key = random.choice((key, event.unit_id.encode()))
    elif oddity == 1:
        key = random.choice((b"", b"bob", b"\xff"))
    for copy, later in ((event, 0), *copies(random, event, world.rules)):
        value = (
            encode_as_of_old(copy) if oddity == 2 else garbled(random, copy) if oddity == 3 else encode(copy)
        )
        yield Sending(type(event), tenant_id, key, value, max(0, at + later))


def assignment(random: Random, world: World, tenant_id: str) -> Event:
    assigned_at = world.beginning + random.choice(EXPOSURE_TIMES)
    if random.random() < 0.2:  # as a definition takes effect
        assigned_at = world.defined_at + EFFECT_MS - random.randint(0, 1)
    return Assignment(
        tenant_id=tenant_id,
        unit_id=random.choice(world.units),
        event_id=event_id(random, world),
        experiment_id=random.choice((EXPERIMENTS[0], EXPERIMENTS[0], *EXPERIMENTS)),
        variant_id=random.choice((VARIANTS[0], *VARIANTS)),
        assigned_at=assigned_at,
        config_version=random.choice((1, 1, *VERSIONS)),
        attributes={
            name: random.choice(COUNTRIES) for name in random.sample(ATTRIBUTES, random.randint(0, 3))
        },
        is_bot=random.random() < 0.1,
    )


def outcome(random: Random, world: World, tenant_id: str) -> Event:
    occurred_at = world.beginning + random.choice(EXPOSURE_TIMES) + random.choice(SINCE_EXPOSURE)
    if random.random() < 0.2:  # as places close
        ended_at = random.choice((world.ends_at, world.defined_at + EFFECT_MS))
        occurred_at = ended_at + world.rules.horizon_ms + random.randint(0, 1)
    return Outcome(
        tenant_id=tenant_id,
        unit_id=random.choice(world.units),
        event_id=event_id(random, world),
        metric_id=random.choice((SOURCES[0], SOURCES[0], SOURCES[0], *SOURCES)),
        occurred_at=occurred_at,
        value=random.choice((*random.choices(VALUES, k=2), random.uniform(-9e9, 9e9), random.uniform(-9, 9))),
        weight=random.choice((random.choice(WEIGHTS), random.uniform(0, 9e9), random.uniform(0, 9))),
    )


def event_id(random: Random, world: World) -> str:
    return random.choice(ODD_IDS) if random.random() < 0.1 else f"e{random.randrange(world.event_ids)}"


def lateness(random: Random, rules: Rules) -> int:
    """Append time minus event time, often exactly on a border of the rules."""
    borders = (rules.horizon_ms, rules.horizon_ms + 1, -rules.future_ms, -rules.future_ms - 1)
    usual = (0, 0, 0, 0, 0, 0, 0, 1, MINUTE, MINUTE, MINUTE + 1, HOUR, HOUR, DAY)
    return random.choice((*(each for each in usual if each <= rules.horizon_ms), *borders))


def copies(random: Random, event: Event, rules: Rules) -> Iterator[tuple[Event, int]]:
    """The event sent again so much later: as it is, or another one of the same id. Mostly it is not."""
    memory = rules.horizon_ms + rules.future_ms
    often = ((0,), (HOUR,), (DAY, 8 * DAY), (memory,), (memory + 1,), (memory, memory + 1, memory + 2))
    for later in random.choice(often) if random.random() < 0.3 else ():
        if random.random() < 0.6 and abs(event.happened_at) < 2**60:
            yield moved(event, later), later
        else:
            yield event, later


def moved(event: Event, by_ms: int) -> Event:
    if isinstance(event, Assignment):
        return replace(event, assigned_at=event.assigned_at + by_ms)
    return replace(event, occurred_at=event.occurred_at + by_ms)


def spoiled(random: Random, event: Event) -> Event:
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
        changes += [{"variant_id": "unknown"}, {"experiment_id": "unknown"}] * 3
    else:
        changes += [{"metric_id": bad} for bad in BAD_IDS]
        changes += [{"value": bad} for bad in BAD_VALUES] + [{"weight": bad} for bad in BAD_WEIGHTS]
        changes += [{"occurred_at": time} for time in times]
    return replace(event, **random.choice(changes))


def garbled(random: Random, event: Event) -> bytes | None:
    """Bytes that are not the event's, most of them no event at all."""
    good = encode(event)
    schema_id, old_schema_id = good[4], encode_as_of_old(event)[4]
    somewhere = random.randrange(len(good))
    return random.choice(
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


def smallest(history: History, fails: Callable[[History], bool]) -> History:
    """The history without the records and definitions that it does not need to fail."""
    least = history
    for name in ("records", "definitions"):
        size = max(1, len(getattr(least, name)) // 2)
        while size:
            start = 0
            while start < len(getattr(least, name)):
                every = getattr(least, name)
                fewer = replace(least, **{name: every[:start] + every[start + size :]})
                if fewer.records and fails(fewer):
                    least = fewer
                else:
                    start += size
            size //= 2
    return least


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

    It keeps the order of each unit's records of one type, and that of the definitions. A record is seen after
    the definitions in effect when it was appended, and a moment comes after those appended until then: that
    much a job owes to its rules. Time runs ahead of no record by more than the history's skew. Everything
    else is free: definitions may be seen long before they are needed, units and topics at any pace.
    """
    queues: defaultdict[Any, deque[Written]] = defaultdict(deque)
    for record in history.records:
        queues[record.received.tenant_id, record.received.topic, record.received.key].append(record)
    earliest_to_come = {name: _earliest_to_come(queue) for name, queue in queues.items()}
    unseen = deque(history.definitions)
    moments, latest = _moments(history), history.latest
    in_order_of_time = random.random() < 0.4
    pace = {name: random.choice((0.001, 0.1, 1.0, 1.0, 10.0, 1000.0)) for name in queues}
    definitions_pace = random.choice((0.01, 0.1, 0.5))
    advances, restarts = random.choice((0.05, 0.2, 0.6)), random.choice((0.0, 0.05, 0.3))
    steps: list[Step] = []
    now = min(moments)

    def see_definitions_until(append_time_ms: int) -> None:
        while unseen and unseen[0].append_time_ms <= append_time_ms:
            steps.append(unseen.popleft())

    while queues:
        if unseen and random.random() < definitions_pace:
            see_definitions_until(unseen[0].append_time_ms)
        if in_order_of_time:
            name = min(queues, key=lambda name: queues[name][0].received.append_time_ms)
        else:
            name = random.choices(list(queues), [pace[name] for name in queues])[0]
        record = queues[name].popleft()
        see_definitions_until(record.received.append_time_ms - EFFECT_MS)
        steps.append(record)
        earliest_to_come[name].pop()
        if not queues[name]:
            del queues[name]
        if random.random() < advances:
            as_far_as = [earliest_to_come[name][-1] + history.max_skew_ms for name in queues]
            now = max(now, min(random.choice(moments), latest, *as_far_as))
            see_definitions_until(now)
            steps.append(AdvanceTo(now))
        if random.random() < restarts:
            steps.append(Restart())
    steps.extend(unseen)
    return steps


def _earliest_to_come(records: Iterable[Written]) -> list[int]:
    """The least append time of the records from each on; that of all is the last."""
    appended = [record.received.append_time_ms for record in records]
    return list(accumulate(reversed(appended), min))


def _moments(history: History) -> list[int]:
    """When something may be due, and the end of time as far as it is known."""
    waits = (history.rules.horizon_ms, history.rules.retention_ms, history.rules.id_memory_ms)
    periods = (0, 1, SECOND, *waits, *(wait + 1 for wait in waits))
    return [
        *(each.received.append_time_ms + period for each in history.records for period in periods),
        *[history.latest] * len(history.records),
    ]


def ends_of(history: History) -> list[int]:
    """Moments at which to compare: every definition has been looked at, and something is just about due."""
    soonest = history.latest + 5 * MINUTE + SECOND
    return [soonest, *(moment for moment in _moments(history) if moment > soonest)]
