"""Waiting until everything published before a moment is in the views.

Four steps, each from ends that are read when the step begins, so that events that keep coming do not
keep it waiting:

1. time has come, in every lane, past every record and to where units that waited for a definition have
   looked for it again since the newest one was published (the engine lets them look every ten seconds at
   least, for definitions less than six hours late); and everything counted up to there is told, also slots
   that were held back (``SumsOperator.java``);
2. every lane has committed past the ends of the topics it is read for, and past a heartbeat that was sent
   after step 1 (it commits at checkpoints, by when all it told up to there is in its topics);
3. the scorecard job has written the slots and the counts topic up to their ends into ClickHouse;
4. every experiment's results, in every view, were computed from at least the slot updates then in
   ``slot_rows``.

Whose work is waited for is an ``Audience``: the lanes readers see now, or one that is to be shown next.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from config.settings import Settings
from infra.broker import Broker, Place
from infra.clickhouse import connect, one_line_errors
from infra.cluster import Cluster, ClusterError
from infra.definitions import read_published
from infra.lanes import Activation, active_epoch, must_run, read_activations, serves
from jobs.attribution.lane import Lane
from jobs.wiring.kafka import COUNTS_TOPIC, HEARTBEAT_TOPIC, SLOTS_TOPIC
from udfs.attribution.reference import EFFECT_MS

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

LOOK_EVERY_SECONDS = 0.2
LONGEST_LOOK_AGAIN_SECONDS = 10.0
"""Between two looks of a unit for its definition (``WaitingRecords.java``)."""

Behind = Callable[[], str]
"""What is still missing, in words; empty when nothing is."""

Progress = Callable[[str], None]
"""Called with what is still missing, several times a second."""


class NotThereError(Exception):
    """The time was up; the message says what was waited for."""


class ExperimentKey(NamedTuple):
    """An experiment of a tenant."""

    tenant_id: str
    experiment_id: str


@dataclass(frozen=True)
class Audience:
    """Readers who see certain lanes, and of each experiment a certain epoch."""

    lanes: Sequence[Lane]
    is_read: Callable[[Lane, str], bool]
    """Whether they read of this lane what it counts for a tenant."""
    epoch: Callable[[str, str], int | None]
    """What they see of a tenant's experiment; None for what they do not look at."""

    @classmethod
    def today(cls, activations: Sequence[Activation]) -> Audience:
        """Readers of the views, as they are now."""
        return cls(
            must_run(activations),
            lambda lane, tenant_id: serves(lane, activations, tenant_id),
            lambda tenant_id, experiment_id: active_epoch(activations, tenant_id, experiment_id),
        )

    @classmethod
    def after(cls, lane: Lane) -> Audience:
        """Those who will see this lane's rows, and look at nothing else."""

        def epoch(tenant_id: str, experiment_id: str) -> int | None:
            is_its = lane.tenant_id in ("", tenant_id) and lane.experiment_id in ("", experiment_id)
            return lane.epoch if is_its else None

        return cls([lane], lambda _, tenant_id: lane.tenant_id in ("", tenant_id), epoch)


def wait(settings: Settings, timeout_seconds: float, progress: Progress = lambda _: None) -> None:
    """Returns when all that was published before the call is in the views.

    Raises:
        NotThereError: It was not, within the time.
        BrokerError, DatabaseError: One of them does not answer.
    """
    with one_line_errors(settings):
        activations = read_activations(connect(settings))
    wait_for(settings, Audience.today(activations), timeout_seconds, progress)


def wait_for(
    settings: Settings, audience: Audience, timeout_seconds: float, progress: Progress = lambda _: None
) -> None:
    """Returns when all that was published before the call is there for these readers.

    Raises:
        NotThereError: It was not, within the time.
        BrokerError, DatabaseError: One of them does not answer.
    """
    deadline = time.monotonic() + timeout_seconds
    broker = Broker(settings)
    client = connect(settings)
    steps: tuple[Callable[[], Behind], ...] = (
        lambda: _told(settings, broker, audience),
        lambda: _attribution(broker, audience),
        lambda: _rows(broker, client),
        lambda: _results(client, audience),
    )
    for begin in steps:
        with one_line_errors(settings):
            behind = begin()
            while missing := behind():
                progress(missing)
                if time.monotonic() > deadline:
                    raise NotThereError(f"not there after {timeout_seconds:g} s: {missing}")
                time.sleep(LOOK_EVERY_SECONDS)


def _told(settings: Settings, broker: Broker, audience: Audience) -> Behind:
    """Step 1. No watermark of before reaches past the newest record; the next heartbeat's does."""
    topics = [topic.topic for topic in broker.tenant_topics()]
    appended_ms = broker.newest_time([*topics, HEARTBEAT_TOPIC]) + 1
    defined_ms = max((published.append_time_ms for published in read_published(settings).values()), default=0)
    # A unit's clock is behind by EFFECT_MS.
    look_ms = defined_ms + int(LONGEST_LOOK_AGAIN_SECONDS * 1000) + EFFECT_MS
    cluster = Cluster(settings)
    left = {lane.name for lane in audience.lanes} if defined_ms else set()

    def behind() -> str:
        early = look_ms / 1000 - time.time()
        if left and early > 0:
            return f"units may wait {early:.0f} s more for the newest definition"
        try:
            jobs = cluster.jobs() if left else {}
            for name in sorted(left & jobs.keys()):
                come_to = cluster.watermark(jobs[name])
                if come_to is not None and come_to >= max(appended_ms, look_ms):
                    left.remove(name)
        except ClusterError as error:
            return str(error)
        return f"not everything that was counted is told yet: {', '.join(sorted(left))}" if left else ""

    return behind


