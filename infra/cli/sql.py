"""``livelift sql``: a query of the operator."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer

from config.settings import load
from infra.cli.refusals import refusals
from infra.clickhouse import connect, one_line_errors

HAS_FORMAT = re.compile(r"\bFORMAT\s+\w+\s*$", re.IGNORECASE)
ANSWERS_WITH_ROWS = re.compile(
    r"\s*\(*\s*(SELECT|WITH|SHOW|DESC|DESCRIBE|EXPLAIN|EXISTS|CHECK)\b", re.IGNORECASE
)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(sql)


def sql(
    query: Annotated[str, typer.Argument(help="One statement.")],
    output: Annotated[
        str, typer.Option("--format", metavar="NAME", help="A format of ClickHouse, such as JSONEachRow.")
    ] = "PrettyCompactMonoBlock",
) -> None:
    """Run one ClickHouse statement as the operator and print its answer."""
    settings = load()
    statement = query.strip().rstrip(";")
    with refusals(), one_line_errors(settings):
        answer = connect(settings).raw_query(statement, fmt=output if takes_format(statement) else None)
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()


def takes_format(statement: str) -> bool:
    """Whether the statement answers with rows and leaves their format open."""
    return bool(ANSWERS_WITH_ROWS.match(statement)) and not HAS_FORMAT.search(statement)
