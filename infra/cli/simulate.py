"""``livelift simulate``: tenants, units and everything that goes wrong, from a scenario."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from config.settings import load
from infra.cli.output import Column, print_table
from infra.cli.progress import bar
from infra.cli.refusals import refusals
from infra.definitions import Limits
from infra.scenario import DEMO, ODDITIES, read_scenario
from infra.simulation import Counts, Simulation, run


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(simulate)


def simulate(
    scenario: Annotated[Path, typer.Argument(help="YAML.")] = DEMO,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Events a second.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.001, help="For how long.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed gives other units.")] = None,
) -> None:
    """Define a scenario's experiments and send its events, with duplicates, disorder, crossed units and bots.

    Options replace what the scenario says. Event times are near now; apart from the clock, the same seed
    gives the same events.
    """
    settings = load()
    with refusals():
        read = read_scenario(scenario, Limits.of(settings))
        changed = replace(
            read,
            rate=read.rate if rate is None else rate,
            seconds=read.seconds if seconds is None else seconds,
            seed=read.seed if seed is None else seed,
        )
        simulation = Simulation(changed, int(time.time() * 1000))
        total = round(changed.rate * changed.seconds)
        with bar("simulating") as show:
            counts = run(settings, simulation, progress=lambda counts: show(counts.sent, total))
    print_counts(counts)


def print_counts(counts: Counts) -> None:
    """What was sent, and how much of it was odd."""
    rows = [
        ("events", counts.sent),
        ("assignments", counts.assignments),
        ("outcomes", counts.outcomes),
        ("units", counts.units),
        *((name.replace("_", " "), counts.oddities[name]) for name in ODDITIES),
        ("before their definition", counts.before_definition),
        ("after their experiment's end", counts.after_end),
    ]
    print_table((Column("sent"), Column("", "right")), [(name, f"{count:,}") for name, count in rows])
