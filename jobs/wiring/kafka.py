"""The tables that stand for topics: what the jobs read and write, with the formats of ``schemas/``."""

from __future__ import annotations

from collections.abc import Mapping

from config.settings import Settings
from schemas import avro_text

ATTRIBUTION_GROUP = "livelift-attribution"
"""Consumer group of the attribution job that serves everyone, at epoch 0: what lies before its committed
offsets is in the slots topic. Other lanes have groups of their own (``jobs/attribution/lane.py``)."""

SCORECARD_GROUP = "livelift-scorecard"

SLOTS_TOPIC = "livelift-internal.slots"
COUNTS_TOPIC = "livelift-internal.counts"
DEFINITIONS_TOPIC = "livelift-internal.definitions"
DECISIONS_TOPIC = "livelift-internal.decisions"
HEARTBEAT_TOPIC = "livelift-internal.heartbeat"

ANY_TENANT = "[a-z0-9-]{1,40}"

SLOT_KEY = (
    ("kind", "STRING"),
    ("epoch", "INT"),
    ("tenant_id", "STRING"),
    ("experiment_id", "STRING"),
    ("config_version", "INT"),
    ("variant_id", "STRING"),
    ("metric_id", "STRING"),
    ("segment", "STRING"),
    ("cohort", "BIGINT"),
    ("unit_class", "STRING"),
    ("region", "STRING"),
)
SLOT_VALUE = (
    ("n", "BIGINT"),
    ("sums", "BYTES"),
    ("as_of", "BIGINT"),
    ("updates", "BIGINT"),
    ("version", "BIGINT"),
)
"""Slots and counts have one key and one value: what they count is in the kind."""

REFUSED = """refused ROW<
            reason STRING, detail STRING, topic STRING, `partition` INT, `offset` BIGINT,
            append_time BIGINT, record_key BYTES, record_value BYTES>"""
"""Of a row of kind ``rejected``; absent in the others."""


def received_topics(tenant_id: str = "") -> str:
    """The pattern of a tenant's topics, or of everyone's, and of the heartbeat, which moves time while they
    are silent."""
    return rf"(livelift\.{tenant_id or ANY_TENANT}\.(assignments|outcomes))|(livelift-internal\.heartbeat)"


def counted(settings: Settings, *, group: str, topics: str, keep_minutes_ms: int) -> str:
    """``counted``: the newest content of what the records of topics change, and those refused.

    Topics are read from their beginning, and those yet to come too. The connector is our own
    (``CountedSource.java``). Time is append time; a partition without records
    for ``idle_timeout_ms`` does not hold it back.

    Args:
        group: Consumer group that shows how far the job has come.
        topics: Pattern of the topics' names.
        keep_minutes_ms: How long after its last change a sum of a minute is kept.
    """
    keys = [f"{name} {kind} NOT NULL" for name, kind in SLOT_KEY]
    values = [f"{name} {kind} NOT NULL" for name, kind in SLOT_VALUE if name != "version"]
    options = {
        "connector": "livelift-counted",
        "bootstrap": settings.kafka.bootstrap,
        "topic-pattern": topics,
        "heartbeat-topic": HEARTBEAT_TOPIC,
        "group": group,
        "idle-timeout": f"{settings.attribution.idle_timeout_ms} ms",
        "flush-every": f"{settings.attribution.mini_batch_ms} ms",
        "flush-slots-every": f"{settings.attribution.slots_ms} ms",
        "keep-minutes": f"{keep_minutes_ms} ms",
    }
    return table("counted", ", ".join([*keys, *values, REFUSED]), options)


def slots_written(settings: Settings) -> str:
    """``slots`` to write: the newest content of each slot replaces the one before."""
    return _upserts(settings, "slots", SLOTS_TOPIC)


def slots_read(settings: Settings) -> str:
    """``slots`` to read: every record of the slots topic from its beginning, and where it was."""
    return _records(settings, "slots", SLOTS_TOPIC)


def counts_written(settings: Settings) -> str:
    """``counts`` to write: ledger and activity by minutes, each row the newest content of its key."""
    return _upserts(settings, "counts", COUNTS_TOPIC)


def counts_read(settings: Settings) -> str:
    """``counts`` to read: every record of the counts topic from its beginning, and where it was."""
    return _records(settings, "counts", COUNTS_TOPIC)


def definitions_read(settings: Settings) -> str:
    """``definitions`` to read: every published definition from the first, as its JSON text."""
    options = {
        "connector": "kafka",
        "topic": DEFINITIONS_TOPIC,
        "scan.startup.mode": "earliest-offset",
        "properties.group.id": SCORECARD_GROUP,
        "format": "raw",
    }
    return table("definitions", "definition STRING", _kafka(settings) | options)


def decisions_written(settings: Settings) -> str:
    """``decisions`` to write: JSON records under their decision's id, at least once."""
    options = {
        "connector": "kafka",
        "topic": DECISIONS_TOPIC,
        "sink.delivery-guarantee": "at-least-once",
        "key.format": "raw",
        "key.fields": "decision_id",
        "value.format": "raw",
        "value.fields-include": "EXCEPT_KEY",
    }
    return table("decisions", "decision_id STRING, decision STRING", _kafka(settings) | options)


def table(name: str, columns: str, options: Mapping[str, str]) -> str:
    """The statement that makes a table known for the length of a session."""
    listed = ",\n".join(f"    {_quoted(key)} = {_quoted(value)}" for key, value in options.items())
    return f"CREATE TEMPORARY TABLE {name} (\n        {columns.strip()}\n) WITH (\n{listed}\n)"


def avro(settings: Settings, record: str) -> dict[str, str]:
    """The options of a format for an Avro record of ``schemas/avro``, known to the registry by its name."""
    return {"url": settings.registry.url, "subject": record, "schema": avro_text(record)}


def _upserts(settings: Settings, name: str, topic: str) -> str:
    keys = ", ".join(key for key, _ in SLOT_KEY)
    columns = f"{_slot_columns()}, PRIMARY KEY ({keys}) NOT ENFORCED"
    options = {"connector": "upsert-kafka", "topic": topic, "key.format": "json"}
    return table(name, columns, _kafka(settings) | options | _value_avro(settings, "Slot"))


def _records(settings: Settings, name: str, topic: str) -> str:
    columns = f"""{_slot_columns()},
        source_partition INT NOT NULL METADATA FROM 'partition' VIRTUAL,
        source_offset BIGINT NOT NULL METADATA FROM 'offset' VIRTUAL"""
    options = {
        "connector": "kafka",
        "topic": topic,
        "scan.startup.mode": "earliest-offset",
        "properties.group.id": SCORECARD_GROUP,
        "key.format": "json",
        "key.fields": ";".join(key for key, _ in SLOT_KEY),
    }
    return table(name, columns, _kafka(settings) | options | _value_avro(settings, "Slot"))


def _kafka(settings: Settings) -> dict[str, str]:
    return {"properties.bootstrap.servers": settings.kafka.bootstrap}


def _value_avro(settings: Settings, record: str) -> dict[str, str]:
    options = {f"value.avro-confluent.{name}": value for name, value in avro(settings, record).items()}
    return {"value.format": "avro-confluent", "value.fields-include": "EXCEPT_KEY"} | options


def _slot_columns() -> str:
    keys = [f"{name} {kind} NOT NULL" for name, kind in SLOT_KEY]
    return ", ".join(keys + [f"{name} {kind}" for name, kind in SLOT_VALUE])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