def _attribution(broker: Broker, audience: Audience) -> Behind:
    """Step 2. A partition without records needs no commit.

    What a timer did is covered by a commit behind a heartbeat that came after it: one that is not there yet.
    """
    tenants = broker.tenant_topics()
    topics = {
        lane: [topic.topic for topic in tenants if audience.is_read(lane, topic.tenant_id)]
        + [HEARTBEAT_TOPIC]
        for lane in audience.lanes
    }
    ends = broker.end_offsets([*(topic.topic for topic in tenants), HEARTBEAT_TOPIC])
    wanted = {place: end + (place.topic == HEARTBEAT_TOPIC and end > 0) for place, end in ends.items()}

    def behind() -> str:
        missing = sum(_uncommitted(broker, lane.name, topics[lane], wanted) for lane in audience.lanes)
        return f"{missing:,} records are not in a checkpoint of the attribution job yet" if missing else ""

    return behind


def _uncommitted(broker: Broker, group: str, topics: Sequence[str], wanted: Mapping[Place, int]) -> int:
    committed = broker.committed_offsets(group, topics)
    return sum(
        max(0, end - committed.get(place, 0)) for place, end in wanted.items() if place.topic in topics
    )


def _rows(broker: Broker, client: Client) -> Behind:
    """Step 3. What was deleted from a topic, for its age, was written long ago."""
    topics = [SLOTS_TOPIC, COUNTS_TOPIC]
    begins = broker.begin_offsets(topics)
    ends = {place: end for place, end in broker.end_offsets(topics).items() if end > begins[place]}

    def behind() -> str:
        written = {Place(*row[:2]): row[2] for row in client.query(WRITTEN).result_rows}
        missing = sum(max(0, end - 1 - written.get(place, -1)) for place, end in ends.items())
        return f"{missing:,} updates of slots and counts are not in ClickHouse yet" if missing else ""

    return behind


WRITTEN = f"""
SELECT '{SLOTS_TOPIC}', source_partition, max(source_offset) FROM slot_rows GROUP BY ALL
UNION ALL
SELECT '{COUNTS_TOPIC}', source_partition, max(source_offset)
FROM (
    SELECT source_partition, source_offset FROM ledger_rows
    UNION ALL
    SELECT source_partition, source_offset FROM activity_rows
)
GROUP BY ALL
"""
"""Topic, partition, and up to which offset its records are written. Counts go into two tables; a row's offset
says that everything before it is in both."""


def _results(client: Client, audience: Audience) -> Behind:
    """Step 4. After a restart a sum of updates may be smaller than it was: the newest sum will do too."""
    wanted = _by_experiment(client, UPDATES, audience)

    def behind() -> str:
        now = _by_experiment(client, UPDATES, audience)
        computed = _by_experiment(client, COMPUTED, audience)
        missing = [
            f"{key.tenant_id}/{key.experiment_id}"
            for key, updates in wanted.items()
            if any(map(operator.lt, computed.get(key, (-1, -1)), map(min, updates, now.get(key, (0, 0)))))
        ]
        return f"results are not computed yet: {', '.join(missing)}" if missing else ""

    return behind


UPDATES = """
SELECT tenant_id, experiment_id, epoch, sumIf(updates, kind = 'total'), sumIf(updates, kind = 'slot')
FROM slot_rows FINAL WHERE kind IN ('total', 'slot') GROUP BY ALL
"""

COMPUTED = """
SELECT tenant_id, experiment_id, epoch,
    minIf(newest, view IN ('', 'all')), minIf(newest, view NOT IN ('', 'all'))
FROM (
    SELECT tenant_id, experiment_id, epoch, view, max(slot_updates) AS newest
    FROM result_rows FINAL
    GROUP BY tenant_id, experiment_id, epoch, view
    UNION ALL
    SELECT tenant_id, experiment_id, epoch, '' AS view, max(slot_updates) AS newest
    FROM sample_ratio_rows FINAL
    GROUP BY tenant_id, experiment_id, epoch
)
GROUP BY tenant_id, experiment_id, epoch
HAVING count() = 5
"""
"""Up to which sum of updates an experiment is computed: the sample ratio and view ``all``, of totals, and the
three other views, of slots."""


def _by_experiment(client: Client, query: str, audience: Audience) -> dict[ExperimentKey, tuple[int, ...]]:
    """The numbers a query says of each experiment at the epoch its readers see."""
    return {
        ExperimentKey(tenant_id, experiment_id): tuple(numbers)
        for tenant_id, experiment_id, epoch, *numbers in client.query(query).result_rows
        if epoch == audience.epoch(tenant_id, experiment_id)
    }
