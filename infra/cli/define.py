"""``livelift define``: experiments from YAML files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from config.settings import load
from infra.cli.refusals import refusals
from infra.definitions import Limits, publish, read_definitions


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(define)


def define(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="YAML; several documents per file.")],
) -> None:
    """Publish definitions of experiments; all of them, or none if one is wrong.

    A version that is published already with the same content is left as it is; with other content it is
    refused: a change is a new config_version. A version with `ended_at` ends the experiment: the command
    returns when that is in effect, so assignments made after it and published from then on are refused.
    """
    settings = load()
    with refusals():
        drafts = read_definitions(files, Limits.of(settings))
        new = publish(settings, drafts)
    keys = {draft.key for draft in new}
    for draft in drafts:
        print(f"{draft.key} {'published' if draft.key in keys else 'unchanged'}")
