"""What a running job and today's code must share for the one to take over the state of the other."""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from pathlib import Path

from config.settings import Settings

KEPT_PLAN = Path(__file__).with_name("plan.json")
"""Today's compiled plan. It is compared with today's queries by a test, and before a job is submitted."""

KINDS = "activity ledger slot total"
"""What is added up: sums of a kind that an earlier release did not know would begin in the middle."""


def must_match(settings: Settings) -> dict[str, str]:
    """The job parameters that must be equal, by name: the layout of the state, and the rules.

    State in another layout cannot be read. Sums begun by other rules would be those of neither.
    """
    rules = settings.attribution
    return {
        "livelift.plan_sha256": plan_sha256(),
        "livelift.kinds": KINDS,
        "livelift.region": settings.region,
        "livelift.horizon_ms": str(rules.horizon_ms),
        "livelift.future_ms": str(rules.future_ms),
        "livelift.retention_ms": str(rules.retention_ms),
    }


@cache
def plan_sha256() -> str:
    """The hash of today's plan."""
    return layout_sha256(KEPT_PLAN.read_text(encoding="utf-8"))


def layout_sha256(plan: str) -> str:
    """A hash of what the state's names hang on: the plan without its texts for people.

    What the plan's source keeps is not in the plan: units' bytes and sums bear their own layout
    (``UnitState.java``, ``Sum.java``).
    """
    content = json.loads(plan)
    for node in content["nodes"]:
        node.pop("description")
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
