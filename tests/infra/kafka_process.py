"""Kafka for tests that need nothing else: a broker of its own, and topics whose records have chosen times."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.cimpl import NewTopic

from config.settings import Settings, load
from infra.broker import Broker, client_settings
from infra.local.broker import Broker as BrokerPart
from infra.local.elsewhere import free_environment

START_DEADLINE_S = 60
STOP_DEADLINE_S = 20


@contextmanager
def running_broker(folder: Path) -> Iterator[Settings]:
    """Settings of a broker that runs as long as the block."""
    settings = load(environ=free_environment(folder))
    assert settings.local is not None
    part = BrokerPart(settings, settings.local)
    assert part.lacks() == ""
    part.log.parent.mkdir(parents=True)
    part.prepare()
    with part.log.open("ab") as log:
        process = subprocess.Popen(part.command(), stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_DEADLINE_S
        while not part.is_healthy():
            assert process.poll() is None, f"the broker ended: {part.log}"
            assert time.monotonic() < deadline, f"the broker was not ready in time: {part.log}"
            time.sleep(0.1)
        yield settings
    finally:
        process.terminate()
        process.wait(STOP_DEADLINE_S)


def now_minute() -> int:
    """The beginning of the present minute; records much older would be deleted by retention."""
    return int(time.time()) // 60 * 60_000


def create(settings: Settings, topic: str, *, partitions: int = 1, **config: str) -> None:
    """A topic whose records have the times their producer gives them, unless ``config`` says otherwise."""
    given = {"message.timestamp.type": "CreateTime"} | config
    wanted = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=given)
    assert Broker(settings).create([wanted]) == [topic]


def append(settings: Settings, topic: str, times_ms: Sequence[int], *, partition: int = 0) -> None:
    """One record for each time, in this order."""
    producer = Producer(client_settings(settings))
    for time_ms in times_ms:
        producer.produce(topic, b"value", b"key", partition=partition, timestamp=time_ms)
    assert producer.flush(START_DEADLINE_S) == 0
