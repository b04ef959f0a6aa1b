"""``livelift up``, ``down`` and ``status``: the parts of one machine."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from config.settings import Settings, load
from infra.cli.errors import CliError
from infra.cli.output import Column, Format, note, print_json, print_table, stderr, stdout
from infra.cli.refusals import refusals
from infra.console import console_url
from infra.local import jobs, stack, status
from infra.local.members import StackError
from infra.local.record import Entry, Record, State

FormatOption = Annotated[Format, typer.Option("--format", help="For people or for machines.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(up)
    app.command()(down)
    app.command(name="status")(show_status)


def up(
    fresh: Annotated[bool, typer.Option(help="Delete all data of an earlier run first.")] = False,
) -> None:
    """Start every part that does not run, and the jobs; harmless when all do."""
    settings = load()
    try:
        if fresh:
            stack.down(settings)
            stack.wipe(settings)
    except StackError as error:
        raise CliError(str(error)) from error
    bring_up(settings)


def bring_up(settings: Settings) -> None:
    """Start what is missing, with progress on stderr.

    Raises:
        CliError: It did not come up; one line that says why and which log to read.
    """
    began = time.monotonic()
    try:
        with _Progress() as progress:
            stack.up(settings, progress.show)
    except StackError as error:
        raise CliError(str(error)) from error
    with refusals():
        held = jobs.held_back(load())  # anew: the password is there only now
    if held:
        name, why = next(iter(held.items()))
        raise CliError(
            f"all is up but {name}, which cannot go on from its state ({why}): livelift rebuild --all counts "
            "anew from the log, and what is counted stays readable until then"
        )
    note(
        f"up after {time.monotonic() - began:.0f} s; the console is at "
        f"{console_url(settings)}, Flink's page at {settings.flink.rest_url}"
    )


def down(
    wipe: Annotated[bool, typer.Option(help="Delete all data, logs and checkpoints as well.")] = False,
) -> None:
    """Stop every part; data stays for the next `up` unless --wipe is given."""
    settings = load()
    try:
        with stderr().status("stopping"):
            stopped = stack.down(settings)
        if wipe:
            stack.wipe(settings)
    except StackError as error:
        raise CliError(str(error)) from error
    note(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")


def show_status(output: FormatOption = Format.TABLE) -> None:
    """Show every part, every job and whom it serves; exit status 1 when something is down."""
    settings = load()
    try:
        report = status.report(settings)
    except StackError as error:
        raise CliError(str(error)) from error
    if output is Format.JSON:
        print_json(report.as_json())
    else:
        _print_parts(report)
        _print_jobs(report)
        stdout().print(f"\nmetrics: {'  '.join(report.metrics)}", soft_wrap=True)
    if report.down:
        raise CliError(f"down: {', '.join(report.down)}")


def _print_parts(report: status.Report) -> None:
    columns = (
        Column("part"),
        Column("state"),
        Column("pid", "right"),
        Column("port", "right"),
        Column("since", "right"),
        Column("memory", "right"),
        Column("restarts", "right"),
        Column("log", may_fold=True),
    )
    print_table(
        columns,
        [
            (
                part.name,
                part.state,
                part.pid,
                part.port,
                _duration(part.since_s),
                f"{part.memory_mb} MB" if part.memory_mb else None,
                part.restarts or None,
                part.log,
            )
            for part in report.parts
        ],
    )


def _print_jobs(report: status.Report) -> None:
    columns = (
        Column("job"),
        Column("state"),
        Column("serves", may_fold=True),
        Column("epoch", "right"),
        Column("role"),
        Column("last checkpoint", "right"),
        Column("restarts", "right"),
        Column("id", may_fold=True),
    )
    rows = [
        (
            job.name,
            job.state.lower(),
            job.serves,
            job.epoch,
            job.role,
            _ago(job.checkpoint_age_s),
            job.restarts or None,
            job.id,
        )
        for job in report.jobs
    ]
    stdout().print()
    print_table(columns, rows)


def _ago(seconds: float | None) -> str | None:
    return None if seconds is None else f"{_duration(seconds)} ago"


def _duration(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    whole = int(seconds)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if whole >= 2 * size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


class _Progress:
    """The parts coming up: a live list on a terminal, one line for each change anywhere else."""

    def __init__(self) -> None:
        self._console = stderr()
        self._live = Live(console=self._console, refresh_per_second=8, transient=True)
        self._said: dict[str, State] = {}
        self._began = time.time()

    def __enter__(self) -> _Progress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, record: Record) -> None:
        """Show the record."""
        if self._console.is_terminal:
            self._live.update(Group(*(self._line(entry) for entry in record.entries.values())))
            return
        for entry in record.entries.values():
            if entry.is_ready() and self._said.get(entry.name) is not entry.state:
                note(f"{entry.name} {entry.state}")
            self._said[entry.name] = entry.state

    def _line(self, entry: Entry) -> Text | Spinner:
        if entry.state is State.STARTING:
            return Spinner("dots", f"{entry.name:<12} starting, {max(0.0, time.time() - entry.since):.0f} s")
        mark = "✓" if entry.is_ready() else "·"
        return Text(f"{mark} {entry.name:<12} {entry.state}")
