"""One record a second, so that event time moves while every tenant is silent."""

from __future__ import annotations

import json
import logging
import time
from threading import Event

from confluent_kafka import KafkaError, Message, Producer

from config.settings import Settings
from infra.broker import client_settings
from infra.local.dated import dated_lines
from jobs.wiring.kafka import HEARTBEAT_TOPIC

TOPIC = HEARTBEAT_TOPIC
EVERY_SECONDS = 1.0
LOG = logging.getLogger("livelift.heartbeat")


class Arrivals:
    """Is told what became of each beat; logs the first that was lost, and the first that arrived again."""

    def __init__(self) -> None:
        self._is_lost = False

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        """One beat arrived, or was given up with this error."""
        if error is not None and not self._is_lost:
            LOG.warning("heartbeats do not arrive: %s", error.str())
        elif error is None and self._is_lost:
            LOG.warning("heartbeats arrive again")
        self._is_lost = error is not None


def beat(settings: Settings, stop: Event) -> None:
    """Sends a record every second until ``stop`` is set; while the broker is away, beats are dropped.

    It logs when beats begin to be lost and when they arrive again.

    A beat says only "it is now at least this late", so one that is lost or comes twice does no harm.
    """
    dated_lines()
    arrivals = Arrivals()
    producer = Producer(
        client_settings(settings) | {"message.timeout.ms": int(5 * EVERY_SECONDS * 1000), "linger.ms": 0}
    )
    while not stop.is_set():
        value = heartbeat(settings.region, int(time.time() * 1000))
        producer.produce(TOPIC, value, settings.region.encode(), on_delivery=arrivals)
        producer.poll(0)
        stop.wait(EVERY_SECONDS)
    producer.flush(EVERY_SECONDS)


def heartbeat(region: str, sent_at_ms: int) -> bytes:
    """The record's value."""
    return json.dumps({"region": region, "sent_at": sent_at_ms}).encode()
