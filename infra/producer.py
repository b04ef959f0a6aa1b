"""Records into Kafka, delivered once and in order, failures counted and never silent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from config.settings import Settings
from infra.broker import BrokerError, client_settings
from infra.topics import create_tenant, register_schemas
from schemas.events import EventKind, encode_event
from udfs.attribution.reference import Assignment, Outcome

DELIVERED_WITHIN_MS = 60_000


def producing(settings: Settings) -> dict[str, Any]:
    """How every producer of ours writes: in order, each record once, to the partition Java's would choose."""
    return client_settings(settings) | {
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "linger.ms": 20,
        "delivery.timeout.ms": DELIVERED_WITHIN_MS,
    }


class Delivery:
    """A producer; leaving its ``with`` block waits until every record is delivered or given up.

    Idempotent: a retry neither repeats nor reorders. Records of one key go to the partition Java's
    producers choose too (murmur2), so a unit's log is one log whoever writes it.
    """

    def __init__(self, settings: Settings) -> None:
        self._address = settings.kafka.bootstrap
        self._producer = Producer(producing(settings))
        self.delivered = 0
        self.failed = 0
        self.first_failure = ""

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        headers: Mapping[str, bytes] | None = None,
        on_delivered: Callable[[int, int], None] | None = None,
    ) -> None:
        """Queues a record; waits while the queue is full.

        Args:
            on_delivered: Called with the partition and offset the record got, if it is delivered.

        Raises:
            BrokerError: The record can never be sent (too large, unknown topic).
        """

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            self._on_delivery(error, message)
            if error is None and on_delivered is not None:
                on_delivered(int(message.partition() or 0), int(message.offset() or 0))

        report = self._on_delivery if on_delivered is None else on_delivery
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=report, headers={**(headers or {})})
                break
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                raise BrokerError(f"{topic}: {error.args[0].str()}") from error
        self._producer.poll(0)

    def flush(self) -> None:
        """Waits until every record queued so far is delivered or given up."""
        self._producer.flush(DELIVERED_WITHIN_MS / 1000)

    def raise_for_failures(self) -> None:
        """Raises if any record was given up.

        Raises:
            BrokerError: How many, of how many, and why.
        """
        if self.failed:
            total = self.failed + self.delivered
            raise BrokerError(f"{self.failed} of {total} records not delivered: {self.first_failure}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.delivered += 1
            return
        self.failed += 1
        if not self.first_failure:
            self.first_failure = (
                f"no Kafka broker answers at {self._address}"
                if error.code() == KafkaError._MSG_TIMED_OUT
                else f"{message.topic()}: {error.str()}"
            )


class EventProducer:
    """Events of tenants into their topics; a tenant's topics are created with its first event.

    Raises:
        RegistryError, BrokerError: One of the two does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._schema_ids = register_schemas(settings)
        self._tenants: set[str] = set()
        self.delivery = Delivery(settings)

    def send(self, event: Assignment | Outcome) -> None:
        """Queues an event under its unit's key."""
        kind = EventKind.ASSIGNMENTS if isinstance(event, Assignment) else EventKind.OUTCOMES
        payload = encode_event(event, self._schema_ids[kind.record])
        self.send_bytes(event.tenant_id, kind, event.unit_id.encode(), payload)

    def send_bytes(self, tenant_id: str, kind: EventKind, key: bytes, payload: bytes | None) -> None:
        """Queues bytes as they are, for those who send damaged or refused records."""
        if tenant_id not in self._tenants:
            create_tenant(self._settings, tenant_id)
            self._tenants.add(tenant_id)
        self.delivery.send(f"livelift.{tenant_id}.{kind}", key, payload)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.delivery.flush()
