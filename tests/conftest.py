"""What every test may rely on: unmarked tests cannot reach the world, marked ones share one running stack."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from infra.local import stack as local_stack
from infra.local.elsewhere import free_environment
from infra.producer import Delivery
from jobs.wiring.kafka import DEFINITIONS_TOPIC
from tests.running_stack import RunningStack

OFTEN = {"LIVELIFT_SCORECARD_VIEWS_MS": "1000", "LIVELIFT_SCORECARD_HISTORY_MS": "2000"}
"""So that no test waits for views and history as long as people may."""

CHOSEN = {name: text for name, text in os.environ.items() if name == "LIVELIFT_FLINK_STATE_BACKEND"}
"""`make nightly` lets the job fail and restart with the state backend of production, too."""

WORLD = ("processes", "jvm", "clickhouse", "stack", "bench")
"""Markers of tests that may start or reach something outside their own process."""

JAVA_TOOLS = frozenset({"java", "javac", "mvn"})

NO_DEFINITIONS = (b"", b"\x00\xff", b"no JSON", b"[]", b"{}", b'{"tenant_id": "tactile"}', None)
"""Written to the topic of definitions by hand, before all else: jobs and commands pass them over."""


# The same examples in every run, so that what makes a test fail is a change; `make nightly` looks for new
# ones. A slow machine is no counterexample.
settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("exploring", settings.get_profile("steady"), derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The whole stack on free ports, brought up once by the code behind ``livelift up``; gone at the end."""
    environment = free_environment(tmp_path_factory.mktemp("stack")) | OFTEN | CHOSEN
    with pytest.MonkeyPatch.context() as patch:
        for name, text in environment.items():
            patch.setenv(name, text)
        running = RunningStack(environment)
        try:
            local_stack.up(running.settings)
            with Delivery(running.settings) as delivery:
                for value in NO_DEFINITIONS:
                    delivery.send(DEFINITIONS_TOPIC, b"by hand", value)
            delivery.raise_for_failures()
            yield running
        finally:
            local_stack.down(running.settings)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What shares the stack comes last, so that the stack takes no time from all else, and in rising turn."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> tuple[bool, int]:
    marker = item.get_closest_marker("stack")
    if marker is None or "stack" not in getattr(item, "fixturenames", ()):  # the bench has one of its own
        return False, 0
    return True, _turn(**marker.kwargs)


def _turn(*, turn: int = 0) -> int:
    """What a module says in ``pytest.mark.stack(turn=...)``; said otherwise it is an error."""
    return turn


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """The settings of the shared stack, or of the shell, are only for tests of the stack."""
    with pytest.MonkeyPatch.context() as patch:
        if item.get_closest_marker("stack") is None:
            for name in [name for name in os.environ if name.startswith("LIVELIFT_")]:
                patch.delenv(name)
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    with _confined(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    with _confined(item):
        return (yield)


@contextmanager
def _confined(item: pytest.Item) -> Iterator[None]:
    """Keep a test from what its markers do not allow."""
    if any(item.get_closest_marker(marker) for marker in WORLD):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYFLINK_GATEWAY_DISABLED", "1")
        patch.setattr(socket.socket, "connect", _refuse_connect)
        patch.setattr(subprocess.Popen, "__init__", _refusing_java(subprocess.Popen.__init__))
        yield


def _refuse_connect(self: socket.socket, address: object) -> None:
    raise AssertionError(f"a test without a marker may not connect to {address}")


def _refusing_java(start: Any) -> Any:
    def checked(self: subprocess.Popen[Any], args: Any, *rest: Any, **options: Any) -> None:
        program = args if isinstance(args, str | bytes | os.PathLike) else next(iter(args), "")
        if Path(os.fsdecode(program)).name in JAVA_TOOLS:
            raise AssertionError(f"a test without a marker may not start {os.fsdecode(program)}")
        start(self, args, *rest, **options)

    return checked
