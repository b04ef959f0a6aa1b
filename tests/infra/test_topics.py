"""Topics are what their files say."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import load
from infra.topics import TopicFile, TopicFileError, topic_files
from schemas import AVRO_RECORDS, avro_text, json_schema

TENANT_TOPICS = {"livelift.{tenant_id}.assignments", "livelift.{tenant_id}.outcomes"}
INTERNAL_TOPICS = {
    f"livelift-internal.{name}"
    for name in ("counts", "decisions", "definitions", "slots", "rejected", "replays", "heartbeat")
}


def test_there_is_a_file_for_every_topic() -> None:
    files = topic_files()
    assert {each.topic for each in files} == TENANT_TOPICS | INTERNAL_TOPICS
    assert {each.topic for each in files if each.is_per_tenant} == TENANT_TOPICS


def test_time_is_the_brokers_everywhere_for_lateness_is_measured_by_it() -> None:
    assert {each.timestamp_type for each in topic_files()} == {"LogAppendTime"}


def test_what_is_compacted_is_kept_for_ever() -> None:
    compacted = {each.topic for each in topic_files() if each.cleanup == "compact"}
    assert compacted == {f"livelift-internal.{name}" for name in ("decisions", "definitions", "slots")}
    assert all(each.retention_ms == -1 for each in topic_files() if each.topic in compacted)


def test_every_schema_a_topic_names_exists() -> None:
    for each in topic_files():
        if each.value["format"] == "avro":
            assert each.value["schema"] in AVRO_RECORDS
            assert avro_text(each.value["schema"])
            assert each.compatibility == "FULL_TRANSITIVE"
        else:
            assert json_schema(each.value["schema"])


def test_a_tenants_topic_has_the_tenants_name_and_the_deployments_partitions() -> None:
    settings = load()
    (assignments,) = (each for each in topic_files() if each.topic.endswith("assignments"))
    topic = assignments.new_topic(settings, "acme")
    assert topic.topic == "livelift.acme.assignments"
    assert topic.num_partitions == settings.kafka.tenant_partitions
    assert topic.replication_factor == settings.kafka.replication
    assert topic.config == {
        "cleanup.policy": "delete",
        "retention.ms": str(90 * 24 * 3_600_000),
        "message.timestamp.type": "LogAppendTime",
    }


@pytest.mark.parametrize(
    ("change", "complaint"), [("owner: a\n", "topic is missing"), ("own: a\n", "own is no field")]
)
def test_a_file_that_describes_no_topic_is_named(tmp_path: Path, change: str, complaint: str) -> None:
    file = tmp_path / "strange.yaml"
    others = set(TopicFile.__dataclass_fields__) - {"topic", change.split(":")[0]}
    lines = [f"{name}: x\n" for name in others]
    topic = "" if "topic" in complaint else "topic: t\n"
    file.write_text("".join(lines) + topic + change, encoding="utf-8")
    with pytest.raises(TopicFileError, match=rf"strange\.yaml: {complaint}"):
        topic_files(tmp_path)
