"""Restarts do not matter: the TaskManager killed at random moments, the job stopped and begun again."""

from __future__ import annotations

import time
from dataclasses import replace
from random import Random
from threading import Event, Thread

import pytest

from infra import demo
from infra.clickhouse import connect
from infra.cluster import Cluster, ClusterError
from infra.definitions import Limits
from infra.lanes import running_lanes
from infra.scenario import DEMO, Scenario, read_scenario
from infra.simulation import Simulation, run
from infra.upgrade import upgrade_attribution
from tests.running_stack import RunningStack
from tests.waiting import eventually

pytestmark = pytest.mark.stack

RATE = 100.0
KILLS = 3
RECOVERED_WITHIN_S = 90.0
LONGEST_PEACE_S = 6.0
"""Before a kill: two checkpoints fit, so it comes anywhere between them."""


@pytest.fixture(scope="module")
def scenario(stack: RunningStack) -> Scenario:
    """Every oddity there is, for as long as it takes."""
    return replace(
        read_scenario(DEMO, Limits.of(stack.settings)), seconds=600.0, rate=RATE, seed=time.time_ns() % 2**32
    )


@pytest.fixture(scope="module")
def began_s() -> int:
    return int(time.time())


@pytest.fixture(scope="module")
def survived(stack: RunningStack, scenario: Scenario, began_s: int) -> RunningStack:
    """The stack after events were sent through three kills and a stop with savepoint."""
    simulation = Simulation(scenario, time.time_ns() // 1_000_000)
    is_over, failures = Event(), []

    def send() -> None:
        try:
            run(stack.settings, simulation, stop=is_over)
        except Exception as error:  # a thread has nobody to raise to
            failures.append(error)

    thread = Thread(target=send)
    thread.start()
    try:
        eventually(lambda: simulation.counts.sent > RATE, "events are sent", deadline_s=60.0)
        moments = Random(scenario.seed)
        for _ in range(KILLS):
            Event().wait(moments.uniform(0.0, LONGEST_PEACE_S))
            kill_and_await(stack)
        said: list[str] = []
        upgrade_attribution(stack.settings, said.append)
        sent = simulation.counts.sent
        eventually(lambda: simulation.counts.sent > sent + RATE, "more events are sent")
    finally:
        is_over.set()
        thread.join()
    assert failures == []
    return stack


def kill_and_await(stack: RunningStack) -> None:
    """Kill the TaskManager as a crash would and return once every lane goes on with another one."""
    killed_at_ms = time.time() * 1000
    demo.kill_taskmanager(stack.settings)
    eventually(
        lambda: has_gone_on_since(stack, killed_at_ms),
        "every lane has made a checkpoint after the kill",
        deadline_s=RECOVERED_WITHIN_S,
    )


def has_gone_on_since(stack: RunningStack, moment_ms: float) -> bool:
    cluster = Cluster(stack.settings)
    try:
        newest = [cluster.checkpoints(job).newest_at_ms or 0 for job in running_lanes(cluster).values()]
    except ClusterError:
        return False
    return all(at_ms > moment_ms for at_ms in newest)


def test_every_slot_and_every_minute_of_the_ledger_are_what_they_would_be_without(
    survived: RunningStack, scenario: Scenario
) -> None:
    assert survived.disproof() == "", f"seed {scenario.seed}"


def test_every_kind_of_record_was_among_them(
    survived: RunningStack, scenario: Scenario, began_s: int
) -> None:
    kinds = ("counted", "duplicate", "waiting", "rejected")
    tenants = tuple(tenant.tenant_id for tenant in scenario.tenants)
    query = (
        f"SELECT {', '.join(f'sum({kind})' for kind in kinds)} FROM ledger "
        f"WHERE tenant_id IN {tenants} AND toUnixTimestamp(minute) + 60 > {began_s}"
    )
    (row,) = connect(survived.settings).query(query).result_rows
    assert all(number > 0 for number in row), dict(zip(kinds, row, strict=True))
