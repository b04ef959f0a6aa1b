"""How long records wait until the ledger has them: the log's length against what was received of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from config.settings import Settings
from infra.broker import Broker
from infra.clickhouse import connect, one_line_errors
from infra.observability.exporter.backlog import Backlog
from infra.observability.exporter.sample import Sample, by_tenant

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

MINUTE_S = 60
WINDOW_S = 6 * 3600
"""Minutes of this age at least are compared, so that an answer costs the same however long the log is."""

RECEIVED = """
SELECT topic, sum(received), toUnixTimestamp64Milli(max(as_of)) FROM ledger
WHERE minute >= fromUnixTimestamp({since:UInt32})
GROUP BY topic
"""


class Delays:
    """The delay of each tenant: that of the topic whose oldest uncounted record has waited longest.

    Every offset is taken for a record, as in ``reconcile``.

    Raises:
        BrokerError, DatabaseError: From ``look``: Kafka or ClickHouse does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._broker = Broker(settings)
        self._begin(0.0)

    def look(self) -> Iterator[Sample]:
        """A series for each tenant that has topics."""
        now_s = time.time()
        if now_s > self._since_s + 2 * WINDOW_S:
            self._begin(now_s - WINDOW_S)
        topics = self._broker.tenant_topics()
        self._remember_bases([topic.topic for topic in topics if topic.topic not in self._bases])
        lengths = self._lengths([topic.topic for topic in topics])
        at_s = time.time()
        received = self._received()
        delays = dict[str, float]()
        for topic in topics:
            counted, newest_ms = received.get(topic.topic, (0, self._since_s * 1000 - 1))
            if topic.topic not in self._backlogs:
                waiting_since_s = self._first_after(topic.topic, newest_ms)
                self._backlogs[topic.topic] = Backlog(counted, at_s, waiting_since_s)
            backlog = self._backlogs[topic.topic]
            backlog.grown(at_s, lengths[topic.topic] - self._bases[topic.topic])
            delay_s = backlog.delay_s(at_s, counted)
            delays[topic.tenant_id] = max(delay_s, delays.get(topic.tenant_id, 0.0))
        yield from by_tenant("livelift_count_delay_seconds", delays, max)

    @cached_property
    def _client(self) -> Client:
        return connect(self._settings)

    def _begin(self, since_s: float) -> None:
        """Compare only minutes from then on."""
        self._since_s = int(since_s) // MINUTE_S * MINUTE_S
        self._bases = dict[str, int]()
        self._backlogs = dict[str, Backlog]()

    def _remember_bases(self, topics: Sequence[str]) -> None:
        """How long each topic was when the first minute that is compared began."""
        if not topics:
            return
        ends = self._broker.end_offsets(topics)
        (first,) = self._broker.first_at(topics, [self._since_s * 1000])
        self._bases |= dict.fromkeys(topics, 0)
        for place, end in ends.items():
            self._bases[place.topic] += first[place].offset if place in first else end

    def _first_after(self, topic: str, newest_ms: int) -> float | None:
        """When the first record came that is newer; None, if there is none."""
        (first,) = self._broker.first_at([topic], [newest_ms + 1])
        return min((found.time_ms / 1000 for found in first.values()), default=None)

    def _lengths(self, topics: Sequence[str]) -> Counter[str]:
        lengths = Counter[str]()
        for place, end in self._broker.end_offsets(topics).items():
            lengths[place.topic] += end
        return lengths

    def _received(self) -> dict[str, tuple[int, int]]:
        """By topic: how many records, and when the newest was appended, in epoch ms."""
        with one_line_errors(self._settings):
            rows = self._client.query(RECEIVED, parameters={"since": self._since_s}).result_rows
        return {topic: (count, newest_ms) for topic, count, newest_ms in rows}
