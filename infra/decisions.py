"""The view ``decisions``: what was decided, and what comes to be decided."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from config.settings import Settings
from infra.clickhouse import DatabaseError
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
    say: Callable[[str], None],
    tenant_id: str = "",
    experiment_id: str = "",
    *,
    pause: Callable[[float], object] = time.sleep,
) -> Iterator[Row]:
    """Each decision once, those there are and those to come; never ends by itself.

    Args:
        say: Told once when ClickHouse goes away, and once when it is back.

    Raises:
        DatabaseError: ClickHouse does not answer the first time.
    """
    seen: set[str] = set()
    rows, is_away = read_decisions(settings, tenant_id, experiment_id), False
    while True:
        for row in rows:
            if row["decision_id"] not in seen:
                seen.add(row["decision_id"])
                yield row
        pause(POLL_S)
        try:
            rows = read_decisions(settings, tenant_id, experiment_id)
            if is_away:
                is_away = False
                say("ClickHouse answers again")
        except DatabaseError as error:
            if not is_away:
                is_away = True
                say(f"{error}; asking again until it does")
