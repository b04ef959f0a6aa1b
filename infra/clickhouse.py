"""ClickHouse as the commands use it: one way to connect, errors in one line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import clickhouse_connect
import httpx
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from config.settings import Settings

ANSWER_WITHIN_SECONDS = 60
GREETED_WITHIN_SECONDS = 5
"""A server that is well says that it is there at once, however long its answers take."""

# Errors reach the user as one line of ours; without a handler Python would print the client's as well.
for name in ("clickhouse_connect", "urllib3"):
    logging.getLogger(name).addHandler(logging.NullHandler())


class DatabaseError(Exception):
    """ClickHouse did not answer or refused; one line for people."""


def connect(settings: Settings, *, within_seconds: int = ANSWER_WITHIN_SECONDS) -> Client:
    """A client of the configured database, as the configured user, that waits so long for an answer.

    Raises:
        DatabaseError: Nobody answers at the configured address, or the user is refused.
    """
    with one_line_errors(settings):
        _greet(settings.clickhouse.url)
        return clickhouse_connect.get_client(
            dsn=settings.clickhouse.url,
            username=settings.clickhouse.user,
            password=settings.clickhouse.password,
            database=settings.clickhouse.database,
            send_receive_timeout=within_seconds,
            # Without sessions, requests of one client may run side by side and behind a load balancer.
            autogenerate_session_id=False,
        )


def _greet(url: str) -> None:
    """Raise OperationalError unless the server answers its ping, whatever it says: one that hangs is away."""
    address = urlsplit(url)
    try:
        httpx.get(
            f"{address.scheme}://{address.netloc}/ping", timeout=GREETED_WITHIN_SECONDS, trust_env=False
        )
    except httpx.HTTPError as error:
        raise OperationalError(str(error)) from error


@contextmanager
def one_line_errors(settings: Settings) -> Iterator[None]:
    """Turns the client's errors into ``DatabaseError``."""
    try:
        yield
    except OperationalError as error:
        raise DatabaseError(
            f"no ClickHouse answers at {settings.clickhouse.url}; start the stack with: livelift up"
        ) from error
    except ClickHouseError as error:
        raise DatabaseError(f"ClickHouse: {_sentence(str(error))[:500]}") from error


def _sentence(text: str) -> str:
    """What the server itself says is wrong, without what surrounds it; all words where it says nothing."""
    words = " ".join(text.split())
    said = words.partition("DB::Exception: ")[2] or words
    for surroundings in (" Expected one of", " (version ", " (for url "):
        said = said.partition(surroundings)[0]
    return said.rstrip(".")
