"""``livelift notify``: decisions to a webhook."""

from __future__ import annotations

import signal
from threading import Event
from typing import Annotated

import typer

from config.settings import load
from infra.cli.errors import CliError
from infra.cli.output import note
from infra.cli.refusals import refusals
from infra.webhook import notify as deliver


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(notify)


def notify(
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print what would be sent now; send and note nothing."),
    ] = False,
) -> None:
    """POST every decision to the webhook of the settings, signed, until each is taken; goes on until stopped.

    Settings: webhook.url, and the secret of the signature in LIVELIFT_WEBHOOK_SECRET. A decision may come
    twice: its id is the Idempotency-Key. A receiver who does not answer, answers 5xx, or does not know the
    secret (401, 403) is waited for. A decision that he alone refuses (other 4xx) is passed over after 15
    attempts, some ten minutes, and stays in `livelift decisions`: the exit status is then 1.
    """
    settings = load()
    if not settings.webhook.url:
        raise CliError("webhook.url is not set (or set LIVELIFT_WEBHOOK_URL)")
    if not settings.webhook.secret and not dry_run:
        raise CliError("webhook.secret is not set: set LIVELIFT_WEBHOOK_SECRET")
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    note(f"decisions to {settings.webhook.url}")
    with refusals():
        delivered = deliver(settings, stop, note, dry_run=dry_run)
    if delivered.passed_over:
        ids = ", ".join(delivered.passed_over)
        raise CliError(
            f"{delivered.taken} delivered, {len(delivered.passed_over)} passed over because "
            f"{settings.webhook.url} refused them: {ids}"
        )
