"""What commands print: results on stdout, everything about the work itself on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

UNBOUNDED = 1000
"""Columns when nobody's terminal limits them: what is piped is never cut."""


class Format(StrEnum):
    """How a command prints its result."""

    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True)
class Column:
    """A column of a table; a narrow terminal folds those that do not have to stay on one line."""

    title: str
    justify: Literal["left", "right"] = "left"
    may_fold: bool = False


def stdout() -> Console:
    """The console for results; made at each call, because tests replace the stream."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else UNBOUNDED, highlight=False)


def stderr() -> Console:
    """The console for progress, notes and refusals."""
    return Console(file=sys.stderr, width=None if sys.stderr.isatty() else UNBOUNDED, highlight=False)


def table(columns: Sequence[Column], rows: Iterable[Sequence[object]], *, title: str = "") -> Table:
    """A table that fits the terminal; every cell is shown as it is, None as an empty one."""
    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column.title, justify=column.justify, overflow="fold", no_wrap=not column.may_fold)
    for row in rows:
        made.add_row(*("" if cell is None else escape(str(cell)) for cell in row))
    return made


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """Print a table on stdout."""
    stdout().print(table(columns, rows, title=title))


def print_json(content: Any) -> None:
    """Print one JSON document on stdout, exactly as machines expect it."""
    print(json.dumps(content, indent=2, ensure_ascii=False))


def note(message: str) -> None:
    """Say one line about the work on stderr."""
    stderr().print(escape(message))
