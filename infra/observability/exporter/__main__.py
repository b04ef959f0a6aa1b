"""The exporter: looks every few seconds, serves what it saw: ``python -m infra.observability.exporter``."""

from __future__ import annotations

import signal
from threading import Event
from urllib.parse import urlsplit

from prometheus_client import start_http_server
from prometheus_client.registry import CollectorRegistry

from config.settings import Settings, load
from infra.local.dated import dated_lines
from infra.observability.exporter.looking import Looking
from infra.observability.exporter.page import Page


def serve(settings: Settings, stop: Event) -> None:
    """Look and serve until ``stop`` is set; what does not answer is told as down, and asked again."""
    address = urlsplit(settings.exporter.url)
    page = Page()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(page)
    server, thread = start_http_server(address.port or 0, address.hostname or "127.0.0.1", registry)
    looking = Looking(settings)
    try:
        while not stop.is_set():
            page.show(looking.look())
            stop.wait(settings.exporter.interval_ms / 1000)
    finally:
        server.shutdown()
        thread.join()


def main() -> None:
    """Serve with the settings of the environment until stopped."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    dated_lines()
    serve(load(), stop)


if __name__ == "__main__":
    main()
