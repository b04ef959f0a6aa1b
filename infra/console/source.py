"""What the console knows: answers of ClickHouse, kept for when it is away.

Pages are asked for by many, every few seconds. Equal questions within a second are asked once, and when
ClickHouse does not answer the newest answer is given again, saying since when it is no longer updated.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from clickhouse_connect.driver.exceptions import OperationalError

from config.settings import Settings
from infra.clickhouse import DatabaseError, connect, one_line_errors
from infra.console.queries import Query

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Row = dict[str, Any]

NEW_FOR_S = 1.0
"""An answer younger than this is not asked for again; nor is a ClickHouse that has just failed."""
ANSWERS_KEPT = 1024
ANSWER_WITHIN_S = 10

NO_SUCH_TABLE = 60
"""The code of ClickHouse's refusal."""
NEVER = datetime.min.replace(tzinfo=UTC)
_READ_ONLY = {"readonly": "2", "max_execution_time": str(ANSWER_WITHIN_S)}

Parameters = tuple[tuple[str, str | int], ...]


class _Key(NamedTuple):
    query: Query
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows, and how far they may be relied on."""

    rows: tuple[Row, ...] = ()
    read_at: datetime = NEVER
    failure: str = ""
    """Why these rows are not the newest; empty while they are."""
    is_missing: bool = False
    """This database has no such view: an earlier or a later version of the schema."""

    @property
    def was_read(self) -> bool:
        """Whether ClickHouse has ever answered."""
        return self.read_at > NEVER


class Source:
    """Asks the closed set of questions; safe to use from many threads."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        """``settings`` is called for every new connection: a ClickHouse started anew has a new token."""
        self._settings = settings
        self._client: Client | None = None
        self._connected_with: Settings | None = None
        self._answers: OrderedDict[_Key, tuple[float, Answer]] = OrderedDict()
        self._failed = (-NEW_FOR_S, "")
        self._lock = Lock()

    def ask(self, query: Query, **parameters: str | int) -> Answer:
        """The newest answer there is; never raises for ClickHouse's sake.

        Raises:
            ValueError: The question takes other parameters.
        """
        if parameters.keys() != query.parameters:
            raise ValueError(f"{query} takes {sorted(query.parameters)}, not {sorted(parameters)}")
        key = _Key(query, tuple(sorted(parameters.items())))
        with self._lock:
            asked_at, known = self._answers.get(key, (-NEW_FOR_S, Answer()))
            failed_at, failure = self._failed
        now = time.monotonic()
        if now - failed_at < NEW_FOR_S:
            return replace(known, failure=failure)
        if now - asked_at < NEW_FOR_S:
            return known
        try:
            answer = self._read(query, parameters)
        except DatabaseError as error:
            self._fail(str(error), is_away=isinstance(error.__cause__, OperationalError))
            return replace(known, failure=str(error))
        self._keep(key, answer)
        return answer

    def _read(self, query: Query, parameters: dict[str, str | int]) -> Answer:
        client, settings = self._connection()
        try:
            with one_line_errors(settings):
                found = client.query(query.text, parameters=parameters, settings=_READ_ONLY)
                rows = tuple(
                    {name: _aware(value) for name, value in row.items()} for row in found.named_results()
                )
        except DatabaseError as error:
            if getattr(error.__cause__, "code", None) == NO_SUCH_TABLE:
                return Answer(read_at=datetime.now(UTC), is_missing=True)
            raise
        return Answer(rows, datetime.now(UTC))

    def _connection(self) -> tuple[Client, Settings]:
        with self._lock:
            if self._client is None or self._connected_with is None:
                self._connected_with = self._settings()
                self._client = connect(self._connected_with, within_seconds=ANSWER_WITHIN_S)
            return self._client, self._connected_with

    def _fail(self, failure: str, *, is_away: bool) -> None:
        """A refusal concerns one question; where nobody answers, nothing else is asked for a moment."""
        with self._lock:
            self._client = None
            if is_away:
                self._failed = (time.monotonic(), failure)

    def _keep(self, key: _Key, answer: Answer) -> None:
        with self._lock:
            self._answers[key] = (time.monotonic(), answer)
            self._answers.move_to_end(key)
            if len(self._answers) > ANSWERS_KEPT:
                self._answers.popitem(last=False)


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
