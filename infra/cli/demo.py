"""``livelift demo``: a stack of its own, a minute of events, and every slot checked at the end."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import FrameType
from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from config.settings import ROOT, Settings, load
from infra import demo as demonstration
from infra import verification
from infra.cli.errors import CliError
from infra.cli.output import Column, note, print_table, stderr, stdout, table
from infra.cli.progress import bar, spinner
from infra.cli.reconcile import print_balances, print_verdict, refuse_residues
from infra.cli.refusals import refusals
from infra.cli.results import rules
from infra.cli.results_table import lift_and_interval, results_table
from infra.cli.simulate import print_counts
from infra.cli.stack import bring_up
from infra.cli.verify import report
from infra.console import screenshot
from infra.decisions import read_decisions
from infra.definitions import Limits
from infra.demo import Frame, Outcome
from infra.freshness import TENANT as PROBE_TENANT
from infra.local import stack
from infra.local.elsewhere import free_environment
from infra.reconciliation import reconcile
from infra.results import Question, Row, read_results, read_sample_ratios
from infra.scenario import DEMO, Effect, Scenario, read_scenario
from infra.waiting import wait

RUN_DIR = ROOT / ".livelift" / "demo"
SHOWN_WITHOUT_TERMINAL_EVERY_S = 10.0
WAIT_S = 120.0
SURELY_HARMFUL = 0.2
"""So much harm is seen in any run that is long enough."""


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(demo)


def demo(
    seconds: Annotated[float, typer.Option(min=5, help="How long events are sent.")] = 60.0,
    rate: Annotated[float, typer.Option(min=1, help="Events a second.")] = 1000.0,
    seed: Annotated[int, typer.Option(help="Another seed gives other units.")] = 1,
    harm: Annotated[
        float,
        typer.Option(
            min=0,
            help=f"By how much {demonstration.HARMFUL.experiment} worsens its guardrail; its margin is .05.",
        ),
    ] = 0.3,
    kill_taskmanager: Annotated[
        bool, typer.Option("--kill-taskmanager", help="Kill -9 the TaskManager in the middle.")
    ] = False,
) -> None:
    """Stream a minute of simulated events through a real stack and check every slot against the reference.

    One experiment does harm: it must be stopped within a minute of the moment its boundary was crossed, and
    no other. (With few events, or with a --harm within the margin, it need not be.)
    At the end it tells what became of everything that was sent wrong, and that every record is accounted for.
    The stack has its own ports and folder (.livelift/demo), so it disturbs no other; nothing is left running.
    """
    os.environ.update(free_environment(RUN_DIR))
    settings = load()
    with refusals(), _own_stack(settings):
        settings = load()  # the operator's token is there now
        scenario = replace(read_scenario(DEMO, Limits.of(settings)), seconds=seconds, rate=rate, seed=seed)
        scenario = scenario.with_effect(demonstration.HARMFUL, Effect(value=harm))
        must_stop = harm >= SURELY_HARMFUL and seconds * rate >= demonstration.ENOUGH_EVENTS
        outcome = _stream(settings, scenario, seconds / 3 if kill_taskmanager else None)
        with spinner("waiting until everything is in the views") as show:
            wait(settings, WAIT_S, show)
            outcome.decided.wait(demonstration.STOPPED_WITHIN_S if must_stop else 0.0)
        note(screenshot.kept(settings, next(scenario.experiments).draft.key, RUN_DIR / "console.png"))
        _summary(settings, scenario, outcome)
        _stops(outcome, must_stop=must_stop)
        _checks(settings)


@contextmanager
def _own_stack(settings: Settings) -> Iterator[None]:
    """An empty stack, stopped however the demo ends."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    stack.down(settings)
    stack.wipe(settings)
    try:
        bring_up(settings)
        yield
    finally:
        with spinner("stopping"):
            stack.down(settings)


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _stream(settings: Settings, scenario: Scenario, kill_after_s: float | None) -> Outcome:
    console = stderr()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        shown_at = -SHOWN_WITHOUT_TERMINAL_EVERY_S

        def show(frame: Frame) -> None:
            nonlocal shown_at
            if console.is_terminal:
                live.update(_picture(frame, scenario), refresh=True)
            elif frame.seconds >= shown_at + SHOWN_WITHOUT_TERMINAL_EVERY_S:
                shown_at = frame.seconds
                note(_headline(frame, scenario))

        return demonstration.stream(settings, scenario, on_frame=show, kill_taskmanager_after_s=kill_after_s)


def _headline(frame: Frame, scenario: Scenario) -> str:
    users = sum(max((row["n_control"] for row in rows), default=0) for rows in _by_experiment(frame.results))
    text = (
        f"{frame.seconds:3.0f} of {scenario.seconds:.0f} s: {frame.counts.sent:,} events sent, "
        f"{len(frame.results)} comparisons live, {users:,} control users counted"
    )
    return f"{text}; {frame.note}" if frame.note else text


def _by_experiment(rows: list[Row]) -> list[list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["tenant_id"], row["experiment_id"]), []).append(row)
    return list(groups.values())


def _picture(frame: Frame, scenario: Scenario) -> Group:
    """One line per comparison, as many as the terminal shows."""
    columns = (
        Column("experiment"),
        Column("metric"),
        Column("variant"),
        Column("users", "right"),
        Column("lift", "right"),
        Column("interval", "right", may_fold=True),
    )
    lines = [
        (
            f"{row['tenant_id']}/{row['experiment_id']}",
            row["metric_id"],
            row["treatment_variant"],
            f"{row['n_control'] + row['n_treatment']:,}",
            *lift_and_interval(row),
        )
        for row in frame.results
    ]
    return Group(Text(_headline(frame, scenario)), table(columns, lines))


def _summary(settings: Settings, scenario: Scenario, outcome: Outcome) -> None:
    rows = [row for row in read_results(settings, Question()) if row["tenant_id"] != PROBE_TENANT]
    ratios = [row for row in read_sample_ratios(settings, Question()) if row["tenant_id"] != PROBE_TENANT]
    tenants = {tenant.tenant_id for tenant in scenario.tenants}
    decided = read_decisions(settings)
    stdout().print(results_table(rows, ratios, decided, rules(settings), datetime.now(UTC)))
    print()
    print_counts(outcome.counts)
    print()
    print_balances([balance for balance in reconcile(settings) if balance.tenant_id in tenants])
    print()
    print_table(
        (Column("odd case"), Column("sent", "right"), Column("in the views", "right"), Column("as")),
        [
            (case.name, f"{case.sent:,}", f"{case.shown:,}", case.shown_as.replace("_", " "))
            for case in demonstration.odd_cases(settings, outcome.counts, tenants)
        ],
    )
    print()
    print(outcome.freshness)


def _stops(outcome: Outcome, *, must_stop: bool) -> None:
    """Which experiments were stopped, and when.

    Raises:
        CliError: A harmless one, or the harmful one not in time.
    """
    for experiment, seconds in outcome.decided.stopped.items():
        print(f"stopped: {experiment}, {math.ceil(seconds)} s after the boundary was crossed")
    complaint = outcome.decided.complaint(must_stop=must_stop)
    if complaint:
        raise CliError(complaint)


def _checks(settings: Settings) -> None:
    """Everything against the reference, and every record against Kafka; both are told before either refuses.

    Raises:
        CliError: Something differs, or is not accounted for.
    """
    balances = reconcile(settings)
    print_verdict(balances)
    with bar("reading") as reading, bar("computing") as computing:
        result = verification.verify(settings, reading=reading, computing=computing)
    report(result)
    refuse_residues(balances)
