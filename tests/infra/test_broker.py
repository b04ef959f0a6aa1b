"""Where records are in the log, by offset and by time, asked of a real broker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from config.settings import Settings
from infra.broker import Broker, BrokerError, Found, Place, client_settings
from tests.builders import HOUR, MINUTE
from tests.infra.kafka_process import append, create, now_minute, running_broker

pytestmark = pytest.mark.jvm

BEGINNING = now_minute() - HOUR


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with running_broker(tmp_path_factory.mktemp("kafka") / "run") as settings:
        yield settings


def test_nobody_has_committed_anything_before_and_after_somebody_has(settings: Settings) -> None:
    create(settings, "read")
    append(settings, "read", [BEGINNING, BEGINNING])
    broker = Broker(settings)
    assert broker.committed_offsets("nobody", ["read"]) == {}
    consumer = Consumer(client_settings(settings) | {"group.id": "somebody"})
    consumer.commit(offsets=[TopicPartition("read", 0, 1)], asynchronous=False)
    consumer.close()
    assert broker.committed_offsets("somebody", ["read"]) == {Place("read", 0): 1}
    assert broker.committed_offsets("nobody", ["read"]) == {}


def test_the_first_record_from_a_moment_on_is_found_in_each_partition(settings: Settings) -> None:
    create(settings, "two", partitions=2)
    append(settings, "two", [BEGINNING, BEGINNING + 1, BEGINNING + MINUTE])
    append(settings, "two", [BEGINNING + 3 * MINUTE], partition=1)
    times = [0, BEGINNING + 1, BEGINNING + 2, BEGINNING + 2 * MINUTE, BEGINNING + 4 * MINUTE]
    other = Found(0, BEGINNING + 3 * MINUTE)
    assert [each.get(Place("two", 0)) for each in Broker(settings).first_at(["two"], times)] == [
        Found(0, BEGINNING),
        Found(1, BEGINNING + 1),
        Found(2, BEGINNING + MINUTE),
        None,
        None,
    ]
    found = [each.get(Place("two", 1)) for each in Broker(settings).first_at(["two"], times)]
    assert found == [other, other, other, other, None]


def test_more_moments_than_are_asked_at_a_time_are_answered_in_order(settings: Settings) -> None:
    create(settings, "many")
    append(settings, "many", [BEGINNING + number * 1000 for number in range(500)])
    times = [BEGINNING + number * 1000 for number in range(500)]
    found = [each[Place("many", 0)].offset for each in Broker(settings).first_at(["many"], times)]
    assert found == list(range(500))


def test_the_newest_time_is_the_greatest_of_all_topics(settings: Settings) -> None:
    for topic, newest in (("older", BEGINNING), ("newer", BEGINNING + 7), ("empty", None)):
        create(settings, topic)
        append(settings, topic, [newest] if newest else [])
    assert Broker(settings).newest_time(["older", "newer", "empty"]) == BEGINNING + 7
    assert Broker(settings).newest_time(["empty"]) == 0
    assert Broker(settings).newest_time([]) == 0


def test_a_log_begins_where_older_records_were_deleted(settings: Settings) -> None:
    create(settings, "cut", **{"retention.ms": str(2 * HOUR)})
    append(settings, "cut", [BEGINNING + number for number in range(5)])
    admin = AdminClient(client_settings(settings))
    for future in admin.delete_records([TopicPartition("cut", 0, 3)]).values():
        future.result(timeout=20)
    broker = Broker(settings)
    assert (broker.begin_offsets(["cut"]), broker.end_offsets(["cut"])) == (
        {Place("cut", 0): 3},
        {Place("cut", 0): 5},
    )
    assert list(broker.first_at(["cut"], [0])) == [{Place("cut", 0): Found(3, BEGINNING + 3)}]
    assert broker.retention_ms("cut") == 2 * HOUR


def test_a_topic_that_is_not_there_is_named(settings: Settings) -> None:
    with pytest.raises(BrokerError, match="there is no topic nowhere"):
        Broker(settings).begin_offsets(["nowhere"])
