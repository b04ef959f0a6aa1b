"""The tables that stand for topics."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from config.settings import Settings, load
from infra.strict_yaml import read_documents
from jobs.wiring import kafka
from jobs.wiring.rejected import rejected_written
from schemas import FOLDER, avro_text


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
    assert re.fullmatch(kafka.received_topics(), topic)


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
    assert not re.fullmatch(kafka.received_topics(), topic)


def test_of_one_tenant_only_his_topics_and_the_heartbeat_are_read() -> None:
    topics = kafka.received_topics("acme-2")
    assert re.fullmatch(topics, "livelift.acme-2.outcomes")
    assert re.fullmatch(topics, "livelift-internal.heartbeat")
    assert not re.fullmatch(topics, "livelift.acme.outcomes")
    assert not re.fullmatch(topics, "livelift.acme-22.outcomes")


def test_the_group_that_shows_how_far_a_job_has_come_is_the_jobs_own(settings: Settings) -> None:
    statement = kafka.counted(settings, group="a-lane", topics="a-pattern", keep_minutes_ms=7)
    assert "'group' = 'a-lane'" in statement
    assert "'topic-pattern' = 'a-pattern'" in statement
    assert "'keep-minutes' = '7 ms'" in statement


def test_a_quote_in_an_option_does_not_end_it() -> None:
    statement = kafka.table("t", "a INT", {"connector": "it's"})
    assert "'connector' = 'it''s'" in statement


def test_each_table_says_where_its_broker_is(settings: Settings) -> None:
    elsewhere = replace(settings, kafka=replace(settings.kafka, bootstrap="kafka.example:9092"))
    for statement in (
        kafka.counted(elsewhere, group="g", topics="t", keep_minutes_ms=7),
        kafka.slots_written(elsewhere),
        kafka.slots_read(elsewhere),
        kafka.counts_written(elsewhere),
        kafka.counts_read(elsewhere),
        kafka.definitions_read(elsewhere),
        rejected_written(elsewhere),
    ):
        assert "= 'kafka.example:9092'" in statement


@pytest.mark.parametrize("record", ["Slot", "Rejected"])
def test_the_schema_of_the_repository_is_the_one_that_is_written(settings: Settings, record: str) -> None:
    options = kafka.avro(settings, record)
    assert options == {"url": settings.registry.url, "subject": record, "schema": avro_text(record)}


def test_readers_and_writers_agree_on_the_key_of_slots_and_counts(settings: Settings) -> None:
    keys = [name for name, _ in kafka.SLOT_KEY]
    for written in (kafka.slots_written(settings), kafka.counts_written(settings)):
        assert f"PRIMARY KEY ({', '.join(keys)}) NOT ENFORCED" in written
    for read in (kafka.slots_read(settings), kafka.counts_read(settings)):
        assert f"'key.fields' = '{';'.join(keys)}'" in read


@pytest.mark.parametrize("name", ["slots", "counts"])
def test_the_topic_files_name_the_key_that_is_written(name: str) -> None:
    (described,) = read_documents(FOLDER / "topics" / f"{name}.yaml")
    assert described.content["key"] == "JSON: " + ", ".join(key for key, _ in kafka.SLOT_KEY)
