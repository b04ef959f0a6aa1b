"""What the HTTP front must know about a statement: its kind and format, whether it may run, where rows begin.

The engine's parser reads every statement; the rules here look at that parser's own rendering, which has no
comments and one way of quoting. So a literal that merely contains ``;`` or ``INTO OUTFILE`` passes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SYNTAX_ERROR = (62, "SYNTAX_ERROR")
NOT_IMPLEMENTED = (48, "NOT_IMPLEMENTED")
ACCESS_DENIED = (497, "ACCESS_DENIED")
UNKNOWN_SETTING = (115, "UNKNOWN_SETTING")

_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_FORMAT = re.compile(r"^FORMAT (\w+)$", re.MULTILINE)
_SELECT = re.compile(r"\(*(SELECT|WITH|FROM)\b")
_ROWS = re.compile(r"SHOW|DESCRIBE|EXPLAIN|EXISTS|CHECK|KILL")
_FILES = re.compile(r"\b(INTO OUTFILE|FROM INFILE)\b")
_SESSION = re.compile(r"(SET|USE|BEGIN|COMMIT|ROLLBACK|CREATE (OR REPLACE )?TEMPORARY)\b")
_TOKEN = re.compile(
    rb"--[^\n]*|/\*.*?\*/|'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"|\w+|\s+|.", re.DOTALL
)
_AFTER_VALUES = re.compile(rb"(?:[^';]|'(?:[^'\\]|\\.|'')*')*+;\s*\S", re.DOTALL)


class RefusedError(Exception):
    """A request is refused, in ClickHouse's words, with its code and name."""

    def __init__(self, kind: tuple[int, str], message: str) -> None:
        super().__init__(message)
        self.code, self.name = kind


@dataclass(frozen=True)
class Statement:
    """One statement that may run."""

    text: str
    is_select: bool
    has_rows: bool
    format: str | None
    """The one it names itself."""


@dataclass(frozen=True)
class Insert:
    """An INSERT whose rows follow it: the statement without its format, and the first bytes of the rows."""

    head: str
    format: str
    first: bytes


def statement_of(text: str, rendered: str) -> Statement:
    """Judge a statement by the parser's rendering of it.

    Raises:
        RefusedError: It reads or writes a file of the server, or needs a session.
    """
    bare = _QUOTED.sub("''", rendered.rstrip("\n"))
    if clause := _FILES.search(bare):
        raise RefusedError(ACCESS_DENIED, f"{clause[1]} is not allowed over HTTP")
    if _SESSION.match(bare):
        message = "There are no sessions here: give the database and the settings with each request"
        raise RefusedError(NOT_IMPLEMENTED, message)
    formats = _FORMAT.findall(bare)
    is_select = _SELECT.match(bare) is not None
    has_rows = is_select or _ROWS.match(bare) is not None
    return Statement(text, is_select, has_rows, formats[-1] if formats else None)


def split_insert(text: bytes) -> Insert | None:
    """Part an INSERT from the rows behind it; None when the text is anything else, INSERT SELECT included.

    The head is not judged here: it is parsed again without the rows, and rows are never parsed as SQL.
    """
    depth, previous, is_first = 0, b"", True
    for token in _TOKEN.finditer(text):
        word = token.group().upper()
        if word.isspace() or word.startswith((b"--", b"/*")):
            continue
        if is_first and word != b"INSERT":
            return None
        is_first = False
        depth += {b"(": 1, b")": -1}.get(word, 0)
        if depth == 0 and word in (b"SELECT", b"WITH"):
            return None
        if depth == 0 and word == b"VALUES":
            return Insert(utf8(text[: token.start()]), "Values", text[token.end() :])
        if depth == 0 and previous == b"FORMAT":
            head = text[: token.start()].rstrip()[: -len(b"FORMAT")]
            rows = re.sub(rb"\A[ \t\f]*\r?\n?", b"", text[token.end() :], count=1)
            return Insert(utf8(head), utf8(token.group()), rows)
        previous = word
    return None


def only_values(rows: bytes) -> bytes:
    """The rows of a VALUES clause, unchanged; the engine would silently drop what follows a semicolon.

    Raises:
        RefusedError: Something follows one.
    """
    if _AFTER_VALUES.match(rows):
        raise RefusedError(
            SYNTAX_ERROR, "Cannot read data after semicolon (Multi-statements are not allowed)"
        )
    return rows


def utf8(text: bytes) -> str:
    """Decode a part of a statement; RefusedError when it is not UTF-8."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise RefusedError(SYNTAX_ERROR, "The statement is not UTF-8") from None


def setting_name(name: str) -> str:
    """A name that can stand in SET; RefusedError when it cannot be one."""
    if not re.fullmatch(r"\w+", name, re.ASCII):
        raise RefusedError(UNKNOWN_SETTING, f"Unknown setting {name!r}")
    return name


def quoted_name(name: str) -> str:
    """A name as an SQL identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def literal(value: str) -> str:
    """A value as an SQL string."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def tab_escaped(value: str) -> str:
    """A value as parameters are written: like a field of TabSeparated."""
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
