"""What the demo shows, with a TaskManager killed in the middle: nothing changes in the final check."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra import demo
from infra.definitions import Limits
from infra.demo import Frame, Outcome
from infra.local import record as records
from infra.rejected import read_rejected
from infra.results import Question, read_results
from infra.scenario import DEMO, read_scenario
from infra.verification import verify
from infra.waiting import wait
from tests.running_stack import RunningStack

pytestmark = pytest.mark.stack

SECONDS = 30.0
RATE = 300.0
KILL_AFTER_S = 10.0
WAIT_S = 180.0


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return []


@pytest.fixture(scope="module")
def outcome(stack: RunningStack, frames: list[Frame]) -> Outcome:
    scenario = replace(
        read_scenario(DEMO, Limits.of(stack.settings)), seconds=SECONDS, rate=RATE, seed=20261122
    )
    ended = demo.stream(
        stack.settings, scenario, on_frame=frames.append, kill_taskmanager_after_s=KILL_AFTER_S
    )
    wait(stack.settings, WAIT_S)
    return ended


def test_the_taskmanager_was_killed_and_came_back(stack: RunningStack, outcome: Outcome) -> None:
    entry = records.read(stack.settings).entries["taskmanager"]
    assert entry.restarts >= 1
    assert entry.is_ready()


def test_results_moved_while_events_flowed(frames: list[Frame], outcome: Outcome) -> None:
    users = [sum(row["n_control"] for row in frame.results) for frame in frames]
    assert users[-1] > 0
    assert len(set(users)) > 3


def test_results_stayed_readable_after_the_crash(frames: list[Frame], outcome: Outcome) -> None:
    assert all(frame.results for frame in frames if frame.note)


def test_every_slot_equals_the_reference(stack: RunningStack, outcome: Outcome) -> None:
    result = verify(stack.settings)
    assert result.total > 0
    assert result.differences == []


def test_what_was_odd_was_refused_for_its_reason(stack: RunningStack, outcome: Outcome) -> None:
    refused = {record.reason for record in read_rejected(stack.settings)}
    assert {"duplicate"} <= refused
    assert outcome.counts.oddities["duplicates"] > 0


def test_every_marker_became_visible(outcome: Outcome) -> None:
    assert outcome.freshness.markers > 0
    assert outcome.freshness.missing == 0


def test_an_experiment_defined_after_its_events_has_results(stack: RunningStack, outcome: Outcome) -> None:
    late = read_results(stack.settings, Question("initech", "report-wizard"))
    assert {row["metric_id"] for row in late} == {"sent", "seconds_saved_per_task", "complained"}
    assert all(row["n_control"] > 0 for row in late)
