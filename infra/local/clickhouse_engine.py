"""The ClickHouse engine inside this process (chDB), as the HTTP front needs it.

One process owns one data folder. Each request gets a connection of its own: session settings cannot leak from
one request to the next, and a query that failed half way leaves stale bytes on its connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from chdb.state.sqlitelike import Connection

SYNTAX_ERROR = (62, "SYNTAX_ERROR")
NOT_IMPLEMENTED = (48, "NOT_IMPLEMENTED")
ACCESS_DENIED = (497, "ACCESS_DENIED")

_ENGINE_ERROR = re.compile(r"Code: (\d+)\. DB::Exception: (.*) \((\w+)\)", re.DOTALL)
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_FORMAT = re.compile(r"^FORMAT (\w+)$", re.MULTILINE)
_ROWS = re.compile(r"\(*(SELECT|WITH|FROM|SHOW|DESCRIBE|EXPLAIN|EXISTS|CHECK|KILL)\b")
_FILES = re.compile(r"\b(INTO OUTFILE|FROM INFILE)\b")
_SESSION = re.compile(r"(SET|USE|BEGIN|COMMIT|ROLLBACK|CREATE (OR REPLACE )?TEMPORARY)\b")
_TOKEN = re.compile(
    rb"--[^\n]*|/\*.*?\*/|'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"|\w+|\s+|.", re.DOTALL
)
_AFTER_VALUES = re.compile(rb"(?:[^';]|'(?:[^'\\]|\\.|'')*')*;\s*\S", re.DOTALL)

# Without block boundaries of their own these can be sent piece by piece; others carry a head or a tail.
STREAMED_FORMATS = frozenset(
    {"Native", "RowBinary", "TabSeparated", "TSV", "CSV", "JSONEachRow", "JSONLines", "NDJSON"}
)

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


class EngineError(Exception):
    """A refusal in ClickHouse's words, with its code and name."""

    def __init__(self, kind: tuple[int, str], message: str) -> None:
        super().__init__(message)
        self.code, self.name = kind


@dataclass(frozen=True)
class Options:
    """What a request asks for beside its statement; ``settings`` holds ``param_*`` values too."""

    database: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    read_only: bool = False


@dataclass(frozen=True)
class Statement:
    """One statement the engine's own parser has accepted."""

    text: str
    has_rows: bool
    format: str | None


@dataclass(frozen=True)
class Insert:
    """An INSERT whose rows follow it: the statement without its format, and the first bytes of the rows."""

    head: str
    format: str
    first: bytes


@dataclass(frozen=True)
class Answer:
    """What a statement gave: its output, in pieces, and the counts for the summary."""

    pieces: Iterator[bytes]
    summary: Mapping[str, int]


def split_insert(text: bytes) -> Insert | None:
    """Part an INSERT from the rows behind it; None when the text is anything else, INSERT SELECT included."""
    depth, previous, first = 0, b"", True
    for token in _TOKEN.finditer(text):
        word = token.group().upper()
        if word.isspace() or word.startswith((b"--", b"/*")):
            continue
        if first and word != b"INSERT":
            return None
        first = False
        depth += {b"(": 1, b")": -1}.get(word, 0)
        if depth == 0 and word in (b"SELECT", b"WITH"):
            return None
        if depth == 0 and word == b"VALUES":
            return Insert(_decoded(text[: token.start()]), "Values", text[token.end() :])
        if depth == 0 and previous == b"FORMAT":
            head = text[: token.start()].rstrip()[: -len(b"FORMAT")]
            rows = re.sub(rb"\A[ \t\f]*\r?\n?", b"", text[token.end() :], count=1)
            return Insert(_decoded(head), _decoded(token.group()), rows)
        previous = word
    return None


