"""``livelift bench``: what livelift costs on this machine, beside what else one could run on it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Annotated, TypeVar

import typer

from config.settings import ROOT
from infra.bench import freshness, growth, memory, spike, throughput
from infra.bench.answer import Answer
from infra.bench.contenders import CONTENDERS
from infra.bench.dataset import Shape
from infra.bench.flink import JobError
from infra.bench.loading import load
from infra.bench.own_stack import WITHOUT_JOBS, own_stack
from infra.bench.periodic_sql import RawEvents, Refresh
from infra.bench.progress import NoProgressError
from infra.cli.errors import CliError
from infra.cli.output import Column, Format, note, print_json, print_table
from infra.cli.progress import bar
from infra.cli.refusals import refusals
from infra.local.members import StackError

Each = TypeVar("Each")

RESULTS = ROOT / ".livelift" / "bench-results"
QUICK_EVENTS = 2_000_000
ROUNDS = 3
PERIODIC_EVENTS = (2_000_000, 8_000_000, 32_000_000)
FILLED_EVENTS = 2_000_000
"""In the state before freshness is measured."""


@dataclass(frozen=True)
class Wanted:
    """How a question is asked."""

    is_quick: bool
    rounds: int
    only: tuple[str, ...]
    recordings: Path | None


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(bench)


def bench(
    fresh: Annotated[
        bool, typer.Option("--freshness", help="Event → results at 5 to 36 k events/s.")
    ] = False,
    grown: Annotated[
        bool,
        typer.Option("--growth", help="An event's price with more users, experiments, tenants, metrics."),
    ] = False,
    state: Annotated[bool, typer.Option("--memory", help="Bytes of state a user.")] = False,
    scored: Annotated[
        bool, typer.Option("--scorecard", help="A thousand experiments that change every second.")
    ] = False,
    spiked: Annotated[bool, typer.Option("--spike", help="Ten times the rate for a minute.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer records; within 20 minutes.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="How often the contenders take turns.")] = ROUNDS,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this contender, or the growth of this.")
    ] = None,
    profile: Annotated[
        bool,
        typer.Option("--profile", help="Write what Flight Recorder saw; figures suffer by some percent."),
    ] = False,
    into: Annotated[
        Path,
        typer.Option(
            help="Folder for all figures and the picture.", show_default=str(RESULTS.relative_to(ROOT))
        ),
    ] = RESULTS,
    output: Annotated[Format, typer.Option("--format", help="For people or for machines.")] = Format.TABLE,
) -> None:
    """Measure livelift beside the read limit, Flink SQL, PyFlink and periodic SQL, or as an option says.

    It wants the machine for itself, runs a stack of its own (.livelift/bench) and leaves nothing running.
    """
    asked: list[Callable[[Wanted], Answer]] = [
        question
        for is_asked, question in (
            (fresh, _freshness),
            (grown, _growth),
            (state, _memory),
            (scored, _scorecard),
            (spiked, _spike),
        )
        if is_asked
    ]
    if len(asked) > 1:
        raise CliError("bench: one question at a time")
    question = asked[0] if asked else _throughput
    with _one_line():
        answer = question(Wanted(quick, rounds, tuple(only or ()), into if profile else None))
    note(f"all figures: {answer.write(into)}")
    _show(answer, output)


def _throughput(wanted: Wanted) -> Answer:
    shape = Shape(events=QUICK_EVENTS) if wanted.is_quick else Shape()
    contenders = _chosen("contender", wanted.only, {each.name: each for each in CONTENDERS})
    with own_stack(*WITHOUT_JOBS) as settings:
        with bar("loading") as show:
            loaded = load(settings, shape, show)
        note(f"{loaded.records:,} records loaded, {loaded.events_per_s:,.0f} a second")
        runs = throughput.in_turn(
            settings,
            contenders,
            loaded.records,
            wanted.rounds,
            recordings=wanted.recordings,
            on_run=lambda contender, run: note(
                f"{contender.name}: {run.measured.events_per_s:,.0f} events/s"
            ),
        )
        refreshes: list[Refresh] = []
        if not wanted.only:
            sizes = [size for size in PERIODIC_EVENTS if size <= shape.events or not wanted.is_quick]
            raw = RawEvents(settings, replace(shape, events=max(sizes)))
            for size in sizes:
                raw.grow(size)
                refreshes.append(raw.refresh())
                note(f"periodic SQL over {size:,} events: {refreshes[-1].seconds:.1f} s")
    return throughput.answer(shape, loaded, runs, refreshes)


def _freshness(wanted: Wanted) -> Answer:
    seconds = freshness.SECONDS / 2 if wanted.is_quick else freshness.SECONDS
    with own_stack() as settings:
        filled, found = freshness.measure(
            settings,
            Shape(events=FILLED_EVENTS),
            seconds=seconds,
            on_rate=lambda each: note(f"{each.rate:,.0f} events/s: {each.freshness}"),
        )
    return freshness.answer(filled, found)


def _growth(wanted: Wanted) -> Answer:
    points = growth.points(quick=wanted.is_quick)
    by_what = {point.what: [other for other in points if other.what == point.what] for point in points}
    chosen = [point for same in _chosen("growth", wanted.only, by_what) for point in same]
    return growth.answer(
        list(
            growth.measure(
                chosen,
                lambda cost: note(
                    f"{cost.point.size:,} {cost.point.what}, {cost.contender.title}: "
                    f"{cost.cpu_us:.2f} µs an event"
                ),
            )
        )
    )


def _memory(wanted: Wanted) -> Answer:
    events_per_user = memory.SHAPE.events // memory.SHAPE.users
    users = memory.SHAPE.users // 4 if wanted.is_quick else memory.SHAPE.users
    shape = replace(memory.SHAPE, users=users, events=users * events_per_user)
    with own_stack(*WITHOUT_JOBS) as settings:
        found = memory.measure(
            settings, shape, lambda state: note(f"{state.contender.title}: {state.units:.0f} bytes a user")
        )
    return memory.answer(shape, found)


def _scorecard(wanted: Wanted) -> Answer:
    from infra.bench import scorecard  # what the job is made of takes a second to load

    load = scorecard.Load()
    if wanted.is_quick:
        load = load._replace(experiments=load.experiments // 4)
    with own_stack(*WITHOUT_JOBS) as settings:
        return scorecard.answer(scorecard.measure(settings, load))


def _spike(wanted: Wanted) -> Answer:
    pace = [leg._replace(seconds=leg.seconds / 2) if wanted.is_quick else leg for leg in spike.PACE]
    with own_stack() as settings:
        return spike.answer(spike.measure(settings, Shape(), pace))


def _chosen(what: str, names: tuple[str, ...], known: dict[str, Each]) -> list[Each]:
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise CliError(f"bench: no {what} {unknown!r}: {', '.join(known)}")
    return [each for name, each in known.items() if not names or name in names]


def _show(answer: Answer, output: Format) -> None:
    if output is Format.JSON:
        print_json(answer.figures if answer.brief is None else answer.brief)
        return
    first, *others = answer.columns
    columns = [Column(first, may_fold=True), *(Column(name, "right") for name in others)]
    width = len(columns)
    print_table(columns, [[*row, *[""] * (width - len(row))] for row in answer.rows], title=answer.title)
    for line in answer.aims:
        print(line)


@contextmanager
def _one_line() -> Iterator[None]:
    """What is expected to go wrong as one line; SIGTERM as Ctrl-C, so that the stack is stopped."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        with refusals():
            yield
    except (JobError, NoProgressError, RuntimeError, StackError) as error:
        raise CliError(f"bench: {error}") from error


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
