"""A refused record that is sent again once it is good counts; every record stays accounted for."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from infra.producer import EventProducer
from infra.reconciliation import reconcile
from infra.verification import verify
from infra.views import slots_in_view
from schemas.events import EventKind
from tests.running_stack import RunningStack
from tests.waiting import eventually
from udfs.attribution.reference import Assignment, LedgerEntry, Outcome

pytestmark = pytest.mark.stack

TENANT = f"again-{uuid4().hex[:12]}"
EXPERIMENT = "button"
DEFINITION = f"""
tenant_id: {TENANT}
experiment_id: {EXPERIMENT}
variants: {{control: 1, treatment: 1}}
metrics:
  - {{id: revenue, source: purchase, kind: mean}}
"""
AHEAD_MS = 6_000
"""So much too far in the future is an event at first."""
TOO_LARGE = 950_000


class Seen(NamedTuple):
    """What there was to see of the tenant at one moment."""

    revenue_micros: int
    outcomes: LedgerEntry
    refused: list[dict[str, Any]]


@pytest.fixture(scope="module")
def before(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """One outcome counts, one is too far in the future for some seconds, two are bad for good."""
    definition: Path = tmp_path_factory.mktemp("again") / "button.yaml"
    definition.write_text(DEFINITION, encoding="utf-8")
    assert stack.livelift("define", str(definition)).returncode == 0
    now_ms = int(time.time() * 1000)
    ahead_at = now_ms + stack.settings.attribution.future_ms + AHEAD_MS
    with EventProducer(stack.settings) as producer:
        producer.send(Assignment(TENANT, "ann", "a", EXPERIMENT, "control", assigned_at=now_ms))
        producer.send(Outcome(TENANT, "ann", "o", "purchase", occurred_at=now_ms + 1, value=2.0))
        producer.send(Outcome(TENANT, "ann", "ahead", "purchase", occurred_at=ahead_at, value=40.0))
        producer.send(Outcome(TENANT, "ann", "old", "purchase", occurred_at=1_000, value=100.0))
        producer.send_bytes(TENANT, EventKind.OUTCOMES, b"ben", b"\x01" * TOO_LARGE)
    producer.delivery.raise_for_failures()
    return look(stack)


@pytest.fixture(scope="module")
def after(stack: RunningStack, before: Seen) -> Seen:
    """The outcome that was too far in the future was sent again when it no longer was; so was the old one."""
    (ahead,) = of_reason(before, "from_future")
    acceptable_ms = ahead["append_time"] + AHEAD_MS
    eventually(lambda: time.time() * 1000 > acceptable_ms, "the outcome to be near enough", deadline_s=60)
    done = stack.livelift(*REPLAY)
    assert (done.returncode, done.stdout) == (0, "2 sent again: 1 from_future, 1 too_late\n")
    return look(stack)


REPLAY = ("rejected", "replay", TENANT, "--reason", "from_future", "--reason", "too_late")


def look(stack: RunningStack) -> Seen:
    """All that was sent, once it is in the views."""
    done = stack.livelift("wait", "--timeout", "180", timeout_s=200)
    assert done.returncode == 0, done.stderr
    slots = slots_in_view(stack.settings)
    revenue = sum(slot.sums[0] for key, slot in slots.items() if key.tenant_id == TENANT and key.metric_id)
    (balance,) = (each for each in reconcile(stack.settings, TENANT) if each.topic.endswith("outcomes"))
    assert balance.is_even, balance
    return Seen(revenue, balance.ledger._replace(late=0), refused(stack))


def refused(stack: RunningStack, *arguments: str) -> list[dict[str, Any]]:
    done = stack.livelift("rejected", "list", TENANT, *arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    records: list[dict[str, Any]] = json.loads(done.stdout)
    return records


def of_reason(seen: Seen, reason: str) -> list[dict[str, Any]]:
    return [record for record in seen.refused if record["reason"] == reason]


def test_refused_records_are_found_by_reason_and_time(stack: RunningStack, before: Seen) -> None:
    (ahead,) = of_reason(before, "from_future")
    reason, since, until = ("--reason", "from_future"), ("--since", str(ahead["append_time"])), "--until"
    found = refused(stack, *reason, *since)
    assert [record["offset"] for record in found] == [ahead["offset"]]
    assert refused(stack, *reason, until, str(ahead["append_time"])) == []


def test_a_refused_record_counts_when_it_is_sent_again_once_it_is_good(before: Seen, after: Seen) -> None:
    assert (before.revenue_micros, after.revenue_micros) == (2_000_000, 42_000_000)


def test_every_record_stays_accounted_for(before: Seen, after: Seen) -> None:
    assert before.outcomes == LedgerEntry(4, counted=1, from_future=1, too_late=1, unreadable=1)
    assert after.outcomes == LedgerEntry(6, counted=2, from_future=1, too_late=2, unreadable=1)


def test_a_copy_that_is_refused_in_its_turn_is_known_to_be_one(after: Seen) -> None:
    first, copy = of_reason(after, "too_late")
    assert first["sent_again_as"] == f"{copy['topic']}/{copy['partition']}/{copy['offset']}"
    assert copy["copy_of"] == f"{first['topic']}/{first['partition']}/{first['offset']}"
    assert (copy["record_key"], copy["record_value"]) == (first["record_key"], first["record_value"])


def test_what_was_sent_again_is_not_sent_a_second_time_unasked(stack: RunningStack, after: Seen) -> None:
    done = stack.livelift(*REPLAY)
    assert (done.returncode, done.stdout) == (0, "0 sent again\n")
    assert "2 were sent again before" in done.stderr
    assert "1 are copies that were refused again" in done.stderr
    dry = stack.livelift(*REPLAY, "--again", "--dry-run")
    assert (dry.returncode, dry.stdout) == (0, "1 would be sent again: 1 too_late\n")


def test_a_record_of_which_only_the_beginning_was_kept_is_named_and_not_sent(
    stack: RunningStack, after: Seen
) -> None:
    done = stack.livelift("rejected", "replay", TENANT, "--reason", "unreadable")
    assert (done.returncode, done.stdout) == (1, "0 sent again\n")
    complaint = "1 cannot be sent again, because only the beginning of their bytes was kept: "
    assert f"{complaint}livelift.{TENANT}.outcomes/" in done.stderr


def test_everything_equals_the_reference_afterwards(stack: RunningStack, after: Seen) -> None:
    result = verify(stack.settings)
    assert result.total > 0
    assert result.differences == []
