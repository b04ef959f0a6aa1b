"""One record a second, so that event time moves while every tenant is silent."""

from __future__ import annotations

import json
import time
from threading import Event

from confluent_kafka import Producer

from config.settings import Settings
from infra.broker import client_settings
from jobs.wiring.kafka import HEARTBEAT_TOPIC

TOPIC = HEARTBEAT_TOPIC
EVERY_SECONDS = 1.0


def beat(settings: Settings, stop: Event) -> None:
    """Sends a record every second until ``stop`` is set; while the broker is away, beats are dropped.

    A beat says only "it is now at least this late", so one that is lost or comes twice does no harm.
    """
    producer = Producer(
        client_settings(settings) | {"message.timeout.ms": int(5 * EVERY_SECONDS * 1000), "linger.ms": 0}
    )
    while not stop.is_set():
        producer.produce(TOPIC, heartbeat(settings.region, int(time.time() * 1000)), settings.region.encode())
        producer.poll(0)
        stop.wait(EVERY_SECONDS)
    producer.flush(EVERY_SECONDS)


def heartbeat(region: str, sent_at_ms: int) -> bytes:
    """The record's value."""
    return json.dumps({"region": region, "sent_at": sent_at_ms}).encode()
