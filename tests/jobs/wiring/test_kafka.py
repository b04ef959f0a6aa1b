"""The tables that stand for topics."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from config.settings import Settings, load
from jobs.wiring import kafka
from jobs.wiring.rejected import rejected_written
from schemas import avro_text


@pytest.fixture
def settings() -> Settings:
    return load(environ={})


@pytest.mark.parametrize(
    "topic",
    [
        "livelift.acme.assignments",
        "livelift.acme-2.outcomes",
        f"livelift.{40 * 'a'}.outcomes",
        "livelift-internal.heartbeat",
    ],
)
def test_topics_of_tenants_and_the_heartbeat_are_read(topic: str) -> None:
    assert re.fullmatch(kafka.RECEIVED_TOPICS, topic)


@pytest.mark.parametrize(
    "topic",
    [
        "livelift-internal.slots",
        "livelift.Acme.outcomes",
        f"livelift.{41 * 'a'}.outcomes",
        "livelift.acme.outcomes.copy",
        "livelift.acme.other",
        "eu.livelift.acme.outcomes",
    ],
)
def test_other_topics_are_not(topic: str) -> None:
    assert not re.fullmatch(kafka.RECEIVED_TOPICS, topic)


def test_a_quote_in_an_option_does_not_end_it() -> None:
    statement = kafka.table("t", "a INT", {"connector": "it's"})
    assert "'connector' = 'it''s'" in statement


def test_each_table_says_where_its_broker_is(settings: Settings) -> None:
    elsewhere = replace(settings, kafka=replace(settings.kafka, bootstrap="kafka.example:9092"))
    for statement in (
        kafka.received(elsewhere),
        kafka.slots_written(elsewhere),
        kafka.slots_read(elsewhere),
        kafka.definitions_read(elsewhere),
        rejected_written(elsewhere),
    ):
        assert "'properties.bootstrap.servers' = 'kafka.example:9092'" in statement


@pytest.mark.parametrize("record", ["Slot", "Rejected"])
def test_the_schema_of_the_repository_is_the_one_that_is_written(settings: Settings, record: str) -> None:
    options = kafka.avro(settings, record)
    assert options == {"url": settings.registry.url, "subject": record, "schema": avro_text(record)}


def test_readers_and_the_writer_of_slots_agree_on_the_key(settings: Settings) -> None:
    keys = [name for name, _ in kafka.SLOT_KEY]
    assert f"PRIMARY KEY ({', '.join(keys)}) NOT ENFORCED" in kafka.slots_written(settings)
    assert f"'key.fields' = '{';'.join(keys)}'" in kafka.slots_read(settings)