class Engine:
    """The engine over one data folder; connections are parallel and thread-safe.

    Raises:
        EngineError: From every method, for whatever ClickHouse refuses, with its code.
    """

    def __init__(self, data: Path, memory_mb: int) -> None:
        """Open the folder, creating it where needed; ``memory_mb`` bounds all queries together."""
        data.mkdir(parents=True, exist_ok=True)
        config, users = data / "config.xml", data / "users.xml"
        users.write_text(_USERS, encoding="utf-8")
        config.write_text(_CONFIG.format(memory=memory_mb << 20, users=users), encoding="utf-8")
        self._url = f"{data / 'store'}?config-file={config}"
        # Held to the end: the engine shuts down with its last connection.
        self._holder = self._connection()
        self.version, self.timezone = self._text("SELECT version(), timezone()").split("\t")
        self.parse = lru_cache(maxsize=1024)(self._parse)

    def close(self) -> None:
        """Shut the engine down."""
        self._holder.close()

    def run(self, statement: Statement, options: Options, output: str, *, streamed: bool) -> Answer:
        """Execute one statement; with ``streamed``, only its first block is computed before this returns."""
        if streamed:
            pieces = self._stream(statement.text, options, output)
            first = next(pieces, b"")
            return Answer(_chain(first, pieces), {})
        with self._session(options) as connection:
            result = connection.query(statement.text, output)
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
        if insert.format.upper() == "VALUES":
            rows = (_only_values(insert.first + b"".join(rows)),)
        else:
            rows = _chain(insert.first, rows)
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
        with self._session(options) as connection, connection.send_query(text, output) as chunks:
            for chunk in chunks:
                yield chunk.bytes()

    def _parse(self, text: str) -> Statement:
        """Read a statement with the engine's parser, which also refuses a second one behind it.

        The rules below look at the parser's own rendering with quoted text taken out, so a literal that merely
        contains ``;`` or ``INTO OUTFILE`` passes.
        """
        try:
            with self._session(
                Options(settings={"param_q": _tsv(text), "max_query_size": "0"})
            ) as connection:
                rendered = (
                    connection.query("SELECT formatQuery({q:String})", "TabSeparatedRaw").bytes().decode()
                )
        except EngineError as error:
            raise EngineError((error.code, error.name), str(error).split(": In scope SELECT")[0]) from None
        bare = _QUOTED.sub("''", rendered.rstrip("\n"))
        if clause := _FILES.search(bare):
            raise EngineError(ACCESS_DENIED, f"{clause[1]} is not allowed over HTTP")
        if _SESSION.match(bare):
            raise EngineError(
                NOT_IMPLEMENTED,
                "There are no sessions here: give the database and the settings with each request",
            )
        formats = _FORMAT.findall(bare)
        return Statement(text, _ROWS.match(bare) is not None, formats[-1] if formats else None)

    def _connection(self) -> Any:
        try:
            return Connection(self._url)
        except RuntimeError as error:
            raise _as_engine_error(error) from error

    @contextmanager
    def _session(self, options: Options) -> Iterator[Any]:
        connection = self._connection()
        try:
            if options.database:
                connection.query(f"USE {_identifier(options.database)}")
            settings = {**options.settings, **({"readonly": "2"} if options.read_only else {})}
            if settings:
                connection.query(
                    "SET " + ", ".join(f"{_setting(k)} = {_literal(v)}" for k, v in settings.items())
                )
            yield connection
        except RuntimeError as error:
            raise _as_engine_error(error) from error
        finally:
            connection.close()

    def _text(self, query: str) -> str:
        with self._session(Options()) as connection:
            return str(connection.query(query, "TabSeparated").bytes().decode().rstrip("\n"))


def _chain(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _only_values(rows: bytes) -> bytes:
    """The rows of a VALUES clause; its reader would silently drop what follows a semicolon."""
    if _AFTER_VALUES.match(rows):
        raise EngineError(SYNTAX_ERROR, "Cannot read data after semicolon (Multi-statements are not allowed)")
    return rows


def _as_engine_error(error: RuntimeError) -> EngineError:
    found = _ENGINE_ERROR.search(str(error))
    if found is None:
        return EngineError((1002, "UNKNOWN_EXCEPTION"), str(error))
    return EngineError((int(found[1]), found[3]), found[2])


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise EngineError(SYNTAX_ERROR, "The statement is not UTF-8") from None


def _setting(name: str) -> str:
    if not re.fullmatch(r"\w+", name, re.ASCII):
        raise EngineError((115, "UNKNOWN_SETTING"), f"Unknown setting {name!r}")
    return name


def _identifier(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _tsv(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
