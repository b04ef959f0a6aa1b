"""What contenders that are not the product share: options like the product's, tables to read and write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka.cimpl import NewTopic
from pyflink.common import Configuration

from config.settings import Settings
from infra.broker import Broker
from jobs.wiring import kafka
from jobs.wiring.flink import configuration


def options(settings: Settings, name: str, mini_batch_ms: int) -> Configuration:
    """The product's own options, with mini-batches by the clock and aggregation in two phases."""
    found = configuration(settings, name)
    for key, value in {
        "table.exec.mini-batch.enabled": "true",
        "table.exec.mini-batch.allow-latency": f"{mini_batch_ms} ms",
        "table.exec.mini-batch.size": "50000",
        "table.optimizer.agg-phase-strategy": "TWO_PHASE",
    }.items():
        found.set_string(key, value)
    return found


def read(settings: Settings, name: str, columns: str, topics: str, format_options: Mapping[str, str]) -> str:
    """A table of the records of topics, given by a pattern, from the beginning."""
    common = {
        "connector": "kafka",
        "properties.bootstrap.servers": settings.kafka.bootstrap,
        "properties.group.id": "livelift-bench",
        "topic-pattern": topics,
        "scan.startup.mode": "earliest-offset",
    }
    return kafka.table(name, columns, {**common, **format_options})


def written(settings: Settings, name: str, columns: str, topic: str) -> str:
    """A table whose newest row of each key is in a topic, as JSON; the topic is created if it is missing."""
    Broker(settings).create([NewTopic(topic, settings.kafka.slots_partitions, settings.kafka.replication)])
    options = {
        "connector": "upsert-kafka",
        "properties.bootstrap.servers": settings.kafka.bootstrap,
        "topic": topic,
        "key.format": "json",
        "value.format": "json",
    }
    return kafka.table(name, columns, options)


def job_id(result: Any) -> str:
    """The id of the job that executing a statement submitted."""
    return str(result.get_job_client().get_job_id())
