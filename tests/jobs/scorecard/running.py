"""The scorecard operator over one key, without Flink."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from pyflink.common import Row

from config.settings import ClickHouse
from jobs.scorecard.kept import Kept, Kind
from jobs.scorecard.looks import Looks
from jobs.scorecard.operators import Scorecard
from jobs.scorecard.pace import Times
from jobs.scorecard.slots import Change
from tests.jobs.scorecard.builders import Told, a_change

CHECKOUT = "acme/checkout"
TABLES = ("result_rows", "sample_ratio_rows")

ONLY_REMEMBERED = pytest.mark.parametrize("context", [1], indirect=True)
"""What others have driven out is told and looked at again, though nothing changed."""


class FakeState(dict[str, str]):
    put = dict.__setitem__


class FakeContext:
    """One key's view of the runtime: its state and its timers outlive the operator."""

    def __init__(self) -> None:
        self.states: dict[str, FakeState] = {}
        self.told = Told()
        self.answers = 0
        self.timers_ms: set[int] = set()

    def kept(self, kind: Kind) -> dict[str, str]:
        """The texts of a kind that are in state, by place."""
        return Kept(self.states["experiment"]).read()[kind]

    def get_map_state(self, descriptor: Any) -> FakeState:
        return self.states.setdefault(descriptor.name, FakeState())

    def get_metrics_group(self) -> FakeContext:
        return self

    def counter(self, _: str) -> FakeContext:
        return self

    def inc(self) -> None:
        self.answers += 1

    def get_current_key(self) -> str:
        return CHECKOUT

    def timer_service(self) -> FakeContext:
        return self

    def register_processing_time_timer(self, at_ms: int) -> None:
        self.timers_ms.add(at_ms)


class FakeMemory:
    """What ClickHouse remembers of the looks, by epoch."""

    def __init__(self, texts: dict[int, str] | None = None) -> None:
        self._texts = texts or {}

    def looks(self, tenant_id: str, experiment_id: str, epoch: int) -> str:
        assert f"{tenant_id}/{experiment_id}" == CHECKOUT
        return self._texts.get(epoch, "")


class Running:
    """The operator over one key's state."""

    def __init__(
        self, context: FakeContext, now_s: float = 1000.0, remembered: dict[int, str] | None = None
    ) -> None:
        self._context = context
        self.now_s = now_s
        memory = FakeMemory(remembered)
        self._operator = Scorecard(
            ClickHouse(url="http://localhost"),
            Times(),
            now_s=lambda: self.now_s,
            connect=lambda _: memory,  # type: ignore[arg-type, return-value]
        )
        self._operator.open(context)

        self.answered: list[tuple[str, int]] = []
        """Table and epoch of each answer to the last call."""

    def slots(self, *changes: Change) -> dict[str, dict[str, list[Any]]]:
        """Slots, and with them their totals."""
        return self.records(self._context.told.changes(*changes))

    def records(self, changes: Sequence[Change]) -> dict[str, dict[str, list[Any]]]:
        row = Row(CHECKOUT, json.dumps(changes))
        return self._answers(self._operator.process_element1(row, self._context))

    def define(self, text: str) -> dict[str, dict[str, list[Any]]]:
        return self._answers(self._operator.process_element2(Row(CHECKOUT, text), self._context))

    def until(self, now_s: float) -> list[tuple[float, str, dict[str, list[Any]]]]:
        """Let time pass; what the timers that fire meanwhile say: seconds, table and columns."""
        said = []
        fired: list[int] = []
        while self._context.timers_ms and min(self._context.timers_ms) <= now_s * 1000:
            at_ms = min(self._context.timers_ms)
            fired.append(at_ms)
            assert fired.count(at_ms) < 3, f"a timer at {at_ms} that is set again and again"
            self._context.timers_ms.remove(at_ms)
            self.now_s = max(self.now_s, at_ms / 1000)
            emitted = self._operator.on_timer(at_ms, self._context)
            said += [(self.now_s, table, json.loads(answered)) for table, answered in emitted]
        self.now_s = now_s
        return said

    def _answers(self, emitted: Iterable[Row]) -> dict[str, dict[str, list[Any]]]:
        answers = [(table, json.loads(answered)) for table, answered in emitted]
        self.answered = [
            (table, epoch) for table, columns in answers if table in TABLES for epoch in set(columns["epoch"])
        ]
        return dict(answers)


SLOTS = [
    a_change(variant, values, metric_id)
    for variant, values in (("control", [1, 2, 3]), ("treatment", [2, 4, 6]))
    for metric_id in ("", "revenue")
]


def newer(changes: Sequence[Change], by: int = 1) -> list[Change]:
    return [change._replace(version=change.version + by) for change in changes]


def views(said: Sequence[tuple[float, str, dict[str, list[Any]]]]) -> list[tuple[float, tuple[str, ...]]]:
    """When results were told, and of which views."""
    return [
        (at_s, tuple(dict.fromkeys(columns["view"])))
        for at_s, table, columns in said
        if table == "result_rows"
    ]


UNSETTLED = {0: Looks(0, unsettled_at_ms=2**50).encode()}
"""Looks that never count, so that only time makes the job say anything."""
