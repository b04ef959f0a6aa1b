"""The ``livelift`` command: every command file adds its own functions."""

from __future__ import annotations

import sys
from importlib import import_module

import typer
from typer._click.exceptions import (  # typer has no name of its own for them
    ClickException,
    NoArgsIsHelpError,
)

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
    """Run one command; a refusal is one line on stderr and exit status 1 (2 if the command line is wrong)."""
    try:
        status = app(prog_name="livelift", standalone_mode=False)
    except (CliError, SettingsError) as error:
        sys.exit(f"livelift: {error}")
    except NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except ClickException as error:
        print(f"livelift: {_one_line(error)}", file=sys.stderr)
        sys.exit(error.exit_code)
    except typer.Abort:
        sys.exit(1)
    sys.exit(status or 0)


def _one_line(error: ClickException) -> str:
    """What is wrong with the command line, and where the right one is told."""
    said = " ".join(error.format_message().replace("Value error, ", "").removesuffix(".").split())
    context = getattr(error, "ctx", None)
    return f"{said} ({context.command_path} --help tells more)" if context else said


if __name__ == "__main__":
    main()
