"""Counting again from the log, beside the jobs that run, and then showing that instead: at once and whole.

A lane with the next epoch reads the topics from their beginning. Its rows have keys of their own, which
nobody is shown. When everything that was published is in them and their results are computed, one row in
table ``epochs`` switches readers, and the lanes nobody reads any more are cancelled.

What was begun and not shown (the time was up, the command was interrupted) goes on counting: the same command
waits for it again. If today's plan or rules are not those it was begun with, it is cancelled and begun anew.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.settings import GREATEST_EPOCH, Settings
from infra.broker import Broker
from infra.clickhouse import connect, one_line_errors
from infra.cluster import Cluster, ClusterError, Job
from infra.definitions import read_published
from infra.lanes import (
    Activation,
    activate,
    active_epoch,
    greatest_written,
    is_superseded,
    read_activations,
    running_lanes,
)
from infra.submission import (
    Launch,
    SubmissionError,
    alone,
    await_running,
    await_submitted,
    cancel,
    difference,
    submit,
)
from infra.waiting import Audience, NotThereError, Progress, wait_for
from jobs.attribution.lane import Lane
from jobs.attribution.takeover import must_match

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Say = Callable[[str], None]
"""Called with one line for each step."""

LOCK = "rebuild.lock"
LOOK_EVERY_SECONDS = 5.0


class RebuildError(Exception):
    """The rebuild was refused, or did not get to its end; one line that says what is shown now."""


@dataclass(frozen=True)
class Target:
    """What is counted again: an experiment, all of a tenant ('' as experiment), or everything ('' twice)."""

    tenant_id: str = ""
    experiment_id: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.tenant_id, self.experiment_id))) or "everyone"

    def lane(self, epoch: int) -> Lane:
        """The lane that counts it at an epoch.

        Raises:
            RebuildError: There are no more epochs.
        """
        if epoch > GREATEST_EPOCH:
            raise RebuildError(f"epoch {epoch} is more than a row's version can carry ({GREATEST_EPOCH})")
        return Lane(self.tenant_id, self.experiment_id, epoch)


def rebuild(
    settings: Settings,
    target: Target,
    *,
    timeout_seconds: float,
    say: Say,
    progress: Progress = lambda _: None,
    from_what_is_left: bool = False,
) -> Lane:
    """Counts the target again, shows that, and returns the lane that does it from now on.

    Args:
        timeout_seconds: For the counting; then the lane goes on, and what was shown stays.
        from_what_is_left: Also when records of its topics are deleted, which cannot be counted again.

    Raises:
        RebuildError: There is no such tenant or experiment, records are gone, another rebuild runs, or there
            is no room for the lane.
        NotThereError: The time was up; nothing has changed for readers.
        SubmissionError: The lane did not start, and is gone again.
        BrokerError, ClusterError, DatabaseError: One of them does not answer.
    """
    with _one_at_a_time(settings):
        _refuse_unknown(settings, target)
        if not from_what_is_left:
            _refuse_gaps(settings, target)
        client, cluster = connect(settings), Cluster(settings)
        with alone(settings), one_line_errors(settings):
            lane = _begun(settings, target, client, cluster, say)
        say(f"{lane.name}: counting {target} from the beginning of its topics")
        try:
            wait_for(settings, Audience.after(lane), timeout_seconds, _Watching(cluster, lane, progress))
        except NotThereError as error:
            raise NotThereError(
                f"{error}. {lane.name} goes on counting, not shown to anybody: the same command waits for it"
            ) from error
        with alone(settings), one_line_errors(settings):
            activate(client, lane)
            say(f"{lane.name}: readers see epoch {lane.epoch} of {target}")
            _cancel_superseded(client, cluster, say)
    return lane


class _Watching:
    """Progress that notices when the lane is gone: nobody brings it back when the JobManager has died."""

    def __init__(self, cluster: Cluster, lane: Lane, progress: Progress) -> None:
        self._cluster = cluster
        self._lane = lane
        self._progress = progress
        self._looked_at = time.monotonic()

    def __call__(self, missing: str) -> None:
        self._progress(missing)
        if time.monotonic() < self._looked_at + LOOK_EVERY_SECONDS:
            return
        self._looked_at = time.monotonic()
        with suppress(ClusterError):
            if self._lane.name not in self._cluster.jobs():
                raise RebuildError(
                    f"{self._lane.name} is gone (was Flink started anew?). "
                    "Nothing has changed for readers; say it again"
                )


def next_epoch(
    activations: list[Activation], running: Mapping[Lane, Job], written: int | None, settings: Settings
) -> int:
    """One more than every epoch that was ever used, by a row or by a job."""
    known = [
        settings.attribution.epoch,
        *(each.epoch for each in activations),
        *(lane.epoch for lane in running),
    ]
    return 1 + max(known if written is None else [*known, written])


def unfinished(target: Target, activations: list[Activation], running: Mapping[Lane, Job]) -> Lane | None:
    """The lane that was begun for the same target and is not shown yet."""
    active = active_epoch(activations, target.tenant_id, target.experiment_id)
    begun = [
        lane
        for lane in running
        if (lane.tenant_id, lane.experiment_id) == (target.tenant_id, target.experiment_id)
        and lane.epoch > active
    ]
    return max(begun, default=None)


def _begun(settings: Settings, target: Target, client: Client, cluster: Cluster, say: Say) -> Lane:
    activations, running = read_activations(client), running_lanes(cluster)
    earlier = unfinished(target, activations, running)
    if earlier is not None:
        changed = difference(cluster.parameters(running[earlier]), must_match(settings))
        if not changed:
            say(f"{earlier.name}: was begun before, going on with it")
            return earlier
        say(f"{earlier.name}: was begun before and is cancelled: {changed}")
        cancel(cluster, earlier.name)
    lane = target.lane(next_epoch(activations, running, greatest_written(client), settings))
    _refuse_crowd(settings, cluster, lane)
    launch = Launch.of_lane(lane)
    say(f"{lane.name}: submitting")
    try:
        await_submitted(settings, launch, submit(settings, launch, None))
        await_running(settings, launch)
    except SubmissionError:
        cancel(cluster, lane.name)
        raise
    return lane


def _refuse_unknown(settings: Settings, target: Target) -> None:
    """Name a tenant or an experiment nobody has heard of; without a tenant there is nothing to name."""
    if not target.tenant_id:
        return
    tenants = sorted({topic.tenant_id for topic in Broker(settings).tenant_topics()})
    if target.tenant_id not in tenants:
        raise RebuildError(
            f"there is no tenant {target.tenant_id}; there are: {', '.join(tenants) or 'none'}"
        )
    experiments = sorted(
        {key.experiment_id for key in read_published(settings) if key.tenant_id == target.tenant_id}
    )
    if target.experiment_id and target.experiment_id not in experiments:
        raise RebuildError(
            f"tenant {target.tenant_id} has no experiment {target.experiment_id}; "
            f"it has: {', '.join(experiments) or 'none'}"
        )


def _refuse_gaps(settings: Settings, target: Target) -> None:
    broker = Broker(settings)
    topics = [topic.topic for topic in broker.tenant_topics() if target.tenant_id in ("", topic.tenant_id)]
    gone = {place: begin for place, begin in broker.begin_offsets(topics).items() if begin > 0}
    if gone:
        first = min(gone)
        raise RebuildError(
            f"{sum(gone.values()):,} records are deleted, for one in partition {first.partition} of "
            f"{first.topic}: what they counted would be lost. With --from-what-is-left it is"
        )


def _refuse_crowd(settings: Settings, cluster: Cluster, lane: Lane) -> None:
    """A lane without slots would wait for them and show nothing; elsewhere than here Flink may get more."""
    free, needed = cluster.free_slots(), settings.flink.parallelism
    if settings.local is not None and free < needed:
        raise RebuildError(
            f"no room for {lane.name}: it needs {needed} task slots and {free} are free; "
            "raise local.taskmanager_slots, then livelift down and up"
        )


def _cancel_superseded(client: Client, cluster: Cluster, say: Say) -> None:
    activations = read_activations(client)
    for lane in sorted(running_lanes(cluster)):
        if is_superseded(lane, activations):
            say(f"{lane.name}: cancelling, nobody is shown its rows")
            cancel(cluster, lane.name)


@contextmanager
def _one_at_a_time(settings: Settings) -> Iterator[None]:
    """Two rebuilds would take the same epoch.

    Raises:
        RebuildError: One runs.
    """
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    with (settings.run_dir / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RebuildError("another rebuild runs; they go one after the other") from error
        yield
