"""Progress of long work: a bar on a terminal, nothing anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn

from infra.cli.output import stderr


@contextmanager
def bar(description: str, *, show_counts: bool = True) -> Iterator[Callable[[int, int], None]]:
    """A bar to be told how much is done, and of how much."""
    console = stderr()
    counts = (MofNCompleteColumn(),) if show_counts else ()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), *counts)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(description, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def spinner(description: str) -> Iterator[Callable[[str], None]]:
    """A line to be told what is being done."""
    console = stderr()
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status(description) as status:
        yield status.update
