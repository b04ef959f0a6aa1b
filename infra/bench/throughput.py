"""The contenders in turn over the same records, and what their runs say together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from config.settings import Settings
from infra.bench.contenders import Contender
from infra.bench.running import Run, run

Runs = Mapping[str, Sequence[Run]]
"""By contender, in the order in which they were made."""


class Aim(NamedTuple):
    """One contender is to be at least so many times as fast as another."""

    name: str
    other: str
    least: float


AIMS = (
    Aim("livelift_hashmap", "read_limit", 0.40),
    Aim("livelift_rocksdb", "read_limit", 0.20),
    Aim("livelift_hashmap", "flink_sql", 5.0),
    Aim("livelift_hashmap", "pyflink_datastream", 15.0),
)
"""What livelift must reach on a machine of two cores with the broker on them."""


def in_turn(
    settings: Settings,
    contenders: Sequence[Contender],
    records: int,
    rounds: int,
    on_run: Callable[[Contender, Run], None] = lambda contender, run: None,
) -> dict[str, list[Run]]:
    """Let the contenders run one after the other, and all of them again, so that a slow hour is everybody's.

    Raises:
        JobError, ClusterError, NoProgressError: As ``running.run``.
    """
    runs: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            found = run(settings, contender, records)
            runs[contender.name].append(found)
            on_run(contender, found)
    return runs


def events_per_s(runs: Runs) -> dict[str, float]:
    """The median of each contender."""
    return {name: median(run.measured.events_per_s for run in made) for name, made in runs.items() if made}


def cpu_us_per_event(runs: Runs) -> dict[str, float]:
    """The median of each contender: processor time of the TaskManager and its Python workers."""
    return {
        name: median(run.measured.cpu_us_per_event for run in made) for name, made in runs.items() if made
    }


def ratios(runs: Runs) -> dict[Aim, float]:
    """What became of the aims whose two contenders ran."""
    found = events_per_s(runs)
    return {
        aim: found[aim.name] / found[aim.other] for aim in AIMS if aim.name in found and aim.other in found
    }


def as_json(runs: Runs) -> list[dict[str, Any]]:
    """Every run, for machines."""
    return [
        {
            "contender": name,
            "events_per_s": round(run.measured.events_per_s),
            "cpu_us_per_event": round(run.measured.cpu_us_per_event, 3),
            "measured_events": round(run.measured.records),
            "measured_s": round(run.measured.seconds, 2),
            "checkpoints": len(run.checkpoints),
            "checkpoint_s": run.checkpoint_s,
            "state_bytes": run.state_bytes,
        }
        for name, made in runs.items()
        for run in made
    ]
