"""``livelift publish``: events from a file of JSON lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from config.settings import load
from infra.cli.errors import CliError
from infra.cli.output import note
from infra.cli.progress import bar
from infra.cli.refusals import refusals
from infra.publishing import publish_lines
from schemas.events import EventKind

LINES_NAMED = 20
"""So many bad lines are named one by one; a file of the wrong kind would name every line."""


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(publish)


def publish(
    kind: Annotated[EventKind, typer.Argument(help="What the lines are.")],
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="JSON objects, one a line; - is standard input.")
    ],
    rate: Annotated[float | None, typer.Option(min=0.001, help="At most so many events a second.")] = None,
) -> None:
    """Publish events, one JSON object a line, with the fields of the Avro record.

    Fields with a default may be left out; times are epoch milliseconds or ISO 8601 with a zone. A bad line
    is named with its number and the others are sent; then the exit status is 1.
    """
    settings = load()
    bad_lines = 0

    def on_bad(number: int, problem: str) -> None:
        nonlocal bad_lines
        bad_lines += 1
        if bad_lines <= LINES_NAMED:
            note(f"line {number}: {problem}")

    with refusals(), _opened(file) as lines, _progress(file) as on_line:
        published = publish_lines(settings, kind, lines, rate=rate, on_bad=on_bad, on_line=on_line)
    if bad_lines > LINES_NAMED:
        note(f"and {bad_lines - LINES_NAMED} more")
    print(f"{published.sent} {kind.removesuffix('s') if published.sent == 1 else kind} published")
    if published.bad:
        named = "1 bad line was" if published.bad == 1 else f"{published.bad} bad lines were"
        raise CliError(f"{file}: {named} not sent")


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        opened = Path(file).open("rb")  # noqa: SIM115  # closed below; only opening it may be refused
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}") from error
    with opened:
        yield opened


@contextmanager
def _progress(file: str) -> Iterator[Callable[[bytes], None]]:
    """A bar over the bytes of a file; standard input has no known end."""
    if file == "-":
        yield lambda _: None
        return
    total, done = Path(file).stat().st_size, 0
    with bar("publishing", show_counts=False) as show:

        def on_line(line: bytes) -> None:
            nonlocal done
            done += len(line)
            show(done, total)

        yield on_line
