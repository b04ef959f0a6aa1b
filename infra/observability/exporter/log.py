"""What Kafka tells: how much each tenant sends, and whether the heartbeat beats."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from config.settings import Settings
from infra.broker import Broker
from infra.observability.exporter.sample import Sample, by_tenant
from jobs.wiring.kafka import HEARTBEAT_TOPIC
from schemas.events import EventKind


class Log:
    """The tenants' topics and the heartbeat's.

    Raises:
        BrokerError: From ``look``: Kafka does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._broker = Broker(settings)

    def look(self) -> Iterator[Sample]:
        """Records ever appended, by tenant and kind, and the age of the newest heartbeat if there is one."""
        topics = self._broker.tenant_topics()
        lengths = Counter[str]()
        for place, end in self._broker.end_offsets([topic.topic for topic in topics]).items():
            lengths[place.topic] += end
        for kind in EventKind:
            appended = {topic.tenant_id: lengths[topic.topic] for topic in topics if topic.kind is kind}
            yield from by_tenant("livelift_log_records_total", appended, sum, kind.value)
        newest_ms = self._broker.newest_time([HEARTBEAT_TOPIC])
        if newest_ms:
            yield Sample("livelift_heartbeat_age_seconds", (), time.time() - newest_ms / 1000)
