"""``livelift wait``: until what was published is in the views."""

from __future__ import annotations

from typing import Annotated

import typer

from config.settings import load
from infra import waiting
from infra.cli.progress import spinner
from infra.cli.refusals import refusals


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(wait)


def wait(
    timeout: Annotated[float, typer.Option(min=0, help="Seconds; after them the exit status is 1.")] = 600,
) -> None:
    """Return when all that was published before the call is in the views."""
    settings = load()
    with refusals(), spinner("waiting") as say:
        waiting.wait(settings, timeout, say)
