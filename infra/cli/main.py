"""The ``livelift`` command: every command file adds its own functions."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from config.settings import SettingsError
from infra.cli.errors import CliError

COMMANDS = (
    "demo",
    "stack",
    "define",
    "publish",
    "simulate",
    "wait",
    "results",
    "decisions",
    "notify",
    "export",
    "sql",
    "console",
    "verify",
    "reconcile",
    "upgrade",
    "rebuild",
    "rejected",
    "heartbeat",
    "bench",
)
"""Modules of ``infra.cli`` in the order in which ``livelift --help`` lists their commands."""

app = typer.Typer(
    name="livelift",
    help="Real-time statistics of A/B tests as a stream.",
    rich_markup_mode="markdown",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in COMMANDS:
    import_module(f"infra.cli.{command}").register(app)


def main() -> None:
    """Run one command; a refusal is one line on stderr and exit status 1."""
    try:
        app()
    except (CliError, SettingsError) as error:
        sys.exit(f"livelift: {error}")


if __name__ == "__main__":
    main()
