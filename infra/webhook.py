"""Decisions to whoever acts on them: each is POSTed, signed, until its receiver says that he has it.

At least once: a receiver sees a decision again when his answer was lost or this process was restarted before
it noted the delivery. ``Idempotency-Key`` is the decision's id; of two records with one id the first stands.
The body is the record of the decisions topic, byte by byte.

The signature is HMAC-SHA256 over ``timestamp.body`` with the shared secret, in hex. The timestamp (seconds
since 1970) is that of the attempt, so a receiver can refuse what somebody recorded and sends again later.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from threading import Event

import httpx
from confluent_kafka import OFFSET_STORED, Consumer, KafkaError, KafkaException, Message, TopicPartition

from config.settings import Settings, Webhook
from infra.broker import BrokerError, client_settings
from jobs.wiring.kafka import DECISIONS_TOPIC

GROUP = "livelift-notify"
"""Its committed offset says what was delivered."""

ANSWER_WITHIN_S = 10.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
LONGEST_DELIVERY_MS = 86_400_000
POLL_S = 0.5

Say = Callable[[str], None]


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """What the header ``Livelift-Signature`` must be."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def request(webhook: Webhook, decision_id: str, body: bytes, now_s: float) -> httpx.Request:
    """One attempt to deliver a decision."""
    timestamp = int(now_s)
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": decision_id,
        "Livelift-Timestamp": str(timestamp),
        "Livelift-Signature": f"sha256={signature(webhook.secret, timestamp, body)}",
    }
    return httpx.Request("POST", webhook.url, headers=headers, content=body)


class Deliverer:
    """Delivers decisions one after the other; one that fails is tried again before the next is begun.

    Args:
        say: Told of every failure and delivery, in one line.
        stop: Once it is set, ``deliver`` gives up.
    """

    def __init__(
        self, webhook: Webhook, say: Say, stop: Event, now_s: Callable[[], float] = time.time
    ) -> None:
        self._webhook = webhook
        self._say = say
        self._stop = stop
        self._now_s = now_s
        self._client = httpx.Client(timeout=ANSWER_WITHIN_S)

    def deliver(self, decision_id: str, body: bytes) -> bool:
        """Try until the receiver answers with 2xx, with pauses that double up to a minute.

        Returns:
            False if it was stopped before that.
        """
        pause = FIRST_PAUSE_S
        while not self._stop.is_set():
            problem = self._attempt(decision_id, body)
            if not problem:
                self._say(f"{decision_id} delivered")
                return True
            self._say(f"{decision_id} not delivered: {problem}; next attempt in {pause:.0f} s")
            self._stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)
        return False

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def _attempt(self, decision_id: str, body: bytes) -> str:
        """What went wrong, without the secret; empty when nothing did."""
        try:
            answer = self._client.send(request(self._webhook, decision_id, body, self._now_s()))
        except httpx.HTTPError as error:
            return f"{type(error).__name__} at {self._webhook.url}"
        return "" if answer.is_success else f"{self._webhook.url} answered {answer.status_code}"


def notify(settings: Settings, stop: Event, say: Say, *, dry_run: bool = False) -> None:
    """Deliver every decision not yet delivered, and those to come, until ``stop`` is set.

    Args:
        dry_run: Say what would be sent now, deliver nothing, note nothing, and end.

    Raises:
        BrokerError: The broker refuses. One that is away is waited for.
    """
    deliverer = Deliverer(settings.webhook, say, stop)
    consumer = Consumer(
        client_settings(settings)
        | {
            "group.id": GROUP,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": dry_run,
            # A receiver may be away for long; that must not look like a deliverer who is.
            "max.poll.interval.ms": LONGEST_DELIVERY_MS,
        }
    )
    try:
        if dry_run:  # beside a deliverer that runs, without taking its place
            consumer.assign([TopicPartition(DECISIONS_TOPIC, 0, OFFSET_STORED)])
        else:
            consumer.subscribe([DECISIONS_TOPIC])
        for message in _messages(consumer, stop):
            decision_id, body = (message.key() or b"").decode(), message.value() or b""
            if dry_run:
                say(f"{decision_id} would be sent to {settings.webhook.url}: {body.decode()}")
            elif deliverer.deliver(decision_id, body):
                consumer.commit(message=message, asynchronous=False)
    except KafkaException as error:
        raise BrokerError(f"{DECISIONS_TOPIC}: {error.args[0].str()}") from error
    finally:
        deliverer.close()
        consumer.close()


def _messages(consumer: Consumer, stop: Event) -> Iterator[Message]:
    while not stop.is_set():
        message = consumer.poll(POLL_S)
        if message is None:
            continue
        error = message.error()
        if error is not None and error.code() == KafkaError._PARTITION_EOF:
            return
        if error is not None and error.fatal():
            raise KafkaException(error)
        if error is None and message.value() is not None:
            yield message
