"""The ledger against Kafka: is every record of the tenants' topics accounted for, once?

Two sums must agree for each topic: the offsets Kafka gave out are the records the ledger received, and
these are the sum of what became of them. Nothing is read but offsets and the view ``ledger``.

* End offsets are read before and after the ledger. A topic where they are the same is compared as a
  whole; one where records keep coming, up to the last minute that was over when the reading began.
* Where the log no longer begins at offset 0, the comparison begins with its first whole minute.
* Minutes are told apart by the broker's index of append times, which assumes that these grow along each
  partition, as ``LogAppendTime`` does.
* Every offset is taken for a record. The end of a transaction takes an offset without being one, and
  compaction takes records away: the tenants' topics have neither.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

from config.settings import Settings
from infra.broker import Broker, Place
from infra.views import ledger_in_view
from jobs.wiring.kafka import HEARTBEAT_TOPIC
from udfs.attribution.reference import MINUTE_MS, LedgerEntry, Reason

FRESH_MS = 10_000
"""Records younger than this may be on their way: a minute is compared once it has been over for so long."""

LOOKS = 120
"""About so many moments of a topic's log are looked up: every minute of a log of up to two hours. Of a
longer one minutes are looked up only within stretches that differ."""

STRETCHES = 20
"""So many stretches that differ are told minute by minute, the others as they are."""

REASONS = tuple(reason.value for reason in Reason if reason is not Reason.DUPLICATE)
"""Why a record is rejected, as columns of the ledger; duplicates are counted apart."""


class Residue(NamedTuple):
    """A stretch of append time in which records are missing or too many; one minute where it can be told.

    ``accounted_for`` is the sum of all that became of records.
    """

    begin_ms: int
    end_ms: int
    in_kafka: int
    received: int
    accounted_for: int


@dataclass(frozen=True, slots=True)
class Balance:
    """One topic: what Kafka has and what the ledger says of it.

    ``since_ms``: older minutes are not compared, for they are gone from the log. ``until_ms``: neither are
    those from then on, for records keep coming.
    """

    tenant_id: str
    topic: str
    in_kafka: int
    ledger: LedgerEntry
    residues: tuple[Residue, ...]
    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def accounted_for(self) -> int:
        return accounted_for(self.ledger)

    @property
    def is_even(self) -> bool:
        return not self.residues and self.in_kafka == self.ledger.received == self.accounted_for


def accounted_for(entry: LedgerEntry) -> int:
    """How many of the received records have become something; ``late`` is only a note on the counted ones."""
    return sum(entry) - entry.received - entry.late


def rejected(entry: LedgerEntry) -> int:
    """How many records were rejected, whatever for."""
    return sum(getattr(entry, reason) for reason in REASONS)


def reconcile(settings: Settings, tenant_id: str = "") -> list[Balance]:
    """Compares every topic of a tenant, or of all; what is on its way through the jobs is a residue.

    Raises:
        BrokerError, DatabaseError: One of them does not answer.
    """
    broker = Broker(settings)
    owners = {
        topic.topic: topic.tenant_id for topic in broker.tenant_topics() if tenant_id in ("", topic.tenant_id)
    }
    topics = list(owners)
    begins, before = broker.begin_offsets(topics), broker.end_offsets(topics)
    reached_ms = broker.newest_time([*topics, HEARTBEAT_TOPIC])
    ledger = ledger_in_view(settings, tenant_id)
    after = broker.end_offsets(topics)
    entries: defaultdict[str, dict[int, LedgerEntry]] = defaultdict(dict)
    for key, entry in sorted(ledger.items()):
        owners.setdefault(key.topic, key.tenant_id)  # of a topic that is gone, too
        entries[key.topic][key.minute_ms] = entry
    balances = []
    for topic, owner in sorted(owners.items()):
        log = _Log(broker, topic, _of(topic, begins), _of(topic, before))
        until_ms = None if _of(topic, after) == log.ends else _floor(reached_ms - FRESH_MS)
        balances.append(_balance(owner, log, entries[topic], log.since_ms(reached_ms), until_ms))
    return balances


@dataclass(frozen=True)
class _Log:
    """One topic's partitions, from their first offsets to the ends that are compared; none, if it is gone."""

    broker: Broker
    topic: str
    begins: Mapping[Place, int]
    ends: Mapping[Place, int]

    def offsets_before(self, times_ms: Sequence[int]) -> list[int]:
        """For each moment, the sum of all partitions' offsets before it."""
        if not self.ends:
            return [0] * len(times_ms)
        return [
            sum(min(end, found[place].offset) if place in found else end for place, end in self.ends.items())
            for found in self.broker.first_at([self.topic], times_ms)
        ]

    def since_ms(self, reached_ms: int) -> int | None:
        """The first minute whose records are all there; None where no record of any minute is gone.

        Retention takes only records that are older than it: of a partition that it emptied, none is
        missing that is younger.
        """
        cut = [place for place, begin in self.begins.items() if begin > 0]
        if not cut:
            return None
        (first,) = self.broker.first_at([self.topic], [0])
        kept_since_ms = reached_ms - self.broker.retention_ms(self.topic)
        return (
            _floor(max(first[place].time_ms if place in first else kept_since_ms for place in cut))
            + MINUTE_MS
        )

    def minutes(self) -> Iterator[int]:
        """The first and the last minute that has records."""
        if sum(self.ends.values()) > sum(self.begins.values()):
            (first,) = self.broker.first_at([self.topic], [0])
            yield _floor(min(found.time_ms for found in first.values()))
            yield _floor(self.broker.newest_time([self.topic]))


