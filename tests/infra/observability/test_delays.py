"""A tenant's delay is told from Kafka's own offsets and from what the ledger received of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from config.settings import Settings
from infra.clickhouse import connect
from infra.migrations import apply
from infra.observability.exporter.delays import Delays
from tests.infra.clickhouse_process import clickhouse
from tests.infra.kafka_process import append, create, running_broker

pytestmark = [pytest.mark.jvm, pytest.mark.clickhouse]

TENANT = "acme"
TOPIC = f"livelift.{TENANT}.outcomes"


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with running_broker(tmp_path / "broker") as kafka, clickhouse(tmp_path / "tables") as tables:
        apply(tables)
        yield replace(tables, kafka=kafka.kafka)


def ledger_has(settings: Settings, received: int, newest_ms: int) -> None:
    """The whole topic in one minute of the ledger; a greater number replaces a smaller one."""
    connect(settings).command(
        "INSERT INTO ledger_rows (tenant_id, topic, minute, received, as_of, version) "
        f"SELECT '{TENANT}', '{TOPIC}', toStartOfHour(now()), {received}, "
        f"fromUnixTimestamp64Milli({newest_ms}), {received}"
    )


def delay_s(delays: Delays) -> float:
    (sample,) = delays.look()
    assert sample.labels == (TENANT,)
    return sample.value


def test_a_delay_lasts_until_the_ledger_has_received_the_oldest_record(settings: Settings) -> None:
    now_ms = time.time_ns() // 1_000_000
    create(settings, TOPIC, partitions=2)
    append(settings, TOPIC, [now_ms - 90_000, now_ms - 50_000])
    append(settings, TOPIC, [now_ms - 70_000], partition=1)
    assert 90 <= delay_s(Delays(settings)) < 120

    ledger_has(settings, 2, now_ms - 70_000)
    delays = Delays(settings)
    before = delay_s(delays)
    assert 50 <= before < 80
    assert delay_s(delays) > before, "it grows while nothing is counted"

    ledger_has(settings, 3, now_ms - 50_000)
    assert delay_s(delays) == 0
    assert delay_s(Delays(settings)) == 0

    append(settings, TOPIC, [time.time_ns() // 1_000_000])
    delay_s(delays)
    assert 0 < delay_s(delays) < 30
