"""An experiment that does harm to a guardrail that stops, for tests of what follows from it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from random import Random
from typing import Any

from infra.decisions import read_decisions
from tests.running_stack import RunningStack
from tests.waiting import eventually

DEFINITION = """
tenant_id: {tenant}
experiment_id: {experiment}
variants: {{control: 1, treatment: 1}}
planned_units: 1000
metrics:
  - {{id: latency, kind: mean, role: guardrail, direction: decrease, margin: 0.05, stop: true}}
"""
SLOWER = {"harmful": 0.5, "harmless": 0.0}
"""How much, in the treatment, by experiment."""
UNITS = 400
"""Enough for a stop."""
DECIDED_WITHIN_S = 60.0


def stop_decision(stack: RunningStack, tenant_id: str, folder: Path) -> dict[str, Any]:
    """The only decision about a tenant of its own, of whose two experiments one does harm."""
    for experiment in SLOWER:
        (folder / experiment).write_text(DEFINITION.format(tenant=tenant_id, experiment=experiment))
        done = stack.livelift("define", str(folder / experiment))
        assert done.returncode == 0, done.stderr
        publish(stack, tenant_id, experiment, 0, UNITS)
    (decision,) = eventually(
        lambda: read_decisions(stack.settings, tenant_id), "the stop decision", deadline_s=DECIDED_WITHIN_S
    )
    return decision


def publish(stack: RunningStack, tenant_id: str, experiment: str, begin: int, units: int) -> None:
    """Units of both variants, each with its latency; the treatment of the harmful experiment is slower."""
    random, now_ms = Random(begin), time.time_ns() // 1_000_000
    assignments, outcomes = [], []
    for index in range(begin, begin + units):
        unit, variant = f"{experiment}-{index}", ("control", "treatment")[index % 2]
        slower = SLOWER[experiment] if variant == "treatment" else 0.0
        common = {"tenant_id": tenant_id, "unit_id": unit, "event_id": "1"}
        assigned = {"experiment_id": experiment, "variant_id": variant, "assigned_at": now_ms}
        value = (1 + slower) * random.uniform(0.8, 1.2)
        assignments.append(common | assigned)
        outcomes.append(common | {"metric_id": "latency", "value": value, "occurred_at": now_ms + 1})
    for kind, events in (("assignments", assignments), ("outcomes", outcomes)):
        lines = "".join(json.dumps(event) + "\n" for event in events)
        done = stack.livelift("publish", kind, "-", stdin=lines)
        assert done.returncode == 0, done.stderr
