"""Waiting until everything published before a moment is in the views.

Four steps, each from ends that are read when the step begins, so that events that keep coming do not
keep it waiting:

1. units that waited for a definition have looked for it again since the newest one was published (the
   engine lets them look every ten seconds at least, for definitions less than six hours late);
2. the attribution job has committed past the ends of the tenants' topics and of the heartbeat (it commits
   at checkpoints, by when all it computed up to there is in the slots topic);
3. the scorecard job has written the slots topic up to its ends into ``slot_rows``;
4. every experiment's results were computed from at least the slot updates then in ``slot_rows``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from config.settings import Settings
from infra.broker import Broker
from infra.clickhouse import connect, one_line_errors
from infra.definitions import read_published
from infra.heartbeat import EVERY_SECONDS
from jobs.wiring.kafka import ATTRIBUTION_GROUP, HEARTBEAT_TOPIC, SLOTS_TOPIC

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

LOOK_EVERY_SECONDS = 0.2
LONGEST_LOOK_AGAIN_SECONDS = 10.0
"""Between two looks of a unit for its definition (``WaitingRecords.java``)."""

Behind = Callable[[], str]
"""What is still missing, in words; empty when nothing is."""


class NotThereError(Exception):
    """The time was up; the message says what was waited for."""


class ExperimentKey(NamedTuple):
    """An experiment of a tenant."""

    tenant_id: str
    experiment_id: str


def wait(
    settings: Settings, timeout_seconds: float, progress: Callable[[str], None] = lambda _: None
) -> None:
    """Returns when all that was published before the call is in the views.

    Args:
        progress: Called with what is still missing, several times a second.

    Raises:
        NotThereError: It was not, within the time.
        BrokerError, DatabaseError: One of them does not answer.
    """
    deadline = time.monotonic() + timeout_seconds
    broker = Broker(settings)
    client = connect(settings)
    steps: tuple[Callable[[], Behind], ...] = (
        lambda: _definitions(settings),
        lambda: _attribution(broker),
        lambda: _slots(broker, client),
        lambda: _results(client),
    )
    for begin in steps:
        with one_line_errors(settings):
            behind = begin()
            while missing := behind():
                progress(missing)
                if time.monotonic() > deadline:
                    raise NotThereError(f"not there after {timeout_seconds:g} s: {missing}")
                time.sleep(LOOK_EVERY_SECONDS)


def _definitions(settings: Settings) -> Behind:
    """Step 1. A heartbeat after the look makes sure that it has taken place before the commit of step 2."""
    newest_ms = max((published.append_time_ms for published in read_published(settings).values()), default=0)
    looked_at = newest_ms / 1000 + LONGEST_LOOK_AGAIN_SECONDS + 2 * EVERY_SECONDS

    def behind() -> str:
        left = looked_at - time.time()
        return f"units may wait {left:.0f} s more for the newest definition" if left > 0 else ""

    return behind


def _attribution(broker: Broker) -> Behind:
    """Step 2. A partition without records needs no commit."""
    topics = [*(topic.topic for topic in broker.tenant_topics()), HEARTBEAT_TOPIC]
    ends = broker.end_offsets(topics)

    def behind() -> str:
        committed = broker.committed_offsets(ATTRIBUTION_GROUP, topics)
        missing = sum(max(0, end - committed.get(place, 0)) for place, end in ends.items())
        return f"{missing:,} records are not in a checkpoint of the attribution job yet" if missing else ""

    return behind


def _slots(broker: Broker, client: Client) -> Behind:
    """Step 3."""
    ends = {place.partition: end for place, end in broker.end_offsets([SLOTS_TOPIC]).items()}

    def behind() -> str:
        query = "SELECT source_partition, max(source_offset) FROM slot_rows GROUP BY source_partition"
        written = {row[0]: row[1] for row in client.query(query).result_rows}
        missing = sum(max(0, end - 1 - written.get(partition, -1)) for partition, end in ends.items())
        return f"{missing:,} slot updates are not in ClickHouse yet" if missing else ""

    return behind


def _results(client: Client) -> Behind:
    """Step 4. After a restart a sum of updates may be smaller than it was: the newest sum will do too."""
    wanted = _updates(client)

    def behind() -> str:
        now = _updates(client)
        computed = {ExperimentKey(*row[:2]): row[2] for row in client.query(COMPUTED).result_rows}
        missing = [
            f"{key.tenant_id}/{key.experiment_id}"
            for key, updates in wanted.items()
            if computed.get(key, -1) < min(updates, now.get(key, 0))
        ]
        return f"results are not computed yet: {', '.join(missing)}" if missing else ""

    return behind


COMPUTED = """
SELECT tenant_id, experiment_id, min(newest)
FROM (
    SELECT tenant_id, experiment_id, max(slot_updates) AS newest FROM results GROUP BY ALL
    UNION ALL
    SELECT tenant_id, experiment_id, max(slot_updates) AS newest FROM sample_ratio GROUP BY ALL
)
GROUP BY tenant_id, experiment_id
HAVING count() = 2
"""
"""Up to which sum of updates both the results and the sample ratio of each experiment are computed."""


def _updates(client: Client) -> dict[ExperimentKey, int]:
    query = (
        "SELECT tenant_id, experiment_id, sum(updates) FROM slot_rows FINAL WHERE kind = 'slot' GROUP BY ALL"
    )
    return {ExperimentKey(*row[:2]): row[2] for row in client.query(query).result_rows}
