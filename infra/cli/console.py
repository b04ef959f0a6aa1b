"""``livelift console``: the web page for experimenters."""

from __future__ import annotations

from typing import Annotated

import typer

from config.settings import load
from infra.cli.output import note
from infra.cli.refusals import refusals
from infra.console import HOST


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(console)


def console(
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0 is any free one; else as the settings say.")
    ] = None,
    tenant: Annotated[str, typer.Option(help="Show only this tenant.")] = "",
) -> None:
    """Serve the console on this machine until stopped; `livelift up` starts one as a part of the stack."""
    # Here, because every other command would wait for the web server's modules too.
    from infra.console.server import listening_socket, serve

    settings = load()
    with refusals():
        listening = listening_socket(settings.console.port if port is None else port)
    note(f"the console is at http://{HOST}:{listening.getsockname()[1]}")
    serve(load, listening, tenant=tenant or settings.console.tenant)
