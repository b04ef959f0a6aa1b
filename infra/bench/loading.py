"""Encoded records into Kafka, as fast as the broker takes them, in the order of their stream."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from confluent_kafka import KafkaError, Message, Producer

from config.settings import Settings
from infra.bench.dataset import Batch, DataSet, Encoder, Shape, Tally, definitions
from infra.broker import BrokerError
from infra.definitions import Limits, draft_of, publish
from infra.producer import producing
from infra.strict_yaml import Document
from infra.topics import register_schemas
from udfs.attribution.reference import EFFECT_MS

QUEUED_RECORDS = 400_000
DELIVERED_WITHIN_MS = 120_000
Progress = Callable[[int, int], None]


class Loaded(NamedTuple):
    """What is in the broker, and how long it took: the generator's own ceiling."""

    records: int
    seconds: float
    tally: Tally

    @property
    def events_per_s(self) -> float:
        return self.records / self.seconds


class BatchProducer:
    """A producer of whole batches; leaving its ``with`` block waits until all are delivered.

    Partitions, compression and order are those of ``infra.producer.Delivery``, which takes single records.

    Raises:
        BrokerError: A record was not delivered.
    """

    def __init__(self, settings: Settings) -> None:
        self._failure = ""
        self._producer = Producer(
            producing(settings)
            | {
                "queue.buffering.max.messages": QUEUED_RECORDS,
                "queue.buffering.max.kbytes": 1 << 20,
                "delivery.timeout.ms": DELIVERED_WITHIN_MS,
                "delivery.report.only.error": True,
                "on_delivery": self._on_failure,
            }
        )

    def send(self, batch: Batch) -> None:
        """Queue a batch; waits while the queue is full."""
        count = len(batch.keys)
        keys, values = batch.keys.tobytes(), batch.values.tobytes()
        key, value = batch.keys.shape[1], batch.values.shape[1]
        self.send_records(
            f"livelift.{batch.tenant_id}.{batch.kind}",
            [
                {"key": keys[n * key : n * key + key], "value": values[n * value : n * value + value]}
                for n in range(count)
            ],
        )

    def send_records(self, topic: str, records: list[dict[str, bytes]]) -> None:
        """Queue records, each with ``key`` and ``value``; waits while the queue is full."""
        count = len(records)
        # The whole batch or nothing: were the queue full in the middle, records would change places.
        while len(self._producer) + count > QUEUED_RECORDS:
            self._producer.poll(0.01)
        queued = self._producer.produce_batch(topic, records)
        if queued < count:
            raise BrokerError(f"{count - queued} of {count} records were not queued")
        self._producer.poll(0)
        self._raise_for_failure()

    def __enter__(self) -> BatchProducer:
        return self

    def __exit__(self, *error: object) -> None:
        self._producer.flush(DELIVERED_WITHIN_MS / 1000)
        self._raise_for_failure()

    def _on_failure(self, error: KafkaError, message: Message) -> None:
        self._failure = self._failure or f"{message.topic()}: {error.str()}"

    def _raise_for_failure(self) -> None:
        if self._failure:
            raise BrokerError(f"a record was not delivered: {self._failure}")


def define(settings: Settings, shape: Shape) -> None:
    """Publish the definitions of a shape and return when they have taken effect; topics are created too.

    Raises:
        DefinitionError, BrokerError: As ``definitions.publish``.
    """
    limits = Limits.of(settings)
    publish(settings, [draft_of(Document("bench", each, {}), limits) for each in definitions(shape)])
    time.sleep(2 * EFFECT_MS / 1000)  # nothing of the bench shall wait for a definition


def load(settings: Settings, shape: Shape, progress: Progress = lambda done, total: None) -> Loaded:
    """Define the experiments of a shape and put all its records into the broker.

    The last event is about now; the others lie before it as far as the shape says.

    Raises:
        DefinitionError, BrokerError, RegistryError: Something does not answer or refuses.
    """
    define(settings, shape)
    data = DataSet(shape)
    start_ms = int(time.time() * 1000) - shape.span_ms
    encoder = Encoder(shape, register_schemas(settings), start_ms)
    began = time.monotonic()
    with BatchProducer(settings) as producer:
        for chunk in data.chunks():
            for batch in encoder.batches(chunk):
                producer.send(batch)
            progress(data.tally.records, shape.events)
    return Loaded(data.tally.records, time.monotonic() - began, data.tally)
