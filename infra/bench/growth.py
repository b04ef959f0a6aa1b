"""How does the price of an event grow with users, experiments, tenants and metrics, and with parallelism?

Each point is a stack of its own with other records. Users are enrolled in all their experiments first; what
is measured comes after that, so that at every size an event finds as many exposures to count in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from infra.bench import pictures
from infra.bench.answer import Answer, aim
from infra.bench.contenders import LIVELIFT_HASHMAP, LIVELIFT_ROCKSDB, Contender
from infra.bench.dataset import Shape
from infra.bench.loading import load
from infra.bench.own_stack import WITHOUT_JOBS, own_stack
from infra.bench.running import Run, run
from infra.broker import Broker
from jobs.wiring.kafka import SLOTS_TOPIC

MEASURED = 3_000_000
"""Events after the enrolment."""
MEASURED_QUICKLY = 1_000_000
LARGEST_QUICKLY = 400_000
"""Of any size."""
BASE = Shape(users=200_000, is_enrolled=True, events_per_second=36_000.0)
"""Events as dense as at a peak: where those of a sparse day are worked off in minutes, with many experiments
each change is a row of its own, and nothing else is seen."""
BOTH = (LIVELIFT_HASHMAP, LIVELIFT_ROCKSDB)
MEMORY_FOR_ALL = {
    "LIVELIFT_LOCAL_TASKMANAGER_PROCESS_MB": "15360",
    "LIVELIFT_LOCAL_TASKMANAGER_SLOTS": "2",
    "LIVELIFT_LOCAL_TASKMANAGER_MANAGED_MB_PER_SLOT": "1024",
}
"""The same for all sizes, so that only the size differs: 12 GB of heap, and 2 GB for RocksDB in as
many slots as the widest job has."""
LONGEST_S = 1800.0


@dataclass(frozen=True)
class Point:
    """One size of one thing."""

    what: str
    size: int
    shape: Shape
    contenders: Sequence[Contender] = (LIVELIFT_HASHMAP,)
    changes: Mapping[str, str] = field(default_factory=dict)


class Cost(NamedTuple):
    """What an event cost at a point."""

    point: Point
    contender: Contender
    run: Run
    slot_rows: int
    """Written to the slots topic while all events were read."""

    @property
    def cpu_us(self) -> float:
        return self.run.measured.cpu_us_per_event


def points(*, quick: bool = False) -> list[Point]:
    """Everything that grows, each on its own, the rest as in ``BASE``."""
    measured = MEASURED_QUICKLY if quick else MEASURED

    def at(
        what: str, size: int, contenders: Sequence[Contender] = (LIVELIFT_HASHMAP,), **shape: int
    ) -> Point:
        grown = replace(BASE, **shape)  # type: ignore[arg-type]  # names of whole numbers only
        return Point(
            what, size, replace(grown, events=grown.enrolments + measured), contenders, MEMORY_FOR_ALL
        )

    wide = [
        replace(at("parallelism", width), changes=MEMORY_FOR_ALL | {"LIVELIFT_FLINK_PARALLELISM": str(width)})
        for width in (1, 2)
    ]
    all_sizes = [
        *(at("users", users, BOTH, users=users) for users in (100_000, 400_000, 1_000_000, 4_000_000)),
        *(at("experiments a tenant", count, experiments=count) for count in (2, 10, 50, 200)),
        *(at("tenants", count, tenants=count) for count in (1, 4, 40, 200)),
        *(at("hourly cohorts", hours, experiments=200, enrolment_hours=hours) for hours in (1, 24, 144)),
        *(at("metrics a source", count, metrics_per_source=count) for count in (1, 2, 4, 8)),
        *wide,
    ]
    return [point for point in all_sizes if not quick or point.size <= LARGEST_QUICKLY]


def measure(wanted: Sequence[Point], on_cost: Callable[[Cost], None] = lambda cost: None) -> Iterator[Cost]:
    """The price of an event at each point.

    Raises:
        StackError: A stack did not come up.
        JobError, ClusterError, NoProgressError: A job failed or was not seen working.
        BrokerError, RegistryError, DefinitionError: Something does not answer or refuses.
    """
    for point in wanted:
        with own_stack(*WITHOUT_JOBS, changes=point.changes) as settings:
            load(settings, point.shape)
            broker = Broker(settings)
            for contender in point.contenders:
                patient = replace(contender, longest_s=LONGEST_S)
                since = max(float(point.shape.enrolments), point.shape.events / 4)
                before = _slot_rows(broker)
                ran = run(settings, patient, point.shape.events, since=since)
                cost = Cost(point, contender, ran, _slot_rows(broker) - before)
                on_cost(cost)
                yield cost


def _slot_rows(broker: Broker) -> int:
    return sum(broker.end_offsets([SLOTS_TOPIC]).values())


def answer(found: Sequence[Cost]) -> Answer:
    """Microseconds of processor time an event, and what checkpoints took."""

    def draw(path: Path) -> None:
        series: dict[str, dict[float, float]] = {}
        grown = sorted({cost.point.what for cost in found})
        for cost in found:
            of = "" if len(grown) == 1 else f"{cost.point.what}, "
            series.setdefault(of + cost.contender.title, {})[cost.point.size] = cost.cpu_us
        pictures.lines(
            path,
            series,
            title="Processor time an event",
            x=grown[0] if len(grown) == 1 else "how many",
            y="microseconds",
            is_x_log=True,
        )

    return Answer(
        name="growth",
        title="What an event costs the attribution job",
        columns=(
            *("", "", "backend", "CPU µs/event", "events/s", "slot rows/event"),
            *("checkpoint s", "checkpoint MB"),
        ),
        rows=[
            (
                cost.point.what,
                f"{cost.point.size:,}",
                cost.contender.title,
                f"{cost.cpu_us:.2f}",
                f"{cost.run.measured.events_per_s:,.0f}",
                f"{cost.slot_rows / cost.point.shape.events:.3f}",
                "" if cost.run.checkpoint_s is None else f"{cost.run.checkpoint_s:.1f}",
                "" if cost.run.state_bytes is None else f"{cost.run.state_bytes / 1e6:,.0f}",
            )
            for cost in found
        ],
        figures={
            "points": [
                {
                    "what": cost.point.what,
                    "size": cost.point.size,
                    "contender": cost.contender.name,
                    "cpu_us_per_event": cost.cpu_us,
                    "events_per_s": cost.run.measured.events_per_s,
                    "slot_rows": cost.slot_rows,
                    "checkpoint_s": cost.run.checkpoint_s,
                    "state_bytes": cost.run.state_bytes,
                }
                for cost in found
            ]
        },
        aims=list(_aims(found)),
        draw=draw,
    )


def _aims(found: Sequence[Cost]) -> Iterator[str]:
    for what, contender, most in (
        ("users", LIVELIFT_HASHMAP, 1.2),
        ("users", LIVELIFT_ROCKSDB, 2.0),
        ("experiments a tenant", LIVELIFT_HASHMAP, 1.2),
        ("tenants", LIVELIFT_HASHMAP, 1.2),
        ("hourly cohorts", LIVELIFT_HASHMAP, 1.2),
        ("parallelism", LIVELIFT_HASHMAP, 1.15),
    ):
        costs = [cost for cost in found if cost.point.what == what and cost.contender.name == contender.name]
        if len(costs) > 1:
            least, greatest = (
                chosen(costs, key=lambda cost: cost.point.size).cpu_us for chosen in (min, max)
            )
            yield aim(
                f"the most of {what} against the least, {contender.title},", greatest / least, most=most
            )
