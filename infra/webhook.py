"""Decisions to whoever acts on them: each is POSTed, signed, until its receiver says that he has it.

At least once: a receiver sees a decision again when his answer was lost or this process was restarted before
it noted the delivery. ``Idempotency-Key`` is the decision's id; of two records with one id the first stands.
The body is the record of the decisions topic, byte by byte.

One after the other, in the order of the topic. What concerns every decision is waited for, however long:
nobody there, 3xx, 5xx, a secret that does not fit (401, 403), too much at once (429). Any other 4xx says that
the receiver will not have this decision: after ``MOST_REFUSALS`` such answers it is passed over, said aloud
and counted, so that it does not hold up those behind it for ever.

The signature is HMAC-SHA256 over ``timestamp.body`` with the shared secret, in hex. The timestamp (seconds
since 1970) is that of the attempt, so a receiver can refuse what somebody recorded and sends again later.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from threading import Event

import httpx
from confluent_kafka import OFFSET_STORED, Consumer, KafkaError, KafkaException, Message, TopicPartition

from config.settings import Settings, Webhook
from infra.broker import BrokerError, client_settings
from jobs.wiring.kafka import DECISIONS_TOPIC

GROUP = "livelift-notify"
"""Its committed offset says what was delivered or passed over."""

ANSWER_WITHIN_S = 10.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
LONGEST_DELIVERY_MS = 86_400_000
POLL_S = 0.5

CONCERNS_ALL = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
"""What a receiver answers with 4xx because of his state or the secret, not because of the decision."""

MOST_REFUSALS = 15
"""Of one decision. With the pauses between them nine minutes at least: a receiver may be in the middle of
an update, and a decision is seldom and matters."""

LONGEST_ANSWER = 200
"""So many characters of a refusal's text are told."""

Say = Callable[[str], None]


class Fate(Enum):
    """What became of a decision that was to be delivered."""

    TAKEN = "taken"
    PASSED_OVER = "passed over"
    STOPPED = "stopped"
    """Neither: the deliverer was to end."""


@dataclass(frozen=True)
class Problem:
    """Why an attempt failed, without the secret."""

    says: str
    is_refusal: bool = False
    """Whether the receiver will not have this decision, and perhaps the next."""


@dataclass
class Delivered:
    """What became of the decisions since the start."""

    taken: int = 0
    passed_over: list[str] = field(default_factory=list)
    """Their ids."""


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
        say: Told of every failure, delivery and decision that is passed over, in one line.
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

    def deliver(self, decision_id: str, body: bytes) -> Fate:
        """Try until the receiver takes it (2xx) or has refused it often; pauses double up to a minute."""
        pause, refusals = FIRST_PAUSE_S, 0
        while not self._stop.is_set():
            problem = self._attempt(decision_id, body)
            if problem is None:
                self._say(f"{decision_id} delivered")
                return Fate.TAKEN
            refusals += problem.is_refusal
            if refusals == MOST_REFUSALS:
                self._say(
                    f"{decision_id} PASSED OVER, refused {refusals} times: {problem.says}; "
                    "it stays in `livelift decisions`"
                )
                return Fate.PASSED_OVER
            self._say(f"{decision_id} not delivered: {problem.says}; next attempt in {pause:.0f} s")
            self._stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)
        return Fate.STOPPED

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def _attempt(self, decision_id: str, body: bytes) -> Problem | None:
        try:
            answer = self._client.send(request(self._webhook, decision_id, body, self._now_s()))
        except httpx.HTTPError as error:
            return Problem(f"{type(error).__name__} at {self._webhook.url}")
        if answer.is_success:
            return None
        text = " ".join(answer.text.split())[:LONGEST_ANSWER]
        return Problem(
            f"{self._webhook.url} answered {answer.status_code}{f' ({text})' if text else ''}",
            is_refusal=answer.is_client_error and answer.status_code not in CONCERNS_ALL,
        )


def notify(settings: Settings, stop: Event, say: Say, *, dry_run: bool = False) -> Delivered:
    """Deliver every decision not yet delivered, and those to come, until ``stop`` is set.

    Args:
        dry_run: Say what would be sent now, deliver nothing, note nothing, and end.

    Returns:
        What became of them.

    Raises:
        BrokerError: The broker refuses. One that is away is waited for.
    """
    deliverer, delivered = Deliverer(settings.webhook, say, stop), Delivered()
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
                continue
            fate = deliverer.deliver(decision_id, body)
            if fate is Fate.STOPPED:
                break
            if fate is Fate.PASSED_OVER:
                delivered.passed_over.append(decision_id)
            else:
                delivered.taken += 1
            consumer.commit(message=message, asynchronous=False)
    except KafkaException as error:
        raise BrokerError(f"{DECISIONS_TOPIC}: {error.args[0].str()}") from error
    finally:
        deliverer.close()
        consumer.close()
    return delivered


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
