"""The console: a web page that answers an experimenter's question first, and shows what speaks for it.

``source`` asks ClickHouse a closed set of questions, ``reading`` and ``verdict`` say what the answers
mean, ``pages`` arranges both for the templates, ``server`` is what listens.
"""

from __future__ import annotations

from config.settings import Settings

HOST = "127.0.0.1"


class ConsoleError(Exception):
    """The console cannot start; one line that says why."""


def console_url(settings: Settings) -> str:
    """Where the stack's console is."""
    return f"http://{HOST}:{settings.console.port}"
