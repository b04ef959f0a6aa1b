"""The view ``decisions``: what was decided, and what comes to be decided."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from config.settings import Settings
from infra.results import Row, read

DECISIONS = """
SELECT * EXCEPT (version) FROM decisions
WHERE ({tenant:String} = '' OR tenant_id = {tenant:String})
  AND ({experiment:String} = '' OR experiment_id = {experiment:String})
  AND ({decision:String} = '' OR decision_id = {decision:String})
ORDER BY decided_at, decision_id
"""

POLL_S = 0.5


def read_decisions(
    settings: Settings, tenant_id: str = "", experiment_id: str = "", decision_id: str = ""
) -> list[Row]:
    """Decisions, oldest first; what is empty says nothing.

    Raises:
        DatabaseError: ClickHouse does not answer.
    """
    asked = {"tenant": tenant_id, "experiment": experiment_id, "decision": decision_id}
    return read(settings, DECISIONS, asked)


def follow_decisions(
    settings: Settings,
    tenant_id: str = "",
    experiment_id: str = "",
    *,
    pause: Callable[[float], object] = time.sleep,
) -> Iterator[Row]:
    """Each decision once, those there are and those to come; never ends by itself.

    Raises:
        DatabaseError: ClickHouse does not answer.
    """
    seen: set[str] = set()
    while True:
        for row in read_decisions(settings, tenant_id, experiment_id):
            if row["decision_id"] not in seen:
                seen.add(row["decision_id"])
                yield row
        pause(POLL_S)
