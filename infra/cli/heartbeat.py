"""``livelift heartbeat``: the part of the stack that keeps event time moving."""

from __future__ import annotations

import signal
from threading import Event

import typer

from config.settings import load
from infra.cli.output import note
from infra.heartbeat import TOPIC, beat


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(heartbeat)


def heartbeat() -> None:
    """Send one record a second until stopped, so that event time moves while tenants are silent."""
    settings = load()
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    note(f"one heartbeat a second to {TOPIC} at {settings.kafka.bootstrap}")
    beat(settings, stop)
