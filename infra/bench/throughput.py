"""The contenders in turn over the same records, and what their runs say together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from config.settings import Settings
from infra.bench import pictures
from infra.bench.answer import Answer, aim
from infra.bench.contenders import CONTENDERS, LIVELIFT_HASHMAP, LIVELIFT_ROCKSDB, Contender
from infra.bench.dataset import Shape
from infra.bench.loading import Loaded
from infra.bench.periodic_sql import Refresh
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
    *,
    recordings: Path | None = None,
    on_run: Callable[[Contender, Run], None] = lambda contender, run: None,
) -> dict[str, list[Run]]:
    """Let the contenders run one after the other, and all of them again, so that a slow hour is everybody's.

    Args:
        records: How many there are.
        recordings: Folder for Flight Recorder's file of each contender's last run; it costs some percent.

    Raises:
        JobError, ClusterError, NoProgressError: As ``running.run``.
    """
    runs: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            recording = recordings / f"{contender.name}.jfr" if recordings else None
            found = run(settings, contender, records, recording=recording)
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


def answer(shape: Shape, loaded: Loaded, runs: Runs, refreshes: Sequence[Refresh]) -> Answer:
    """Medians, ratios, and what the same answer costs as a query over everything."""
    rates, costs = events_per_s(runs), cpu_us_per_event(runs)
    titles = {contender.name: contender.title for contender in CONTENDERS}
    ours = costs.get(LIVELIFT_HASHMAP.name)
    columns = ("", "events/s", "of the read limit", "CPU µs/event", "runs", "state MB", "checkpoint s")
    rows: list[Sequence[object]] = [
        (
            titles[name],
            f"{rates[name]:,.0f}",
            f"{rates[name] / rates['read_limit']:.0%}" if "read_limit" in rates else "",
            f"{costs[name]:.2f}",
            len(made),
            f"{(made[-1].state_bytes or 0) / 1e6:,.0f}",
            "" if made[-1].checkpoint_s is None else f"{made[-1].checkpoint_s:.1f}",
        )
        for name, made in runs.items()
        if made
    ]
    for refresh in refreshes:
        worth = "" if ours is None else f", as much as {refresh.cpu_s / ours * 1e6:,.0f} events cost livelift"
        rows.append(
            (
                f"periodic SQL over {refresh.events:,} events: {refresh.seconds:.1f} s a refresh, "
                f"{refresh.cpu_s:.1f} s of CPU{worth}",
            )
        )
    return Answer(
        name="throughput",
        title=(
            f"{shape.events:,} events of {shape.users:,} users; "
            f"the generator alone sends {loaded.events_per_s:,.0f} a second"
        ),
        columns=columns,
        rows=rows,
        figures={
            "shape": asdict(shape),
            "loader_events_per_s": round(loaded.events_per_s),
            "median_events_per_s": {name: round(rate) for name, rate in rates.items()},
            "median_cpu_us_per_event": costs,
            "ratios": {f"{each.name} / {each.other}": ratio for each, ratio in ratios(runs).items()},
            "runs": runs_as_json(runs),
            "periodic_sql": [refresh._asdict() for refresh in refreshes],
        },
        brief={name: round(rate) for name, rate in rates.items()},
        aims=[
            aim(f"{titles[each.name]} against {titles[each.other]}:", ratio, least=each.least)
            for each, ratio in ratios(runs).items()
        ],
        draw=lambda path: pictures.bars(
            path,
            {titles[name]: rate for name, rate in rates.items()},
            title=f"{shape.events:,} events of {shape.users:,} users",
            unit="events/s, median",
            ours=[LIVELIFT_HASHMAP.title, LIVELIFT_ROCKSDB.title],
        ),
    )


def runs_as_json(runs: Runs) -> list[dict[str, Any]]:
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
