"""What only the running job can show: topics that appear, definitions that come late, unreadable records."""

from __future__ import annotations

from collections.abc import Callable
from time import time
from uuid import uuid4

import httpx
import pytest

from infra.cluster import Cluster
from infra.definitions import TOPIC as DEFINITIONS_TOPIC
from infra.definitions import to_json
from infra.producer import EventProducer
from infra.registry import Registry
from infra.rejected import read_rejected
from infra.verification import slots_in_view
from jobs.attribution.takeover import must_match
from schemas.events import EventKind
from tests.builders import Published, a_definition, an_assignment
from tests.running_stack import RunningStack
from tests.waiting import eventually

pytestmark = pytest.mark.stack(turn=2)


@pytest.fixture
def tenant() -> str:
    """A tenant nobody has heard of, so that its topics are new to the job."""
    return f"new-{uuid4().hex[:12]}"


def define(producer: EventProducer, tenant: str) -> None:
    published = Published(a_definition(tenant_id=tenant))
    producer.delivery.send(DEFINITIONS_TOPIC, published.key(), to_json(published.json))


def exposures(stack: RunningStack, tenant: str) -> int:
    slots = slots_in_view(stack.settings)
    return sum(slot.n for key, slot in slots.items() if key.tenant_id == tenant)


def test_a_tenant_that_comes_while_the_job_runs_is_counted(stack: RunningStack, tenant: str) -> None:
    with EventProducer(stack.settings) as producer:
        define(producer, tenant)
        producer.delivery.flush()
        producer.send(an_assignment(tenant_id=tenant, assigned_at=int(time() * 1000)))
    eventually(lambda: exposures(stack, tenant) == 1, "the unit of the new tenant", deadline_s=60)


def test_an_assignment_counts_once_its_definition_comes(stack: RunningStack, tenant: str) -> None:
    with EventProducer(stack.settings) as producer:
        producer.send(an_assignment("early", tenant_id=tenant, assigned_at=int(time() * 1000)))
        producer.send_bytes(tenant, EventKind.ASSIGNMENTS, b"bob", b"the job has come as far as this")
        producer.delivery.flush()
        eventually(
            lambda: read_rejected(stack.settings, tenant_id=tenant),
            "the job reading the new topic",
            deadline_s=60,
        )
        assert exposures(stack, tenant) == 0
        define(producer, tenant)
    eventually(lambda: exposures(stack, tenant) == 1, "the unit that waited", deadline_s=60)


def test_records_no_one_can_read_are_kept_with_reason_place_and_bytes(
    stack: RunningStack, tenant: str
) -> None:
    with EventProducer(stack.settings) as producer:
        define(producer, tenant)
        for payload in (b"\x00\x00\x00\x00\x63nothing", b"", None):
            producer.send_bytes(tenant, EventKind.OUTCOMES, b"ann", payload)
        producer.delivery.flush()
        producer.send(an_assignment(tenant_id=tenant, assigned_at=int(time() * 1000)))
    refused = eventually(
        lambda: (found := read_rejected(stack.settings, tenant_id=tenant)) and len(found) == 3 and found,
        "three refused records",
        deadline_s=60,
    )
    assert [(each.reason, each.record_key) for each in refused] == 3 * [("unreadable", b"ann")]
    assert {each.topic for each in refused} == {f"livelift.{tenant}.outcomes"}
    assert sorted(each.offset or 0 for each in refused) == [0, 1, 2]
    assert {each.record_value for each in refused} == {b"\x00\x00\x00\x00\x63nothing", b"", None}
    eventually(lambda: exposures(stack, tenant) == 1, "the good record behind them", deadline_s=60)
    assert Cluster(stack.settings).jobs()[stack.everyone.name].state == "RUNNING"


@pytest.mark.parametrize("record", ["Slot", "Rejected"])
def test_what_the_job_writes_by_is_the_schema_that_was_registered(stack: RunningStack, record: str) -> None:
    """Else its sinks register another version at once, one of them is refused, and the task starts again."""
    assert Registry(stack.settings).versions(record) == [1]


def test_the_running_job_tells_what_another_must_share_to_take_over_its_state(stack: RunningStack) -> None:
    cluster = Cluster(stack.settings)
    parameters = cluster.parameters(cluster.jobs()[stack.everyone.name])
    assert parameters.items() >= (stack.everyone.parameters | must_match(stack.settings)).items()


def test_a_tenant_whose_records_are_refused_raises_an_alarm(stack: RunningStack, tenant: str) -> None:
    """By Flink's REST interface, as the greatest of what the function's tasks say."""
    with EventProducer(stack.settings) as producer:
        for number in range(1000):
            producer.send_bytes(tenant, EventKind.OUTCOMES, f"user-{number}".encode(), b"nonsense")
    job = Cluster(stack.settings).jobs()[stack.everyone.name]
    metrics = function_metrics(stack, job.id)
    (name,) = eventually(
        lambda: [name for name in metrics() if name.endswith(f".{tenant}.rejected_share_above_limit")],
        "the tenant's gauge",
        deadline_s=60,
    )
    eventually(lambda: metrics(name)[name] == 1, "the alarm", deadline_s=60)
    share = name.removesuffix("_above_limit")
    assert metrics(share)[share] == 1.0


def function_metrics(stack: RunningStack, job_id: str) -> Callable[..., dict[str, float]]:
    """Asks for metrics of the function's tasks; without a name, for the names of all."""
    url = f"{stack.settings.flink.rest_url}/jobs/{job_id}"
    vertices = httpx.get(url, trust_env=False).json()["vertices"]
    (vertex,) = (each["id"] for each in vertices if each["name"].startswith("attribute"))

    def ask(*names: str) -> dict[str, float]:
        query = {"get": ",".join(names), "agg": "max"} if names else {}
        answer = httpx.get(f"{url}/vertices/{vertex}/subtasks/metrics", params=query, trust_env=False)
        return {each["id"]: each.get("max", 0.0) for each in answer.json()}

    return ask
