"""What the demo shows, with the TaskManager killed in the middle: nothing changes in the final check."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import pytest

from infra import demo
from infra.definitions import Limits
from infra.demo import Frame, Outcome
from infra.local import record as records
from infra.reconciliation import reconcile
from infra.rejected import read_rejected
from infra.results import Question, read_results
from infra.scenario import DEMO, Effect, Scenario, read_scenario
from infra.verification import verify
from infra.views import ledger_in_view
from infra.waiting import wait
from tests.running_stack import RunningStack
from udfs.attribution.reference import Reason

pytestmark = pytest.mark.stack

SECONDS = 60.0
RATE = 600.0
HARM = 0.3
MOVES_BEFORE_THE_CRASH = 3
WAIT_S = 180.0


@dataclass
class Watched:
    """The demo's frames; the TaskManager is killed once the results have moved a few times."""

    stack: RunningStack
    tenants: frozenset[str]
    users: list[int] = field(default_factory=list)
    users_after_the_crash: list[int] = field(default_factory=list)
    was_killed: bool = False

    def see(self, frame: Frame) -> None:
        users = sum(row["n_control"] for row in frame.results if row["tenant_id"] in self.tenants)
        (self.users_after_the_crash if self.was_killed else self.users).append(users)
        if not self.was_killed and len(set(self.users)) > MOVES_BEFORE_THE_CRASH:
            demo.kill_taskmanager(self.stack.settings)
            self.was_killed = True


@pytest.fixture(scope="module")
def scenario(stack: RunningStack) -> Scenario:
    assert SECONDS * RATE >= demo.ENOUGH_EVENTS
    read = read_scenario(DEMO, Limits.of(stack.settings)).with_effect(demo.HARMFUL, Effect(value=HARM))
    return replace(read, seconds=SECONDS, rate=RATE, seed=20261122)


@pytest.fixture(scope="module")
def watched(stack: RunningStack, scenario: Scenario) -> Watched:
    return Watched(stack, frozenset(tenant.tenant_id for tenant in scenario.tenants))


@pytest.fixture(scope="module")
def outcome(stack: RunningStack, scenario: Scenario, watched: Watched) -> Outcome:
    ended = demo.stream(stack.settings, scenario, on_frame=watched.see)
    wait(stack.settings, WAIT_S)
    ended.decided.wait(demo.STOPPED_WITHIN_S)
    return ended


def test_the_taskmanager_was_killed_and_came_back(stack: RunningStack, outcome: Outcome) -> None:
    entry = records.read(stack.settings).entries["taskmanager"]
    assert entry.restarts >= 1
    assert entry.is_ready()


def test_results_moved_while_events_flowed_and_stayed_readable_after_the_crash(
    watched: Watched, outcome: Outcome
) -> None:
    assert watched.was_killed
    assert watched.users_after_the_crash
    assert all(users > 0 for users in watched.users_after_the_crash)


def test_every_odd_case_is_a_number_in_the_views(
    stack: RunningStack, outcome: Outcome, scenario: Scenario
) -> None:
    cases = demo.odd_cases(stack.settings, outcome.counts, [each.tenant_id for each in scenario.tenants])
    assert [case.name for case in cases if not case.sent or not case.shown] == []
    shown = {case.shown_as: case for case in cases}
    # Those refused for themselves: their copies are refused for the same, and other modules send some, too.
    for reason in ("too_late", "from_future", "unreadable", "bad_value", "unknown_variant", "ended"):
        assert shown[reason].shown >= shown[reason].sent
    assert shown["counted"].shown == shown["counted"].sent


def test_what_was_refused_is_kept_as_often_as_the_ledger_says(stack: RunningStack, outcome: Outcome) -> None:
    kept = Counter((record.topic, record.reason) for record in read_rejected(stack.settings))
    told: Counter[tuple[str | None, str | None]] = Counter()
    for key, entry in ledger_in_view(stack.settings).items():
        told.update({(key.topic, reason.value): getattr(entry, reason) for reason in Reason})
    assert kept == +told


def test_the_harmful_experiment_alone_is_stopped_though_the_job_crashed(outcome: Outcome) -> None:
    assert list(outcome.decided.stopped) == [demo.HARMFUL.experiment]


def test_every_marker_became_visible(outcome: Outcome) -> None:
    assert outcome.freshness.markers > 0
    assert outcome.freshness.missing == 0


def test_everything_equals_the_reference(stack: RunningStack, outcome: Outcome) -> None:
    result = verify(stack.settings)
    assert min(result.slots.total, result.ledger.total, result.activity.total) > 0
    assert result.differences == []


def test_every_record_is_accounted_for(stack: RunningStack, outcome: Outcome) -> None:
    balances = reconcile(stack.settings)
    assert sum(balance.in_kafka for balance in balances) >= outcome.counts.sent
    assert [balance for balance in balances if not balance.is_even] == []


def test_an_experiment_defined_after_its_events_has_results(stack: RunningStack, outcome: Outcome) -> None:
    late = read_results(stack.settings, Question("initech", "report-wizard"))
    assert {row["metric_id"] for row in late} == {"sent", "seconds_saved_per_task", "complained"}
    assert all(row["n_control"] > 0 for row in late)
