"""ClickHouse as the jobs' sink: one synchronous insert per batch, waiting while the server is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from config.settings import ClickHouse

T = TypeVar("T")

Columns = Mapping[str, Sequence[Any]]
"""Rows by column, all of one length."""


class Lines(NamedTuple):
    """Rows as ClickHouse reads them itself, so that Python need not: format ``JSONCompactEachRow``."""

    names: Sequence[str]
    """Of the values of each line."""
    text: str
    """A JSON array for each row, with commas or ends of lines between them."""


log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0

SYNCHRONOUS = {"async_insert": 0}

PASSING = frozenset(
    {
        159,  # TIMEOUT_EXCEEDED
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        236,  # ABORTED: the server is shutting down
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY: a replica without its Keeper
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        319,  # UNKNOWN_STATUS_OF_INSERT
        439,  # CANNOT_SCHEDULE_TASK
        999,  # KEEPER_EXCEPTION
    }
)
"""Errors of the server that an operator or time puts right; the rows are good and can be sent again."""


class Writer:
    """Inserts batches of absolute rows; returns only when the server has them.

    Retries with growing pauses while the server cannot be reached or is overloaded, so that a stream
    which calls it waits (back-pressure) and loses nothing. A batch whose answer was lost is sent again:
    rows must be absolute and the tables versioned, so that a row written twice is the same row. Not for
    several threads.

    Args:
        connect: Makes a client; called again after a failure.
        sleep: Called with the seconds to pause between two attempts.
    """

    def __init__(self, connect: Callable[[], Any], sleep: Callable[[float], None] = time.sleep) -> None:
        self._connect = connect
        self._sleep = sleep
        self._client: Any = None
        self._types: dict[tuple[str, tuple[str, ...]], Sequence[Any]] = {}

    def write(self, table: str, rows: Columns | Lines) -> None:
        """Insert one batch; nothing is sent when it is empty.

        Raises:
            DatabaseError: The server refuses the rows themselves (unknown table, wrong type); waiting would
                not help.
        """
        if isinstance(rows, Lines):
            lines = rows
            insert, is_empty = lambda: self._insert_lines(table, lines), not lines.text
        else:
            columns = rows
            insert, is_empty = (
                lambda: self._insert_columns(table, columns),
                not next(iter(columns.values()), ()),
            )
        if not is_empty:
            _patiently(insert, f"take {table}", self.close, self._sleep)

    def close(self) -> None:
        """Give the connection back; the next batch opens another."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _insert_lines(self, table: str, lines: Lines) -> None:
        self._connected().raw_insert(
            table, lines.names, lines.text.encode(), fmt="JSONCompactEachRow", settings=SYNCHRONOUS
        )

    def _insert_columns(self, table: str, columns: Columns) -> None:
        names = tuple(columns)
        client = self._connected()
        context = client.create_insert_context(
            table,
            names,
            column_types=self._types.get((table, names)),
            column_oriented=True,
            settings=SYNCHRONOUS,
            data=list(columns.values()),
        )
        client.data_insert(context)
        # Learned from the server at the first insert, so that later ones need one request instead of two.
        self._types[table, names] = context.column_types

    def _connected(self) -> Any:
        if self._client is None:
            self._client = self._connect()
        return self._client


class Memory:
    """What the scorecard job wrote about its looks before it lost its state.

    What is there at the first question is asked for once, so that the experiments of which nothing is (all,
    in a new system) cost no question. Asks as ``Writer`` writes: again and again until the server answers.
    Not for several threads.
    """

    KNOWN = "SELECT DISTINCT tenant_id, experiment_id, epoch FROM look_rows"
    QUERY = (
        "SELECT looks FROM look_rows FINAL WHERE tenant_id = {tenant:String} AND epoch = {epoch:UInt16}"
        " AND experiment_id = {experiment:String}"
    )

    def __init__(self, connect: Callable[[], Any], sleep: Callable[[float], None] = time.sleep) -> None:
        self._connect = connect
        self._sleep = sleep
        self._client: Any = None
        self._known: set[tuple[str, str, int]] | None = None

    def looks(self, tenant_id: str, experiment_id: str, epoch: int) -> str:
        """The newest text of an experiment's looks; empty where nobody has looked before the first question.

        Raises:
            DatabaseError: The server refuses the question itself.
        """
        if self._known is None:
            self._known = {tuple(row) for row in self._asked(self.KNOWN, {})}
        if (tenant_id, experiment_id, epoch) not in self._known:
            return ""
        place = {"tenant": tenant_id, "experiment": experiment_id, "epoch": epoch}
        return str(self._asked(self.QUERY, place)[0][0])

    def _asked(self, query: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        def ask() -> Sequence[Sequence[Any]]:
            if self._client is None:
                self._client = self._connect()
            found: Sequence[Sequence[Any]] = self._client.query(query, parameters=parameters).result_rows
            return found

        return _patiently(ask, "tell what was seen before", self.close, self._sleep)

    def close(self) -> None:
        """Give the connection back; the next question opens another."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def writer_to(clickhouse: ClickHouse) -> Writer:
    """A writer to the server the settings name; connects at the first batch."""
    return Writer(lambda: _client(clickhouse))


def memory_of(clickhouse: ClickHouse) -> Memory:
    """The memory of the server the settings name; connects at the first question."""
    return Memory(lambda: _client(clickhouse))


def _client(clickhouse: ClickHouse) -> Any:
    return clickhouse_connect.get_client(
        dsn=clickhouse.url,
        username=clickhouse.user,
        password=clickhouse.password,
        database=clickhouse.database,
        autogenerate_session_id=False,
    )


def _patiently(
    attempt: Callable[[], T], wish: str, disconnect: Callable[[], None], sleep: Callable[[float], None]
) -> T:
    """What ``attempt`` returns, however long the server is away; ``wish`` names it in the log."""
    pause = FIRST_PAUSE_S
    while True:
        try:
            return attempt()
        except (DatabaseError, OSError) as error:
            if not _passes(error):
                raise
            log.warning("ClickHouse did not %s, next attempt in %.1f s: %s", wish, pause, error)
            disconnect()
            sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)


def _passes(error: Exception) -> bool:
    """Whether waiting helps. Without a code no ClickHouse answered: a proxy, or a server that is starting."""
    if isinstance(error, (OSError, OperationalError)):
        return True
    return type(error) is DatabaseError and (error.code is None or error.code in PASSING)
