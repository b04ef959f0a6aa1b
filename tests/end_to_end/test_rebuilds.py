"""Counting again from the log while events flow: readers see old results or new ones, never some of both."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from threading import Event, Thread

import pytest

from infra.clickhouse import connect
from infra.cluster import Cluster
from infra.lanes import running_lanes
from infra.producer import EventProducer
from jobs.attribution.lane import Lane
from tests.builders import an_assignment, an_outcome
from tests.running_stack import RunningStack

pytestmark = pytest.mark.stack

TENANT = "rebuilt"
OTHER = "left-alone"
DEFINITION = """
tenant_id: {tenant}
experiment_id: {experiment}
variants: {{control: 1, treatment: 1}}
metrics:
  - {{id: revenue, source: purchase, kind: mean}}
"""
EXPERIMENTS = ("button", "banner")
VARIANTS = ("control", "treatment")
PUBLISHED_BEFORE = 60
SECONDS_BETWEEN_UNITS = 0.02

EPOCH_OF = "bitShiftRight(version, 52)"
"""Every row's version carries the epoch of the lane that wrote it."""
VIEWS = ("slots", "results", "sample_ratio", "ledger", "activity")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def send_unit(producer: EventProducer, tenant_id: str, number: int) -> None:
    """A unit that is exposed in both experiments and buys something."""
    unit = {"tenant_id": tenant_id, "unit_id": f"unit-{number}"}
    for experiment in EXPERIMENTS:
        producer.send(
            an_assignment(
                experiment,
                **unit,
                experiment_id=experiment,
                variant_id=VARIANTS[number % 2],
                assigned_at=now_ms(),
            )
        )
    producer.send(an_outcome(**unit, value=1.0 + number % 7, occurred_at=now_ms()))


@contextmanager
def events_flowing(stack: RunningStack) -> Iterator[None]:
    """A unit of each tenant every few milliseconds for as long as the block runs."""
    is_over, failures = Event(), []

    def send() -> None:
        try:
            with EventProducer(stack.settings) as producer:
                for number in count(PUBLISHED_BEFORE):
                    if is_over.wait(SECONDS_BETWEEN_UNITS):
                        return
                    for tenant_id in (TENANT, OTHER):
                        send_unit(producer, tenant_id, number)
        except Exception as error:  # a thread has nobody to raise to
            failures.append(error)

    thread = Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
    assert failures == []


@dataclass
class Seen:
    """What a reader was shown: at each look, the epochs of a view's rows and how many users it had."""

    epochs: dict[str, list[tuple[int, ...]]] = field(default_factory=lambda: {view: [] for view in VIEWS})
    users: list[int] = field(default_factory=list)


@contextmanager
def reading(stack: RunningStack) -> Iterator[Seen]:
    """A reader of the rebuilt tenant who looks again and again for as long as the block runs."""
    seen, is_over, failures = Seen(), Event(), []

    def look() -> None:
        client = connect(stack.settings)
        try:
            while not is_over.is_set():
                for view in VIEWS:
                    query = f"SELECT groupUniqArray({EPOCH_OF}) FROM {view} WHERE tenant_id = '{TENANT}'"
                    ((epochs,),) = client.query(query).result_rows
                    seen.epochs[view].append(tuple(sorted(epochs)))
                ((users,),) = client.query(
                    f"SELECT sum(n) FROM slots WHERE tenant_id = '{TENANT}' AND experiment_id = 'button'"
                ).result_rows
                seen.users.append(users)
        except Exception as error:  # a thread has nobody to raise to
            failures.append(error)

    thread = Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()
    assert failures == []


