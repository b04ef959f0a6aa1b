"""How many bytes of state does a user take, with each state backend?

The same users in the same experiments each time: 5 exposures and about 15 outcomes of 3 metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from config.settings import Settings
from infra.bench.answer import Answer, aim
from infra.bench.contenders import LIVELIFT_HASHMAP, LIVELIFT_ROCKSDB, Contender
from infra.bench.dataset import Shape
from infra.bench.flink import Watched, live_heap_bytes, refresh_taskmanager, submit
from infra.bench.loading import load
from infra.bench.running import watch

SHAPE = Shape(
    events=20 * 200_000, users=200_000, is_enrolled=True, assignments=0.0, duplicates=0.0, disorder=0.0
)
UNITS_VERTEX = "attribute"
"""How the name of the vertex that keeps the units begins."""
AIM_BYTES = 600


class State(NamedTuple):
    """The attribution job's state after all records, in bytes a user; on the heap, where it lies there."""

    contender: Contender
    units: float
    """Of the units, as a checkpoint has them."""
    all: float
    """Of the whole job: the sums of all slots as well."""
    heap: float | None


def measure(
    settings: Settings, shape: Shape = SHAPE, on_state: Callable[[State], None] = lambda state: None
) -> list[State]:
    """Let the attribution job read a shape's records, with each state backend.

    Raises:
        JobError, ClusterError: A job failed.
        BrokerError, RegistryError, DefinitionError: Something does not answer or refuses.
    """
    load(settings, shape)
    found = []
    for contender in (LIVELIFT_HASHMAP, LIVELIFT_ROCKSDB):
        refresh_taskmanager(settings)
        job = submit(settings, contender.module, contender.settings)
        try:
            empty = live_heap_bytes(settings)
            watch(job, shape.events, longest_s=contender.longest_s)
            found.append(_state(settings, contender, job, empty, shape.users))
        finally:
            job.cancel()
        on_state(found[-1])
    return found


def _state(settings: Settings, contender: Contender, job: Watched, empty: int, users: int) -> State:
    job.await_checkpoint()
    by_vertex = job.state_by_vertex()
    units = sum(size for name, size in by_vertex.items() if name.startswith(UNITS_VERTEX))
    heap = live_heap_bytes(settings) - empty if contender is LIVELIFT_HASHMAP else None
    return State(
        contender,
        units / users,
        sum(by_vertex.values()) / users,
        None if heap is None else heap / users,
    )


def answer(shape: Shape, found: Sequence[State]) -> Answer:
    """Bytes a user."""
    return Answer(
        name="memory",
        title=f"State of {shape.users:,} users with {shape.events // shape.users} events each, bytes a user",
        columns=("state backend", "units in a checkpoint", "whole job in a checkpoint", "on the heap"),
        rows=[
            (
                each.contender.title,
                f"{each.units:.0f}",
                f"{each.all:.0f}",
                "" if each.heap is None else f"{each.heap:.0f}",
            )
            for each in found
        ],
        figures={
            "users": shape.users,
            "events": shape.events,
            "bytes_per_user": {
                each.contender.name: {"units": each.units, "all": each.all, "heap": each.heap}
                for each in found
            },
        },
        aims=[aim(f"bytes a user, {each.contender.title},", each.units, most=AIM_BYTES) for each in found],
    )
