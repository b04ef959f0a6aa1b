"""The ClickHouse engine inside this process (chDB), as the HTTP front needs it.

One process owns one data folder. Each request gets a connection of its own: session settings cannot leak from
one request to the next, and a query that failed half way leaves stale bytes on its connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from chdb.state.sqlitelike import Connection

from infra.local.clickhouse_statements import (
    Insert,
    RefusedError,
    Statement,
    literal,
    only_values,
    quoted_name,
    setting_name,
    statement_of,
    tab_escaped,
)

# These have neither head nor tail, so an answer in them can be sent piece by piece.
STREAMED_FORMATS = frozenset(
    {"Native", "RowBinary", "TabSeparated", "TSV", "CSV", "JSONEachRow", "JSONLines", "NDJSON"}
)
CACHED_CHARACTERS = 1 << 14

_ENGINE_ERROR = re.compile(r"Code: (\d+)\. DB::Exception: (.*) \((\w+)\)", re.DOTALL)

_CONFIG = """<clickhouse>
    <max_server_memory_usage>{memory}</max_server_memory_usage>
    <mark_cache_size>134217728</mark_cache_size>
    <users_config>{users}</users_config>
</clickhouse>
"""
# The statements of the operator reach tables only, never the machine's files or other servers.
_USERS = """<clickhouse>
    <profiles><default><async_insert>0</async_insert></default></profiles>
    <quotas><default/></quotas>
    <users><default>
        <password></password>
        <profile>default</profile>
        <quota>default</quota>
        <networks><ip>::/0</ip></networks>
        <grants><query>GRANT ALL ON *.*</query><query>REVOKE READ, WRITE ON *</query></grants>
    </default></users>
</clickhouse>
"""


@dataclass(frozen=True)
class Options:
    """What a request asks for beside its statement."""

    database: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Values of ``{name:Type}``, escaped like a field of TabSeparated."""
    read_only: bool = False


@dataclass(frozen=True)
class Answer:
    """What a statement gave: its output, in pieces, and the counts for the summary."""

    pieces: Iterator[bytes]
    summary: Mapping[str, int]


class Engine:
    """The engine over one data folder; connections are parallel and thread-safe.

    Raises:
        RefusedError: From every method, for whatever ClickHouse refuses, with its code.
    """

    def __init__(self, data: Path, database: str, memory_mb: int) -> None:
        """Open the folder and the database of requests that name none, creating them where needed.

        chDB's own ``default`` shows the files of the working directory as tables, so nobody gets it unasked.
        ``memory_mb`` bounds all queries together.
        """
        data.mkdir(parents=True, exist_ok=True)
        config, users = data / "config.xml", data / "users.xml"
        users.write_text(_USERS, encoding="utf-8")
        config.write_text(_CONFIG.format(memory=memory_mb << 20, users=users), encoding="utf-8")
        self._url = f"{data / 'store'}?config-file={config}"
        # Held to the end: the engine shuts down with its last connection.
        self._holder = self._connection()
        self._holder.query(f"CREATE DATABASE IF NOT EXISTS {quoted_name(database)}")
        self._database = database
        self.version, self.timezone = self._text("SELECT version(), timezone()").split("\t")
        self._parse_cached = lru_cache(maxsize=1024)(self._parse)

    def close(self) -> None:
        """Shut the engine down."""
        self._holder.close()

    def parse(self, text: str) -> Statement:
        """Read one statement with the engine's own parser, which also refuses a second one behind it."""
        return self._parse_cached(text) if len(text) <= CACHED_CHARACTERS else self._parse(text)

    def run(self, statement: Statement, options: Options, output: str, *, streamed: bool) -> Answer:
        """Execute one statement; with ``streamed``, while the answer is read, and without counts."""
        if streamed:
            return Answer(self._stream(statement.text, options, output), {})
        with self._session(options) as connection:
            result = connection.query(statement.text, output, params=options.parameters)
            summary = {
                "read_rows": result.storage_rows_read(),
                "read_bytes": result.storage_bytes_read(),
                "written_rows": result.rows_written(),
                "written_bytes": result.bytes_written(),
                "result_rows": result.rows_read(),
                "result_bytes": result.bytes_read(),
                "elapsed_ns": int(result.elapsed() * 1e9),
            }
            return Answer(iter((result.bytes(),)), summary)

    def insert(self, insert: Insert, rows: Iterable[bytes], options: Options) -> Answer:
        """Insert rows as they arrive; when anything fails, ``rows`` included, none of them is kept."""
        self.parse(f"{insert.head} FORMAT {insert.format}")
        parameters = {f"param_{name}": value for name, value in options.parameters.items()}
        options = replace(options, settings={**options.settings, **parameters})
        if insert.format.upper() == "VALUES":
            rows = (only_values(insert.first + b"".join(rows)),)
        else:
            rows = chain((insert.first,), rows)
        with (
            self._session(options) as connection,
            connection.send_insert(insert.head, insert.format) as stream,
        ):
            for piece in rows:
                stream.append(piece)
            result = stream.finish()
        summary = {
            "written_rows": result.rows_written,
            "written_bytes": result.bytes_written,
            "elapsed_ns": int(result.elapsed * 1e9),
        }
        return Answer(iter(()), summary)

    def _stream(self, text: str, options: Options, output: str) -> Iterator[bytes]:
        with (
            self._session(options) as connection,
            connection.send_query(text, output, params=options.parameters) as chunks,
        ):
            for chunk in chunks:
                yield chunk.bytes()

    def _parse(self, text: str) -> Statement:
        parameters = {"text": tab_escaped(text)}
        try:
            with self._session(Options(settings={"max_query_size": "0"})) as connection:
                result = connection.query("SELECT formatQuery({text:String})", "Raw", params=parameters)
                rendered = result.bytes().decode()
        except RefusedError as error:
            message = str(error).split(": In scope SELECT")[0]
            raise RefusedError((error.code, error.name), message) from None
        return statement_of(text, rendered)

    def _connection(self) -> Any:
        try:
            return Connection(self._url)
        except RuntimeError as error:
            raise _refused(error) from error

    @contextmanager
    def _session(self, options: Options) -> Iterator[Any]:
        connection = self._connection()
        try:
            connection.query(f"USE {quoted_name(options.database or self._database)}")
            settings = {**options.settings, **({"readonly": "2"} if options.read_only else {})}
            if settings:
                connection.query(
                    "SET " + ", ".join(f"{setting_name(k)} = {literal(v)}" for k, v in settings.items())
                )
            yield connection
        except RuntimeError as error:
            raise _refused(error) from error
        finally:
            connection.close()

    def _text(self, query: str) -> str:
        with self._session(Options()) as connection:
            return str(connection.query(query, "TabSeparated").bytes().decode().rstrip("\n"))


def _refused(error: RuntimeError) -> RefusedError:
    found = _ENGINE_ERROR.search(str(error))
    if found is None:
        return RefusedError((1002, "UNKNOWN_EXCEPTION"), str(error))
    return RefusedError((int(found[1]), found[3]), found[2])
