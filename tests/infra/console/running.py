"""The console over a real ClickHouse, for tests: served on a free port, fed by inserting rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import uvicorn
from clickhouse_connect.driver.client import Client

from config.settings import Settings
from infra.console import HOST
from infra.console.definitions import Definition, Known
from infra.console.server import application, listening_socket
from tests.infra.clickhouse_process import connect
from tests.infra.console.worlds import (
    a_decision,
    a_definition,
    a_ledger_minute,
    a_ratio,
    a_result,
    a_segment,
    a_slot,
    insert,
    moved,
    open_result,
    undetermined,
)
from tests.waiting import eventually

HOSTILE = "</script><img src=x onerror=alert(1)>'\"&{{7*7}}/../%2e%2e?#é"
"""An id that would be markup, a template, a path or a query wherever it is not taken for an id."""

DEFINITIONS: Mapping[tuple[str, str], Definition] = {
    ("acme", "checkout-button"): a_definition(),
    ("acme", "onboarding-tour"): a_definition(experiment_id="onboarding-tour"),
    ("acme", "moving"): a_definition(experiment_id="moving"),
}
KNOWN = Known(DEFINITIONS, was_read=True, is_complete=True)


def now() -> datetime:
    """To the millisecond, as ClickHouse keeps it."""
    found = datetime.now(UTC)
    return found.replace(microsecond=found.microsecond // 1000 * 1000)


@dataclass(frozen=True)
class World:
    """A database that experiments are written to as the jobs write them; later rows replace earlier ones."""

    client: Client

    def add(self, table: str, *rows: dict[str, Any]) -> None:
        """Rows that are true from now on."""
        self.add_as_of(now(), table, *rows)

    def add_as_of(self, as_of: datetime, table: str, *rows: dict[str, Any]) -> None:
        """Rows that are written now, from events up to a moment."""
        moment = now()
        times = {"as_of": as_of, "computed_at": moment, "version": int(moment.timestamp() * 1e6)}
        insert(
            self.client,
            table,
            *({name: times.get(name, value) for name, value in row.items()} for row in rows),
        )

    def add_history(self, *rows: dict[str, Any]) -> None:
        """Rows as they were at their ``computed_at``."""
        kept = [{**row, "kept": "decision", "kept_at": row["computed_at"]} for row in rows]
        insert(self.client, "result_history_rows", *kept)

    def fill(self) -> None:
        """An experiment in which something of everything is to be seen."""
        refunded = undetermined(
            "all_or_none_converted", metric_id="refunded", mean_control=0.0, days_left=12.0
        )
        latency = moved(0.006, 0.0075, mean=312.0, metric_id="latency_ms", p_adjusted=None)
        self.add("result_rows", a_result(), open_result(), refunded, latency)
        self.add(
            "result_rows",
            a_segment("country=DE", 0.031, 0.026, 61_730),
            a_segment("country=US", 0.030, 0.021, 88_014),
        )
        self.add("sample_ratio_rows", a_ratio())
        moment = now()
        self.add("ledger_rows", a_ledger_minute(minute=moment))
        self.add(
            "slot_rows", a_slot("control", 92_100, cohort=moment), a_slot("treatment", 92_111, cohort=moment)
        )
        self.add("slot_rows", a_slot("treatment", 811, cohort=moment, unit_class="crossed"))

    def stop(self) -> None:
        """Latency is harmed, and the engine has decided so."""
        self.add("result_rows", moved(0.07, 0.01, mean=312.0, metric_id="latency_ms", p_adjusted=None))
        moment = now()
        self.add("decision_rows", a_decision(decided_at=moment, crossed_at=moment))


@contextmanager
def served(load: Callable[[], Settings], **options: Any) -> Iterator[str]:
    """The address of a console over the settings that ``load`` reads, for as long as the block runs."""
    listening = listening_socket(0)
    app = application(load, definitions=lambda: KNOWN, **options)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started, "the console listens")
        yield f"http://{HOST}:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        listening.close()


def world_of(settings: Settings) -> World:
    """The world in a database that is there."""
    return World(connect(settings))