def changes(seen: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """What was seen, without repetitions."""
    return [each for each, before in zip(seen, [None, *seen], strict=False) if each != before]


def lanes(stack: RunningStack) -> set[Lane]:
    return set(running_lanes(Cluster(stack.settings)))


def send_more(stack: RunningStack, number: int) -> None:
    with EventProducer(stack.settings) as producer:
        for tenant_id in (TENANT, OTHER):
            send_unit(producer, tenant_id, number)


def epoch_of(stack: RunningStack, tenant_id: str, experiment_id: str) -> list[int]:
    query = (
        f"SELECT DISTINCT {EPOCH_OF} FROM slots "
        f"WHERE tenant_id = '{tenant_id}' AND experiment_id = '{experiment_id}'"
    )
    return [row[0] for row in connect(stack.settings).query(query).result_rows]


@pytest.fixture(scope="module")
def base(stack: RunningStack) -> Lane:
    """The lane of everyone, before anything of this module is rebuilt."""
    (lane,) = lanes(stack)
    return lane


@pytest.fixture(scope="module")
def begun(stack: RunningStack, base: Lane, tmp_path_factory: pytest.TempPathFactory) -> RunningStack:
    file = tmp_path_factory.mktemp("rebuilds") / "definitions.yaml"
    texts = [
        DEFINITION.format(tenant=tenant_id, experiment=experiment)
        for tenant_id in (TENANT, OTHER)
        for experiment in EXPERIMENTS
    ]
    file.write_text("---".join(texts), encoding="utf-8")
    done = stack.livelift("define", str(file))
    assert done.returncode == 0, done.stderr
    with EventProducer(stack.settings) as producer:
        for number in range(PUBLISHED_BEFORE):
            for tenant_id in (TENANT, OTHER):
                send_unit(producer, tenant_id, number)
    assert stack.livelift("wait").returncode == 0
    return stack


def test_who_is_not_there_is_not_rebuilt(begun: RunningStack) -> None:
    nobody = begun.livelift("rebuild", "nobody")
    assert nobody.returncode == 1
    assert "there is no tenant nobody; there are: " in nobody.stderr
    nothing = begun.livelift("rebuild", TENANT, "nothing")
    assert nothing.returncode == 1
    assert f"tenant {TENANT} has no experiment nothing; it has: banner, button" in nothing.stderr


def test_a_tenant_is_rebuilt_while_events_flow_and_nobody_sees_a_mixture(
    begun: RunningStack, base: Lane
) -> None:
    epoch = base.epoch + 1
    with events_flowing(begun), reading(begun) as seen:
        interrupted = begun.livelift("rebuild", TENANT, "--timeout", "0")
        assert interrupted.returncode == 1
        assert "goes on counting, not shown to anybody" in interrupted.stderr
        assert epoch_of(begun, TENANT, "button") == [base.epoch]
        rebuilt = begun.livelift("rebuild", TENANT, timeout_s=180)
        assert rebuilt.returncode == 0, rebuilt.stderr
        assert "was begun before, going on with it" in rebuilt.stderr
        assert rebuilt.stdout == f"{TENANT} is at epoch {epoch}\n"
    for view in VIEWS:
        assert changes(seen.epochs[view]) == [(base.epoch,), (epoch,)], view
    assert min(seen.users) >= PUBLISHED_BEFORE
    assert lanes(begun) == {base, Lane(TENANT, epoch=epoch)}
    assert begun.disproof() == ""
    assert epoch_of(begun, OTHER, "button") == [base.epoch]


def test_an_experiment_is_rebuilt_and_the_rest_of_its_tenant_stays(begun: RunningStack, base: Lane) -> None:
    rebuilt = begun.livelift("rebuild", TENANT, "banner", timeout_s=180)
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert epoch_of(begun, TENANT, "banner") == [base.epoch + 2]
    assert epoch_of(begun, TENANT, "button") == [base.epoch + 1]
    send_more(begun, 100_001)
    assert begun.disproof() == ""


def test_status_lists_every_lane_with_whom_it_serves_and_its_epoch(begun: RunningStack, base: Lane) -> None:
    done = begun.livelift("status", "--format", "json")
    assert done.returncode == 0, done.stderr
    jobs = {
        job["serves"]: (job["epoch"], job["role"], job["state"]) for job in json.loads(done.stdout)["jobs"]
    }
    assert jobs == {
        "everyone": (base.epoch, "active", "RUNNING"),
        TENANT: (base.epoch + 1, "active", "RUNNING"),
        f"{TENANT}/banner": (base.epoch + 2, "active", "RUNNING"),
        "": (None, "", "RUNNING"),
    }


def test_lanes_and_their_state_outlive_down_and_up(begun: RunningStack, base: Lane) -> None:
    before = lanes(begun)
    assert begun.livelift("down").returncode == 0
    came_up = begun.livelift("up", timeout_s=300)
    assert came_up.returncode == 0, came_up.stderr
    assert lanes(begun) == before
    send_more(begun, 100_002)
    assert begun.disproof() == ""


def test_a_rebuild_of_everyone_replaces_all_lanes_by_one(begun: RunningStack) -> None:
    before = lanes(begun)
    rebuilt = begun.livelift("rebuild", "--all", timeout_s=240)
    assert rebuilt.returncode == 0, rebuilt.stderr
    epoch = 1 + max(lane.epoch for lane in before)
    assert lanes(begun) == {Lane(epoch=epoch)}
    assert rebuilt.stdout == f"everyone is at epoch {epoch}\n"
    send_more(begun, 100_003)
    assert begun.disproof() == ""
    assert {tuple(epoch_of(begun, tenant, "button")) for tenant in (TENANT, OTHER)} == {(epoch,)}
