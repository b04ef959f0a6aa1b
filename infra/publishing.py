"""Files of events, one JSON object a line, into the tenants' topics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from config.settings import Settings
from infra.pace import Pace
from infra.producer import EventProducer
from schemas.event_lines import BadLineError, parse_line
from schemas.events import EventKind


@dataclass(frozen=True, slots=True)
class Published:
    """How many lines became events, and how many were bad."""

    sent: int
    bad: int


def publish_lines(
    settings: Settings,
    kind: EventKind,
    lines: Iterable[bytes],
    *,
    rate: float | None,
    on_bad: Callable[[int, str], None],
    on_line: Callable[[bytes], None],
) -> Published:
    """Sends every good line and returns when all are delivered; empty lines are passed over.

    Args:
        lines: UTF-8.
        rate: At most so many events a second; None is as fast as the broker takes them.
        on_bad: Called with the number (from 1) of each bad line and what is wrong with it.
        on_line: Called with each line that is done.

    Raises:
        BrokerError, RegistryError: One of them does not answer, or events were not delivered.
    """
    bad = 0
    with EventProducer(settings) as producer:
        pace = Pace(rate) if rate else None
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    event = parse_line(kind, _text(line))
                except BadLineError as error:
                    bad += 1
                    on_bad(number, str(error))
                else:
                    if pace is not None:
                        time.sleep(max(0.0, pace.seconds_early()))
                        pace.count()
                    producer.send(event)
            on_line(line)
    producer.delivery.raise_for_failures()
    return Published(sent=producer.delivery.delivered, bad=bad)


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise BadLineError(f"not UTF-8: {error.reason} at byte {error.start + 1}") from error