def _balance(
    tenant_id: str, log: _Log, entries: Mapping[int, LedgerEntry], since_ms: int | None, until_ms: int | None
) -> Balance:
    entries = {
        minute_ms: entry
        for minute_ms, entry in entries.items()
        if (since_ms is None or since_ms <= minute_ms) and (until_ms is None or minute_ms < until_ms)
    }
    minutes = [*log.minutes(), *entries]
    begin_ms = since_ms if since_ms is not None else min(minutes, default=0)
    end_ms = until_ms if until_ms is not None else max(minutes, default=0) + MINUTE_MS
    first = sum(log.begins.values()) if since_ms is None else log.offsets_before([since_ms])[0]
    last = sum(log.ends.values()) if until_ms is None else log.offsets_before([until_ms])[0]
    whole = _Stretch(begin_ms, max(begin_ms, end_ms), first, max(first, last))
    return Balance(
        tenant_id,
        log.topic,
        whole.last - whole.first,
        sum(entries.values(), LedgerEntry()),
        tuple(_residues(log, _Sums(entries), whole)),
        since_ms,
        until_ms,
    )


class _Stretch(NamedTuple):
    """A stretch of append time, and the sums of offsets before its two ends."""

    begin_ms: int
    end_ms: int
    first: int
    last: int


class _Sums:
    """Sums over the minutes of a ledger, for any stretch of them."""

    def __init__(self, entries: Mapping[int, LedgerEntry]) -> None:
        self._minutes = sorted(entries)
        of_minute = [entries[minute_ms] for minute_ms in self._minutes]
        self._received = [0, *accumulate(entry.received for entry in of_minute)]
        self._accounted_for = [0, *accumulate(accounted_for(entry) for entry in of_minute)]
        self._uneven = [0, *accumulate(entry.received != accounted_for(entry) for entry in of_minute)]

    def residue(self, stretch: _Stretch) -> Residue | None:
        """What is wrong in a stretch, if anything is."""
        begin = bisect_left(self._minutes, stretch.begin_ms)
        end = bisect_left(self._minutes, stretch.end_ms)
        in_kafka = stretch.last - stretch.first
        received = self._received[end] - self._received[begin]
        if in_kafka == received and self._uneven[end] == self._uneven[begin]:
            return None
        accounted_for = self._accounted_for[end] - self._accounted_for[begin]
        return Residue(stretch.begin_ms, stretch.end_ms, in_kafka, received, accounted_for)


def _residues(log: _Log, sums: _Sums, whole: _Stretch) -> Iterator[Residue]:
    """Where something is wrong: in stretches of minutes first, then minute by minute within these."""
    step_ms = max(1, (whole.end_ms - whole.begin_ms) // MINUTE_MS // LOOKS) * MINUTE_MS
    looked_into = 0
    for stretch in _cut(log, whole, step_ms):
        residue = sums.residue(stretch)
        if residue is None:
            continue
        if step_ms > MINUTE_MS and looked_into < STRETCHES:
            looked_into += 1
            yield from filter(None, map(sums.residue, _cut(log, stretch, MINUTE_MS)))
        else:
            yield residue


def _cut(log: _Log, stretch: _Stretch, step_ms: int) -> list[_Stretch]:
    """The stretch in pieces of so many milliseconds."""
    edges = range(stretch.begin_ms + step_ms, stretch.end_ms, step_ms)
    offsets = [stretch.first, *log.offsets_before(edges), stretch.last]
    times_ms = [stretch.begin_ms, *edges, stretch.end_ms]
    return [
        _Stretch(begin_ms, end_ms, first, last)
        for (begin_ms, end_ms), (first, last) in zip(pairwise(times_ms), pairwise(offsets), strict=True)
    ]


def _of(topic: str, offsets: Mapping[Place, int]) -> dict[Place, int]:
    return {place: offset for place, offset in offsets.items() if place.topic == topic}


def _floor(time_ms: int) -> int:
    return time_ms - time_ms % MINUTE_MS
