"""The table that stands for the rejected topic: records without part in results, with reason and bytes."""

from __future__ import annotations

from config.settings import Settings
from jobs.wiring.kafka import avro, table

REJECTED_TOPIC = "livelift-internal.rejected"


def rejected_written(settings: Settings) -> str:
    """``rejected`` to write; a row is there at least once, and more often after a failure."""
    columns = """
        tenant_id STRING,
        reason STRING,
        detail STRING,
        topic STRING,
        `partition` INT,
        `offset` BIGINT,
        append_time BIGINT,
        record_key BYTES,
        record_value BYTES"""
    options = {
        "connector": "kafka",
        "topic": REJECTED_TOPIC,
        "properties.bootstrap.servers": settings.kafka.bootstrap,
        "format": "avro-confluent",
    }
    schema = {f"avro-confluent.{name}": value for name, value in avro(settings, "Rejected").items()}
    return table("rejected", columns, options | schema)
