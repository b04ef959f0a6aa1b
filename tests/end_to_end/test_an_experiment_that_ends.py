"""An ending is in effect when ``define`` returns: what is assigned after it is refused, the rest runs out."""

from __future__ import annotations

import time
from pathlib import Path
from uuid import uuid4

import pytest

from infra.producer import EventProducer
from infra.reconciliation import reconcile
from infra.verification import verify
from infra.views import slots_in_view
from tests.running_stack import RunningStack
from udfs.attribution.reference import Assignment, LedgerEntry, Outcome

pytestmark = pytest.mark.stack

TENANT = f"ends-{uuid4().hex[:12]}"
EXPERIMENT = "button"
DEFINITION = f"""
tenant_id: {TENANT}
experiment_id: {EXPERIMENT}
variants: {{control: 1, treatment: 1}}
metrics:
  - {{id: revenue, source: purchase, kind: mean}}
"""
UNITS = 20


@pytest.fixture(scope="module")
def ended_at(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> int:
    """Twenty units before the end; then, published after it, one of each kind for every one of them."""
    file: Path = tmp_path_factory.mktemp("ends") / "button.yaml"
    define(stack, file, DEFINITION)
    begun_at = now_ms()
    with EventProducer(stack.settings) as producer:
        for unit in range(UNITS):
            producer.send(assignment(f"early-{unit}", begun_at))
    producer.delivery.raise_for_failures()
    end = now_ms()
    define(stack, file, f"{DEFINITION}config_version: 2\nended_at: {end}\n")
    with EventProducer(stack.settings) as producer:
        for unit in range(UNITS):
            producer.send(assignment(f"late-{unit}", begun_at))
            producer.send(assignment(f"after-{unit}", end + 1))
            producer.send(Outcome(TENANT, f"early-{unit}", "o", "purchase", occurred_at=end + 1, value=3.0))
    producer.delivery.raise_for_failures()
    done = stack.livelift("wait", "--timeout", "180", timeout_s=200)
    assert done.returncode == 0, done.stderr
    return end


def define(stack: RunningStack, file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    done = stack.livelift("define", str(file))
    assert done.returncode == 0, done.stderr


def now_ms() -> int:
    return int(time.time() * 1000)


def assignment(unit_id: str, assigned_at: int) -> Assignment:
    return Assignment(TENANT, unit_id, "a", EXPERIMENT, "control", assigned_at=assigned_at)


def test_what_was_assigned_after_the_end_is_refused_and_what_comes_late_counts(
    stack: RunningStack, ended_at: int
) -> None:
    assignments, outcomes = reconcile(stack.settings, TENANT)
    told = assignments.ledger._replace(late=0)  # on a slow machine some are
    assert told == LedgerEntry(3 * UNITS, counted=2 * UNITS, ended=UNITS)
    assert outcomes.ledger._replace(late=0) == LedgerEntry(UNITS, counted=UNITS)
    assert assignments.is_even
    assert outcomes.is_even


def test_outcomes_count_for_those_who_were_in_it(stack: RunningStack, ended_at: int) -> None:
    slots = {key: slot for key, slot in slots_in_view(stack.settings).items() if key.tenant_id == TENANT}
    assert sum(slot.n for slot in slots.values()) == 2 * UNITS
    assert sum(slot.sums[0] for slot in slots.values()) == UNITS * 3_000_000


def test_the_end_cannot_be_taken_back(stack: RunningStack, ended_at: int, tmp_path: Path) -> None:
    file = tmp_path / "button.yaml"
    file.write_text(f"{DEFINITION}config_version: 3\n", encoding="utf-8")
    refused = stack.livelift("define", str(file))
    assert refused.returncode == 1
    assert f"ended then by {TENANT}/{EXPERIMENT}/2" in refused.stderr


def test_everything_equals_the_reference(stack: RunningStack, ended_at: int) -> None:
    result = verify(stack.settings)
    assert result.total > 0
    assert result.differences == []
