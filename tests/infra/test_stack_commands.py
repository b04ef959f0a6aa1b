"""The commands against the running stack, in the order in which a user needs them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from infra import waiting
from infra.broker import Broker
from infra.producer import EventProducer
from infra.registry import Registry, RegistryError
from infra.topics import COMPATIBILITY, create_all, create_tenant, register_schemas
from infra.verification import read_received
from infra.waiting import Audience, NotThereError
from jobs.attribution.lane import Lane
from schemas import AVRO_RECORDS
from schemas.events import EventKind, UnreadableError, own_schema
from tests.builders import an_assignment
from tests.running_stack import RunningStack

# First, for it compares everything again and again: while there is little.
pytestmark = pytest.mark.stack(turn=-1)

TENANT = "commands-test"
DEFINITION = f"""
tenant_id: {TENANT}
experiment_id: button
variants: {{control: 1, treatment: 1}}
metrics:
  - {{id: revenue, source: purchase, kind: mean, role: goal}}
  - {{id: converted, source: purchase, kind: proportion}}
"""


def now_ms() -> int:
    return int(time.time() * 1000)


def lines(*events: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(event)}\n" for event in events)


def assignment(unit: int, at_ms: int, **changes: Any) -> dict[str, Any]:
    return {
        "tenant_id": TENANT,
        "unit_id": f"unit-{unit}",
        "event_id": "a",
        "experiment_id": "button",
        "variant_id": ("control", "treatment")[unit % 2],
        "assigned_at": at_ms,
    } | changes


def outcome(unit: int, at_ms: int, **changes: Any) -> dict[str, Any]:
    return {
        "tenant_id": TENANT,
        "unit_id": f"unit-{unit}",
        "event_id": "o",
        "metric_id": "purchase",
        "value": 10 + unit,
        "occurred_at": at_ms,
    } | changes


def test_topics_and_schemas_are_created_once(stack: RunningStack) -> None:
    settings = stack.settings
    assert create_all(settings) == []  # `up` has done it
    created = create_tenant(settings, f"{TENANT}-2")
    assert sorted(created) == [f"livelift.{TENANT}-2.assignments", f"livelift.{TENANT}-2.outcomes"]
    assert create_tenant(settings, f"{TENANT}-2") == []
    assert register_schemas(settings) == register_schemas(settings)


def test_the_registry_gives_schemas_by_id_and_keeps_them_compatible(stack: RunningStack) -> None:
    registry = Registry(stack.settings)
    for record, schema_id in register_schemas(stack.settings).items():
        assert registry.writer_schema(schema_id) == own_schema(record)
        assert registry.compatibility(record) == COMPATIBILITY
    with pytest.raises(UnreadableError):
        registry.writer_schema(2_000_000_000)


@pytest.mark.parametrize("record", AVRO_RECORDS)
def test_the_registry_refuses_a_schema_that_old_readers_could_not_read(
    stack: RunningStack, record: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    incompatible = json.dumps(
        {
            "type": "record",
            "name": record,
            "namespace": "io.livelift",
            "fields": [{"name": "tenant_id", "type": "int"}],
        }
    )
    monkeypatch.setattr("infra.registry.avro_text", lambda _: incompatible)
    with pytest.raises(RegistryError):
        Registry(stack.settings).register(record, COMPATIBILITY)


def test_what_is_published_is_in_the_views_after_wait(stack: RunningStack, tmp_path: Path) -> None:
    definition = tmp_path / "button.yaml"
    definition.write_text(DEFINITION, encoding="utf-8")
    assert stack.livelift("define", str(definition)).stdout == f"{TENANT}/button/1 published\n"
    assert stack.livelift("define", str(definition)).stdout == f"{TENANT}/button/1 unchanged\n"
    definition.write_text(DEFINITION.replace("control: 1", "control: 2"), encoding="utf-8")
    refused = stack.livelift("define", str(definition))
    assert refused.returncode == 1
    assert "published with other content (variants.control differs)" in refused.stderr

    at_ms = now_ms()
    file = tmp_path / "assignments.ndjson"
    file.write_text(lines(*(assignment(unit, at_ms) for unit in range(40))), encoding="utf-8")
    assert stack.livelift("publish", "assignments", str(file)).stdout == "40 assignments published\n"
    published = stack.livelift(
        "publish",
        "outcomes",
        "-",
        stdin=lines(*(outcome(unit, at_ms + 1) for unit in range(0, 40, 3)))
        + "{not json\n\n"
        + lines(outcome(1, at_ms, value="7"), outcome(1, at_ms, value=1e10)),
    )
    assert published.returncode == 1
    assert "line 15: not JSON" in published.stderr
    assert "line 17: value: '7' is not a number" in published.stderr
    assert "2 bad lines were not sent" in published.stderr
    assert published.stdout == "15 outcomes published\n"

    waited = stack.livelift("wait", "--timeout", "60")
    assert (waited.returncode, waited.stderr) == (0, "")

    shown = stack.livelift("results", TENANT, "button", "--format", "json")
    rows = {row["metric_id"]: row for row in json.loads(shown.stdout)}
    assert (rows["revenue"]["n_control"], rows["revenue"]["n_treatment"]) == (20, 20)
    assert rows["converted"]["mean_control"] == 0.35
    assert rows["revenue"]["mean_control"] == sum(10 + unit for unit in range(0, 40, 6)) / 20
    table = stack.livelift("results", TENANT).stdout
    assert f"{TENANT}/button" in table
    assert "control 20 (expected 20), treatment 20 (expected 20)" in table

    counted = stack.livelift(
        "sql", f"SELECT sum(n) AS n FROM slots WHERE tenant_id = '{TENANT}'", "--format", "JSONEachRow"
    )
    assert int(json.loads(counted.stdout)["n"]) == 40

    rejected = stack.livelift("rejected", "list", "--tenant", TENANT, "--format", "json")
    (record,) = json.loads(rejected.stdout)
    assert (record["reason"], record["topic"]) == ("bad_value", f"livelift.{TENANT}.outcomes")

    verified = stack.livelift("verify")
    assert verified.returncode == 0, verified.stdout
    checked = verified.stdout.splitlines()
    for line, (view, rows) in zip(checked, CHECKED, strict=True):
        total = line.split()[1]
        assert line == f"{view}: {total} of {total} {rows} equal"

    reconciled = stack.livelift("reconcile", TENANT)
    assert reconciled.returncode == 0, reconciled.stdout
    assert reconciled.stdout.endswith("reconcile: 55 of 55 records accounted for\n")


CHECKED = (("verify", "slots"), ("totals", "rows"), ("ledger", "rows"), ("activity", "rows"))


@pytest.mark.parametrize(("kind", "cohort"), [("slot", ""), ("total", "(all cohorts)")])
def test_verify_finds_a_slot_or_a_total_that_is_wrong(stack: RunningStack, kind: str, cohort: str) -> None:
    wrong = (
        "INSERT INTO slot_rows SELECT * REPLACE (n + 1 AS n, version + 1 AS version) "
        f"FROM slot_rows FINAL WHERE tenant_id = '{TENANT}' AND metric_id = '' AND variant_id = 'control' "
        f"AND kind = '{kind}'"
    )
    right = wrong.replace("n + 1 AS n", "n - 1 AS n")
    assert stack.livelift("sql", wrong).returncode == 0
    try:
        found = stack.livelift("verify")
        assert found.returncode == 1
        assert f"{TENANT}/button/1 control (exposures) (everyone) {cohort}" in found.stdout
        assert f"1 {kind}s differ" in found.stderr
    finally:
        assert stack.livelift("sql", right).returncode == 0
    assert stack.livelift("verify").returncode == 0


def test_all_that_a_topic_holds_is_read_however_much_it_is(stack: RunningStack) -> None:
    tenant_id = f"{TENANT}-many"
    with EventProducer(stack.settings) as producer:
        for unit in range(12_000):
            producer.send(an_assignment(tenant_id=tenant_id, unit_id=f"unit-{unit}", assigned_at=now_ms()))
        producer.send_bytes(tenant_id, EventKind.OUTCOMES, b"unit-1", b"no event")
    assert (producer.delivery.delivered, producer.delivery.failed) == (12_001, 0)
    mine = [record for record in read_received(stack.settings) if record.tenant_id == tenant_id]
    assert len(mine) == 12_001
    assert {record.partition for record in mine} == set(range(stack.settings.kafka.tenant_partitions))
    assert [record.event for record in mine if record.topic.endswith("outcomes")] == [None]
    ends = Broker(stack.settings).end_offsets([f"livelift.{tenant_id}.assignments"])
    assert sum(ends.values()) == 12_000


def test_a_simulation_is_verified_to_the_last_slot(stack: RunningStack) -> None:
    simulated = stack.livelift("simulate", "--rate", "1000", "--seconds", "8", "--seed", "7")
    assert simulated.returncode == 0, simulated.stderr
    assert "duplicates" in simulated.stdout
    assert stack.livelift("wait", "--timeout", "60").returncode == 0
    for check in ("verify", "reconcile"):
        done = stack.livelift(check)
        assert done.returncode == 0, done.stdout
    reasons = stack.livelift("rejected", "list", "--tenant", "acme").stderr
    assert "duplicate" in reasons


def test_wait_says_what_it_waited_for(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "read_published", lambda _: {})  # nobody waits for a definition
    never_ran = Audience.after(Lane(epoch=2047))
    with pytest.raises(NotThereError, match=r"^not there after 0\.3 s: [0-9,]+ records are not in"):
        waiting.wait_for(stack.settings, never_ran, 0.3)


def test_results_of_nobody_are_none(stack: RunningStack) -> None:
    shown = stack.livelift("results", "nobody")
    assert shown.returncode == 1
    assert shown.stderr.startswith("livelift: no experiment of nobody is defined: the tenants are ")
    assert shown.stderr.count("\n") == 1
    assert stack.livelift("results", "nobody", "--format", "json").stdout == "[]\n"


def test_a_query_with_a_fault_is_refused_in_one_line(stack: RunningStack) -> None:
    refused = stack.livelift("sql", "SELECT nothing FROM nowhere")
    assert refused.returncode == 1
    assert refused.stderr.startswith("livelift: ClickHouse: ")
    assert refused.stderr.count("\n") == 1
