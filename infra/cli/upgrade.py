"""``livelift upgrade``: a new release of a job goes on where the old one stopped."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer

from config.settings import Settings, load
from infra.cli.errors import CliError
from infra.cli.output import note
from infra.cli.refusals import refusals
from infra.upgrade import Say, UpgradeError, upgrade_attribution, upgrade_scorecard


class Upgraded(StrEnum):
    """What can be upgraded."""

    ATTRIBUTION = "attribution"
    SCORECARD = "scorecard"


UPGRADES: dict[Upgraded, Callable[[Settings, Say], None]] = {
    Upgraded.ATTRIBUTION: upgrade_attribution,
    Upgraded.SCORECARD: upgrade_scorecard,
}


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(upgrade)


def upgrade(job: Annotated[Upgraded, typer.Argument(help="Which job.")]) -> None:
    """Stop a job with a savepoint and let today's code go on from it.

    A changed Java function (build it first: `make setup`) or changed statistics. A changed plan of the
    attribution job, or changed rules, are refused: then `livelift rebuild --all`.
    """
    settings = load()
    with refusals():
        try:
            UPGRADES[job](settings, note)
        except UpgradeError as error:
            raise CliError(str(error)) from error
    print(f"{job} upgraded")
