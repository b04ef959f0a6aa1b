"""``livelift rebuild``: results counted again from the log."""

from __future__ import annotations

from typing import Annotated

import typer

from config.settings import load
from infra.cli.errors import CliError
from infra.cli.output import note
from infra.cli.progress import spinner
from infra.cli.refusals import refusals
from infra.rebuild import RebuildError, Target
from infra.rebuild import rebuild as count_again
from infra.submission import SubmissionError


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(rebuild)


def rebuild(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", show_default=False)] = "",
    experiment: Annotated[str, typer.Argument(metavar="EXPERIMENT", show_default=False)] = "",
    everyone: Annotated[bool, typer.Option("--all", help="Every tenant.")] = False,
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds for the counting; after them the exit status is 1.")
    ] = 3600,
    from_what_is_left: Annotated[
        bool,
        typer.Option("--from-what-is-left", help="Although records are deleted: what they counted is lost."),
    ] = False,
) -> None:
    """Count a tenant, or one of his experiments, again from the log, and then show that instead.

    It is done beside the running jobs by a lane of its own. Readers see the old results until the new ones
    are complete, and then those alone. When the time is up the lane goes on: say it again to wait for it.
    """
    if bool(tenant) == everyone:
        raise CliError("say whom to count again: a TENANT, a TENANT and his EXPERIMENT, or --all")
    settings = load()
    with refusals(), spinner("rebuilding") as progress:
        try:
            lane = count_again(
                settings,
                Target(tenant, experiment),
                timeout_seconds=timeout,
                say=note,
                progress=progress,
                from_what_is_left=from_what_is_left,
            )
        except (RebuildError, SubmissionError) as error:
            raise CliError(str(error)) from error
    print(f"{Target(tenant, experiment)} is at epoch {lane.epoch}")
