"""The Java rules without Flink: histories in, what the engine makes of them out.

Speaks with ``io.livelift.attribution.Replay``, one process for all histories of a test module.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Timer
from typing import Any, TypeVar

from config.settings import load
from tests.builders import DAY, SCHEMAS, Published, Written
from tests.strategies import AdvanceTo, Restart, Step
from udfs.attribution.reference import (
    Activity,
    ActivityKey,
    Attribution,
    LedgerEntry,
    LedgerKey,
    Reason,
    Rejected,
    Rules,
    Slot,
    SlotKey,
)

K = TypeVar("K")
V = TypeVar("V")

PATIENCE_S = 60
"""For one history; they take milliseconds."""


@dataclass(frozen=True)
class Run:
    """What the engine gave, and what it still remembers at the end."""

    attribution: Attribution
    units: int
    """Units with a state."""
    pages: int
    """Pages of larger memory, of all units."""


class Engine:
    """A running Replay. One history at a time; a history that fails is an ``EngineError``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def attribute(
        self, steps: Sequence[Step], rules: Rules, *, max_skew_ms: int = DAY, end_at: int | None = None
    ) -> Attribution:
        """What the engine gives when it sees the steps in this order and time comes to ``end_at``.

        By default time ends with the last record, as in the reference.

        Raises:
            EngineError: The rules failed, the process ended, or a refused record is not the one received.
        """
        return self.run(steps, rules, max_skew_ms=max_skew_ms, end_at=end_at).attribution

    def run(
        self, steps: Sequence[Step], rules: Rules, *, max_skew_ms: int = DAY, end_at: int | None = None
    ) -> Run:
        """The same, and what is left."""
        records = [step for step in steps if isinstance(step, Written)]
        if end_at is None:
            end_at = max(each.received.append_time_ms for each in records)
        answer = self._ask(
            {
                "rules": {**_rules(rules), "max_skew_ms": max_skew_ms},
                "schemas": _schemas(),
                "records": [_step(step) for step in steps],
                "end_at": end_at,
            }
        )
        _check_refused_records(answer["rejected"], records)
        rejected = [
            Rejected(Reason(row["reason"]), row["topic"], row["partition"], row["offset"])
            for row in answer["rejected"]
        ]
        attribution = Attribution(
            dict(_once(map(_slot, answer["slots"]))),
            sorted(rejected, key=lambda refusal: refusal[1:]),
            dict(_once(map(_ledger_entry, answer["ledger"]))),
            dict(_once(map(_activity, answer["activity"]))),
        )
        return Run(attribution, answer["units"], answer["pages"])

    def _ask(self, case: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        watchdog = Timer(PATIENCE_S, self._process.kill)
        watchdog.start()
        try:
            self._process.stdin.write(json.dumps(case) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            raise EngineError(f"no answer within {PATIENCE_S} s, or Replay ended by itself")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise EngineError(answer["error"])
        return answer


class EngineError(Exception):
    """The engine failed where it should have answered."""


@contextmanager
def running_engine() -> Iterator[Engine]:
    """Starts Replay from the compiled function and ends it; a jar that is missing is named.

    Raises:
        FileNotFoundError: The function has not been built.
    """
    process = subprocess.Popen(
        ["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", _class_path(), "io.livelift.attribution.Replay"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        yield Engine(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _class_path() -> str:
    """The function's jar, and what Flink and the pinned connectors bring to it at run time."""
    settings = load()
    pyflink = find_spec("pyflink")
    if pyflink is None or pyflink.origin is None:
        raise FileNotFoundError("apache-flink is not installed")
    jars = [settings.attribution_jar, *settings.flink_jars]
    for jar in jars:
        if not jar.is_file():
            raise FileNotFoundError(f"{jar} is missing: the function is not built")
    return ":".join(map(str, [*jars, *sorted((Path(pyflink.origin).parent / "lib").glob("*.jar"))]))


def _once(rows: Iterable[tuple[K, V]]) -> Iterator[tuple[K, V]]:
    seen = set()
    for key, value in rows:
        if key in seen:
            raise EngineError(f"given twice: {key}")
        seen.add(key)
        yield key, value


def _slot(row: dict[str, Any]) -> tuple[SlotKey, Slot]:
    return SlotKey(*(row[name] for name in SlotKey._fields)), Slot(row["n"], tuple(map(int, row["sums"])))


def _ledger_entry(row: dict[str, Any]) -> tuple[LedgerKey, LedgerEntry]:
    _check_empty(row, "experiment_id", "config_version", "variant_id", "segment", "unit_class")
    *counts, unused = map(int, row["sums"])
    if unused:
        raise EngineError(f"a ledger row has a fourteenth count: {row}")
    return LedgerKey(row["tenant_id"], row["metric_id"], row["cohort_ms"]), LedgerEntry(row["n"], *counts)


def _activity(row: dict[str, Any]) -> tuple[ActivityKey, Activity]:
    _check_empty(row, "segment", "unit_class")
    value_micros, *unused = map(int, row["sums"])
    if any(unused):
        raise EngineError(f"an activity row has more than one sum: {row}")
    key = ActivityKey(*(row["cohort_ms" if name == "minute_ms" else name] for name in ActivityKey._fields))
    return key, Activity(row["n"], value_micros)


def _check_empty(row: dict[str, Any], *names: str) -> None:
    if any(row[name] for name in names):
        raise EngineError(f"{', '.join(names)} are not all empty: {row}")


def _rules(rules: Rules) -> dict[str, Any]:
    return {name: getattr(rules, name) for name in rules.__slots__}


def _schemas() -> dict[str, str]:
    return {str(schema_id): text for schema_id, text in SCHEMAS.items()}


def _step(step: Step) -> dict[str, Any]:
    match step:
        case Published(definition, append_time_ms):
            return {"definition": definition, "append_time": append_time_ms}
        case AdvanceTo(append_time_ms):
            return {"advance_to": append_time_ms}
        case Restart():
            return {"restart": True}
        case Written(received, value):
            return {
                "kind": received.topic.rsplit(".", 1)[-1].removesuffix("s"),
                "tenant_id": received.tenant_id,
                "topic": received.topic,
                "partition": received.partition,
                "offset": received.offset,
                "append_time": received.append_time_ms,
                "key": _base64(received.key),
                "value": _base64(value),
            }


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _check_refused_records(rejected: list[dict[str, Any]], records: Iterable[Written]) -> None:
    """A refused record keeps its bytes and its time, even if it has waited for its definition."""
    by_place = {
        (each.received.topic, each.received.partition, each.received.offset): each for each in records
    }
    for row in rejected:
        written = by_place[row["topic"], row["partition"], row["offset"]]
        kept = (row["key"], row["value"], row["append_time"])
        if kept != (_base64(written.received.key), _base64(written.value), written.received.append_time_ms):
            raise EngineError(f"a refused record was changed: {row} instead of {written}")
