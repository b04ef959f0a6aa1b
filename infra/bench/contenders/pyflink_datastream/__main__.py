"""``python -m infra.bench.contenders.pyflink_datastream [MODE]`` submits the job and prints its id.

MODE is ``thread`` (Python inside the JVM, the default and the faster one) or ``process`` (beside it).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pyflink.common import WatermarkStrategy
from pyflink.common.serialization import ByteArraySchema
from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.datastream.connectors.kafka import KafkaOffsetsInitializer, KafkaSource
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

from config.settings import Settings, load
from infra.bench.contenders.pyflink_datastream.operators import CHANGE, AttributeInPython, unit_key
from infra.bench.contenders.submitting import options, written
from infra.definitions import read_published
from jobs.wiring.flink import python_workers
from udfs.attribution.reference import Definition, Rules

FOLDER = Path(__file__).parent
TOPIC = "bench.pyflink-datastream.slots"
SUMS = ("y", "d", "x", "e", "yy", "yd", "yx", "ye", "dd", "dx", "de", "xx", "xe", "ee")
SLOTS = (
    f"slot STRING, n BIGINT, {', '.join(f'{name} DOUBLE' for name in SUMS)}, PRIMARY KEY (slot) NOT ENFORCED"
)
MINI_BATCH_MS = 2000
BUNDLE_MS = 1000
BUNDLE_RECORDS = 10_000
CACHED_UNITS = 200_000
"""Of each worker in mode ``process``, where every unit that is not cached costs a call to the JVM."""


def submit(settings: Settings, mode: str) -> str:
    """Start the job and return its id."""
    running = options(settings, "bench-pyflink-datastream", MINI_BATCH_MS)
    for key, value in (python_workers(BUNDLE_MS) | _workers(mode)).items():
        running.set_string(key, value)
    java = get_gateway().jvm.org.apache.flink.streaming.api.environment.StreamExecutionEnvironment
    environment = StreamExecutionEnvironment(java(running._j_configuration))
    tables = StreamTableEnvironment.create(environment)
    changes = (
        _records(environment, settings, "assignments")
        .connect(_records(environment, settings, "outcomes"))
        .key_by(unit_key, unit_key)
        .process(AttributeInPython(*_rules(settings)), output_type=CHANGE)
        .uid("attribution-by-unit")
    )
    tables.create_temporary_view("changes", changes)
    tables.execute_sql(written(settings, "slots", SLOTS, TOPIC))
    statements = tables.create_statement_set()
    statements.add_insert_sql((FOLDER / "slots.sql").read_text(encoding="utf-8"))
    statements.attach_as_datastream()
    return str(environment.execute_async("bench-pyflink-datastream").get_job_id())


def _workers(mode: str) -> dict[str, str]:
    return {
        "python.execution-mode": mode,
        "python.fn-execution.bundle.size": str(BUNDLE_RECORDS),
        "python.state.cache-size": str(CACHED_UNITS),
        "python.metric.enabled": "false",
    }


def _records(environment: Any, settings: Settings, kind: str) -> DataStream:
    source = (
        KafkaSource.builder()
        .set_bootstrap_servers(settings.kafka.bootstrap)
        .set_group_id("livelift-bench")
        .set_topic_pattern(rf"livelift\.[a-z0-9-]{{1,40}}\.{kind}")
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_value_only_deserializer(ByteArraySchema())
        .build()
    )
    return environment.from_source(source, WatermarkStrategy.no_watermarks(), kind)


def _rules(settings: Settings) -> tuple[list[Definition], Rules]:
    definitions = [
        Definition.from_json(published.content, published.append_time_ms)
        for published in read_published(settings).values()
    ]
    rules = Rules(
        horizon_ms=settings.attribution.horizon_ms,
        future_ms=settings.attribution.future_ms,
        retention_ms=settings.attribution.retention_ms,
        region=settings.region,
    )
    return definitions, rules


if __name__ == "__main__":
    print(submit(load(), sys.argv[1] if len(sys.argv) > 1 else "thread"))
