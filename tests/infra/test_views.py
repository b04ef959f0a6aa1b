"""What the views show arrives as the reference's own types, every column in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from config.settings import Settings
from infra.migrations import apply
from infra.views import activity_in_view, ledger_in_view, slots_in_view
from tests.builders import BEGINNING
from tests.infra.clickhouse_process import clickhouse, connect
from udfs.attribution.reference import (
    LEDGER_NAMES,
    SUM_NAMES,
    Activity,
    ActivityKey,
    LedgerEntry,
    LedgerKey,
    Slot,
    SlotKey,
)

pytestmark = pytest.mark.clickhouse

NOW = datetime.fromtimestamp(BEGINNING / 1000, UTC)
WRITTEN = {"as_of": NOW, "updates": 1, "source_partition": 0, "source_offset": 0, "version": 1}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with clickhouse(tmp_path_factory.mktemp("clickhouse")) as settings:
        apply(settings)
        yield settings


def insert(settings: Settings, table: str, row: Mapping[str, Any]) -> None:
    with connect(settings) as client:
        client.insert(table, [list(row.values())], list(row), settings={"async_insert": 0})


def test_a_slot_has_its_key_and_its_sums_in_order(settings: Settings) -> None:
    key = SlotKey("acme", "button", 2, "control", "revenue", "country=DE", BEGINNING, "bot", "eu")
    sums = {f"sum_{name}": 2**200 + number for number, name in enumerate(SUM_NAMES)}
    fields = {name: value for name, value in key._asdict().items() if name != "cohort_ms"}
    insert(settings, "slot_rows", fields | {"cohort": NOW, "n": 0, "version": 1} | sums)
    assert slots_in_view(settings) == {key: Slot(0, tuple(sums.values()))}


def test_a_minute_of_the_ledger_has_every_count_in_its_place(settings: Settings) -> None:
    counts = {name: number for number, name in enumerate(LEDGER_NAMES, start=1)}
    for tenant in ("acme", "globex"):
        row = {"tenant_id": tenant, "topic": f"livelift.{tenant}.outcomes", "minute": NOW, "received": 1000}
        insert(settings, "ledger_rows", row | counts | WRITTEN)
    entry = LedgerEntry(received=1000, **counts)
    keys = [LedgerKey(tenant, f"livelift.{tenant}.outcomes", BEGINNING) for tenant in ("acme", "globex")]
    assert ledger_in_view(settings) == dict.fromkeys(keys, entry)
    assert ledger_in_view(settings, "globex") == {keys[1]: entry}
    assert ledger_in_view(settings, "nobody") == {}


def test_a_minute_of_activity_has_its_number_and_its_exact_value(settings: Settings) -> None:
    exposures = ActivityKey("acme", "button", 1, "control", "", BEGINNING, "eu")
    revenue = exposures._replace(metric_id="revenue")
    shown = {exposures: Activity(3, 0), revenue: Activity(2, -(2**180))}
    for key, happened in shown.items():
        fields = {name: value for name, value in key._asdict().items() if name != "minute_ms"}
        counted = {"minute": NOW, "n": happened.n, "value_micros": happened.value_micros}
        insert(settings, "activity_rows", fields | counted | WRITTEN)
    assert activity_in_view(settings) == shown
