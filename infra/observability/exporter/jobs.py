"""What Flink tells of the jobs: whether they run, how old their checkpoints are, how far they are behind."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from config.settings import Settings
from infra.broker import Broker
from infra.cluster import Cluster
from infra.lanes import Activation, must_run
from infra.observability.exporter.sample import Sample
from infra.submission import SCORECARD
from jobs.wiring.kafka import COUNTS_TOPIC, HEARTBEAT_TOPIC, SCORECARD_GROUP, SLOTS_TOPIC


class Jobs:
    """The scorecard job and the lanes of the attribution job."""

    def __init__(self, settings: Settings) -> None:
        self._cluster = Cluster(settings)
        self._broker = Broker(settings)

    def look(self, activations: Sequence[Activation] | None) -> Iterator[Sample]:
        """Whether each job that must run does, and the age of each running job's newest checkpoint.

        Args:
            activations: What says which lanes must run; None while nobody knows.

        Raises:
            ClusterError: Flink does not answer.
        """
        jobs = self._cluster.jobs()
        wanted = [SCORECARD.name, *(lane.name for lane in must_run(activations or ()))]
        for name in wanted if activations is not None else jobs:
            is_running = name in jobs and jobs[name].state == "RUNNING"
            yield Sample("livelift_job_running", (name,), is_running)
        for name, job in jobs.items():
            if job.state == "INITIALIZING":  # nobody knows anything of it yet
                continue
            newest_ms = self._cluster.checkpoints(job).newest_at_ms
            if newest_ms is not None:
                yield Sample("livelift_checkpoint_age_seconds", (name,), time.time() - newest_ms / 1000)

    def lags(self, activations: Sequence[Activation] | None) -> Iterator[Sample]:
        """How many records of its topics no complete checkpoint of a job that must run has yet.

        Raises:
            BrokerError: Kafka does not answer.
        """
        tenants = self._broker.tenant_topics()
        for lane in must_run(activations) if activations is not None else ():
            mine = [topic.topic for topic in tenants if lane.tenant_id in ("", topic.tenant_id)]
            yield self._lag(lane.name, [*mine, HEARTBEAT_TOPIC])
        yield self._lag(SCORECARD_GROUP, [SLOTS_TOPIC, COUNTS_TOPIC])

    def _lag(self, group: str, topics: Sequence[str]) -> Sample:
        begins, ends = self._broker.begin_offsets(topics), self._broker.end_offsets(topics)
        committed = self._broker.committed_offsets(group, topics)
        lag = sum(max(0, end - committed.get(place, begins[place])) for place, end in ends.items())
        return Sample("livelift_lag_records", (group,), lag)
