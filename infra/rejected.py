"""What the attribution job refused, read from its topic, and sent again.

A refused record is sent again as it was, to the topic it came from. That it was, and as what, stands in
the topic of replays: so each is sent again once, however often people ask, and a copy that is refused in
its turn is known to be one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Self

from config.settings import Settings
from infra.broker import Broker, Progress
from infra.producer import Delivery
from infra.registry import Registry
from infra.topics import create_all
from jobs.wiring.rejected import REJECTED_TOPIC
from schemas.events import RejectedRecord, decode_rejected
from udfs.attribution.reference import Reason

REPLAYS_TOPIC = "livelift-internal.replays"
REPLAY_HEADER = "livelift-replay"
"""Header of a copy: the position of the record it is a copy of."""

SENT_AT_A_TIME = 1_000
"""After so many copies it is written down which they are."""

REPLAYED_UNASKED = frozenset(Reason) - {Reason.DUPLICATE}
"""Sent again unless reasons are named: a duplicate's first record stands, so sending it changes nothing."""

CUT = re.compile(r"\(the first (\d+) of \d+ bytes are kept\)$")
"""What the job adds to the detail of a record that is too large to be kept whole (``CountedRows.java``)."""


class Position(NamedTuple):
    """A record's place in the log; its text is ``topic/partition/offset``."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The position of a text; one that is none is a ValueError."""
        topic, partition, offset = text.split("/")
        return cls(topic, int(partition), int(offset))

    @classmethod
    def of(cls, record: RejectedRecord) -> Self:
        """Where a refused record is."""
        return cls(record.topic or "", record.partition or 0, record.offset or 0)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which refused records somebody means; what is empty or None says nothing."""

    tenant_id: str = ""
    reasons: Collection[str] = ()
    since_ms: int | None = None
    until_ms: int | None = None
    """Append times from ``since_ms`` on, before ``until_ms``; epoch milliseconds."""

    def __contains__(self, record: RejectedRecord) -> bool:
        append_time_ms = record.append_time or 0
        return (
            self.tenant_id in ("", record.tenant_id)
            and (not self.reasons or record.reason in self.reasons)
            and (self.since_ms is None or self.since_ms <= append_time_ms)
            and (self.until_ms is None or append_time_ms < self.until_ms)
        )


@dataclass(frozen=True)
class Replays:
    """Which refused records were sent again, and as what."""

    copies: Mapping[Position, Position] = field(default_factory=dict)

    @cached_property
    def originals(self) -> dict[Position, Position]:
        """Of which record each copy is one."""
        return {copy: refused for refused, copy in self.copies.items()}


class Plan(NamedTuple):
    """What becomes of the records that were selected for a replay; each is in one of the lists."""

    sent: list[RejectedRecord]
    sent_before: list[RejectedRecord]
    refused_again: list[RejectedRecord]
    cut: list[RejectedRecord]


def read_rejected(
    settings: Settings,
    *,
    tenant_id: str | None = None,
    reason: str | None = None,
    progress: Progress | None = None,
) -> list[RejectedRecord]:
    """Every refused record now on the topic, oldest first, each once however often the job wrote it.

    Args:
        tenant_id, reason: Only those.

    Raises:
        BrokerError, RegistryError: One of them does not answer.
    """
    registry = Registry(settings)
    found: dict[Position, RejectedRecord] = {}
    for message in Broker(settings).read_to_end([REJECTED_TOPIC], progress):
        record = decode_rejected(message.value(), registry.writer_schema)
        if tenant_id in (None, record.tenant_id) and reason in (None, record.reason):
            found.setdefault(Position.of(record), record)
    return sorted(found.values(), key=lambda record: (record.append_time or 0, record.offset or 0))


def read_replays(settings: Settings) -> Replays:
    """What was sent again so far.

    Raises:
        BrokerError: It does not answer.
    """
    broker = Broker(settings)
    copies: dict[Position, Position] = {}
    if REPLAYS_TOPIC in broker.topics():
        for message in broker.read_to_end([REPLAYS_TOPIC]):
            note = json.loads(message.value() or b"{}")
            copies[Position.parse(note["refused"])] = Position.parse(note["copy"])
    return Replays(copies)


def plan_replay(records: Iterable[RejectedRecord], replays: Replays, *, again: bool = False) -> Plan:
    """What to send of the records, and why the others not.

    Args:
        again: Send copies that were refused in their turn as well, once more.
    """
    plan = Plan([], [], [], [])
    originals = replays.originals
    for record in records:
        position = Position.of(record)
        if position in replays.copies:
            plan.sent_before.append(record)
        elif position in originals and not again:
            plan.refused_again.append(record)
        elif is_cut(record):
            plan.cut.append(record)
        else:
            plan.sent.append(record)
    return plan


def is_cut(record: RejectedRecord) -> bool:
    """Whether only the beginning of the record's bytes was kept."""
    kept = CUT.search(record.detail or "")
    return kept is not None and int(kept.group(1)) == len(record.record_value or b"")


def replay(settings: Settings, records: Sequence[RejectedRecord], progress: Progress | None = None) -> None:
    """Sends the records again, key and bytes as they were, each with a header that says what it is a copy of.

    If it is stopped on the way, at most ``SENT_AT_A_TIME`` copies are in the log without being known as
    copies; a second copy of one that counts is a duplicate.

    Raises:
        BrokerError: The broker did not take all of them.
    """
    create_all(settings)
    for begin in range(0, len(records), SENT_AT_A_TIME):
        part = records[begin : begin + SENT_AT_A_TIME]
        copies: dict[Position, Position] = {}
        try:
            with Delivery(settings) as delivery:
                for record in part:
                    _send(delivery, record, copies)
        finally:
            _note(settings, copies)
        delivery.raise_for_failures()
        if progress is not None:
            progress(begin + len(part), len(records))


def note_of(refused: Position, copy: Position) -> bytes:
    """What the topic of replays says of one copy."""
    return json.dumps({"refused": str(refused), "copy": str(copy)}).encode()


def _note(settings: Settings, copies: Mapping[Position, Position]) -> None:
    with Delivery(settings) as notes:
        for refused, copy in copies.items():
            notes.send(REPLAYS_TOPIC, str(refused).encode(), note_of(refused, copy))
    notes.raise_for_failures()


def _send(delivery: Delivery, record: RejectedRecord, copies: dict[Position, Position]) -> None:
    """Queues a copy, whose position is in ``copies`` once it is delivered."""
    refused = Position.of(record)

    def delivered(partition: int, offset: int) -> None:
        copies[refused] = Position(refused.topic, partition, offset)

    delivery.send(
        refused.topic,
        record.record_key,
        record.record_value,
        headers={REPLAY_HEADER: str(refused).encode()},
        on_delivered=delivered,
    )
