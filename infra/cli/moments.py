"""Moments on the command line."""

from __future__ import annotations

import typer

from schemas.event_lines import BadLineError, epoch_ms


def moment(text: str) -> int:
    """Epoch milliseconds of a time as people give it on the command line."""
    try:
        return epoch_ms(int(text) if text.lstrip("-").isdigit() else text)
    except BadLineError as error:
        raise typer.BadParameter(str(error)) from error
