"""One run of one contender over the records that are in the broker."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from config.settings import Settings
from infra.bench.contenders import Contender
from infra.bench.flink import (
    Checkpoint,
    JobError,
    Watched,
    flight_recorded,
    refresh_taskmanager,
    submit,
)
from infra.bench.progress import Look, Measured, steady

LOOK_EVERY_S = 0.2
ENOUGH_SHARE = 0.98
"""Of all records: then a run is over, before some task has nothing left to do."""
LEAST_PREFIX = 350_000
"""Records a slow contender reads, however long it takes: three fifths of them are measured."""
STANDSTILL_S = 60.0


class Run(NamedTuple):
    """What one run showed; checkpoints are those that were completed meanwhile."""

    measured: Measured
    checkpoints: list[Checkpoint]

    @property
    def checkpoint_s(self) -> float | None:
        """How long a checkpoint took."""
        return median(each.seconds for each in self.checkpoints) if self.checkpoints else None

    @property
    def state_bytes(self) -> int | None:
        """Of the newest checkpoint."""
        return self.checkpoints[-1].state_bytes if self.checkpoints else None


def run(settings: Settings, contender: Contender, records: int, **options: Any) -> Run:
    """As ``run_once``, in a JVM in which nothing has run before.

    Raises:
        JobError, ClusterError, NoProgressError: It failed, stood still, or was not seen working.
    """
    refresh_taskmanager(settings)
    return run_once(settings, contender, records, **options)


def run_once(
    settings: Settings,
    contender: Contender,
    records: int,
    *,
    since: float | None = None,
    recording: Path | None = None,
    at_end: Callable[[Watched], None] = lambda job: None,
) -> Run:
    """Let a contender work until it has read nearly all, or its time is over.

    Args:
        records: How many there are.
        since: Measured from so many records on; by default from two fifths of what it read.
        recording: Where to write what Flight Recorder saw; it costs some percent.
        at_end: Called before the job is cancelled.

    Raises:
        JobError, ClusterError, NoProgressError: It failed, stood still, or was not seen working.
    """
    job = submit(settings, contender.module, contender.settings, *contender.arguments)
    try:
        with flight_recorded(settings, recording) if recording else nullcontext():
            looks = watch(job, records, longest_s=contender.longest_s)
        at_end(job)
        checkpoints = job.checkpoints()
    finally:
        job.cancel()
    return Run(steady(looks, since=since), checkpoints)


def watch(job: Watched, records: int, *, longest_s: float) -> list[Look]:
    """Looks at a job, from its start until it has read nearly so many records, or its time is over and the
    prefix read.

    Raises:
        JobError, ClusterError: It failed, or read nothing for a minute.
    """
    looks = [job.look()]
    job.await_reading()
    began = time.monotonic()
    prefix = min(LEAST_PREFIX, ENOUGH_SHARE * records)
    while looks[-1].records < ENOUGH_SHARE * records:
        if time.monotonic() - began > longest_s and looks[-1].records >= prefix:
            break
        if time.monotonic() - looks[-1].at_s > STANDSTILL_S:
            job.check()
            raise JobError(f"job {job.id} has read nothing for {STANDSTILL_S:.0f} s")
        time.sleep(LOOK_EVERY_S)
        look = job.look()
        # Flink's numbers change once a second or less; a look that shows nothing new says nothing.
        if look.records > looks[-1].records:
            looks.append(look)
    job.check()
    return looks
