"""State and timers of the running job vanish by rule 9: with tiny horizons, in a lane of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import time
from uuid import uuid4

import httpx
import pytest

from config.settings import load
from infra import submission
from infra.cluster import Cluster, Job
from infra.definitions import TOPIC as DEFINITIONS_TOPIC
from infra.definitions import to_json
from infra.producer import EventProducer
from infra.topics import create_tenant
from jobs.attribution.lane import Lane
from tests.builders import Published, a_definition, an_assignment, an_outcome
from tests.running_stack import RunningStack
from tests.waiting import eventually

# After the rebuilds: they would go on from the epoch of its lane.
pytestmark = pytest.mark.stack(turn=2)

UNITS = 300
TIMES = {"HORIZON_MS": "2000", "FUTURE_MS": "1000", "RETENTION_MS": "3000", "MAX_SKEW_MS": "1000"}


@pytest.fixture
def lane(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lane]:
    """A job for a tenant nobody has heard of; what it keeps, it keeps for seconds."""
    for name, text in TIMES.items():
        monkeypatch.setenv(f"LIVELIFT_ATTRIBUTION_{name}", text)
    settings = load()
    lane = Lane(f"short-{uuid4().hex[:8]}", epoch=9)
    create_tenant(settings, lane.tenant_id)
    launch = submission.Launch.of_lane(lane)
    submission.await_submitted(settings, launch, submission.submit(settings, launch, None))
    submission.await_running(settings, launch)
    yield lane
    Cluster(settings).cancel(Cluster(settings).jobs()[lane.name])


def test_of_units_whose_experiment_has_ended_nothing_is_left(stack: RunningStack, lane: Lane) -> None:
    job = Cluster(stack.settings).jobs()[lane.name]
    size_of_new_checkpoint = state_sizes(stack, job)
    empty = size_of_new_checkpoint()
    with EventProducer(stack.settings) as producer:
        define(producer, lane.tenant_id, config_version=1)
        for number in range(UNITS):
            whom = {"tenant_id": lane.tenant_id, "unit_id": f"user-{number}"}
            now = int(time() * 1000)
            producer.send(an_assignment(assigned_at=now, **whom))
            producer.send(an_outcome(occurred_at=now, **whom))
    eventually(lambda: size_of_new_checkpoint() > empty + 100 * UNITS, "the units' state", deadline_s=60)
    with EventProducer(stack.settings) as producer:
        define(producer, lane.tenant_id, config_version=2, ended_at=int(time() * 1000))
    eventually(lambda: size_of_new_checkpoint() == empty, "neither state nor timers", deadline_s=60)


def define(producer: EventProducer, tenant_id: str, **changes: int) -> None:
    published = Published(a_definition(tenant_id=tenant_id, **changes))
    producer.delivery.send(DEFINITIONS_TOPIC, published.key(), to_json(published.json))
    producer.delivery.flush()


def state_sizes(stack: RunningStack, job: Job) -> Callable[[], int]:
    """Asks how much the function keeps, its timers too: in the next checkpoint that is complete."""
    url = f"{stack.settings.flink.rest_url}/jobs/{job.id}"
    vertices = httpx.get(url, trust_env=False).json()["vertices"]
    (vertex,) = (each["id"] for each in vertices if each["name"].startswith("attribute"))
    last = 0

    def newer() -> int | None:
        completed = httpx.get(f"{url}/checkpoints", trust_env=False).json()["latest"]["completed"]
        return completed["id"] if completed and completed["id"] > last else None

    def size() -> int:
        nonlocal last
        last = eventually(newer, "another checkpoint", deadline_s=60) or 0
        details = httpx.get(f"{url}/checkpoints/details/{last}", trust_env=False).json()
        return int(details["tasks"][vertex]["state_size"])

    return size
