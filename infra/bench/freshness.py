"""How fresh are results at a sustained rate? Both jobs, ClickHouse and the generator share the machine.

The state is filled first, so that the jobs work as they would on an ordinary day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from config.settings import Settings
from infra.bench import pictures
from infra.bench.answer import Answer, aim
from infra.bench.dataset import Shape
from infra.bench.flink import cpu_s, process_of
from infra.bench.generator import Generator, Leg, Sent, planned
from infra.bench.loading import Loaded, load
from infra.freshness import Freshness, FreshnessProbe
from infra.waiting import wait

RATES = (5_000, 10_000, 20_000, 36_000)
SECONDS = 120.0
LOOK_EVERY_S = 0.2
SETTLED_WITHIN_S = 600.0
PARTS = ("broker", "jobmanager", "taskmanager", "clickhouse")
"""Whose processor time is told; the generator's comes from itself."""


class AtRate(NamedTuple):
    """Results at one rate."""

    rate: float
    freshness: Freshness
    sent: Sent
    cores: dict[str, float]
    """Busy on average, by part."""


def measure(
    settings: Settings,
    shape: Shape,
    rates: Sequence[float] = RATES,
    seconds: float = SECONDS,
    on_rate: Callable[[AtRate], None] = lambda found: None,
) -> tuple[Loaded, list[AtRate]]:
    """Fill the state with a shape's events, then send more of its users' at each rate while timing markers.

    Raises:
        BrokerError, RegistryError, DatabaseError, DefinitionError: Something does not answer or refuses.
        NotThereError: Between two rates everything did not come to rest.
        RuntimeError: No marker was seen, or the generator failed.
    """
    filled = load(settings, shape)
    first = shape.events
    found = []
    for rate in rates:
        wait(settings, SETTLED_WITHIN_S)
        pace = [Leg(seconds, rate)]
        at_rate = replace(shape, first=first, events=planned(pace), events_per_second=rate)
        found.append(_at(settings, at_rate, rate, pace))
        on_rate(found[-1])
        first += at_rate.events
    return filled, found


def _at(settings: Settings, shape: Shape, rate: float, pace: Sequence[Leg]) -> AtRate:
    processes = {part: process_of(settings, part) for part in PARTS}
    with (
        FreshnessProbe(settings, look_every_s=LOOK_EVERY_S) as probe,
        Generator(settings, shape, pace) as generator,
    ):
        before = {part: cpu_s(process) for part, process in processes.items()}
        sent = generator.result()
        used = {part: cpu_s(process) - before[part] for part, process in processes.items()}
    used["generator"] = sent.cpu_s
    return AtRate(rate, probe.result(), sent, {part: spent / sent.seconds for part, spent in used.items()})


def answer(filled: Loaded, found: Sequence[AtRate]) -> Answer:
    """Freshness by rate, and what kept the cores busy."""
    aims = []
    for each in found:
        p50, p99 = each.freshness.p50_s, each.freshness.p99_s
        if each.rate <= 20_000:
            aims.append(aim(f"p50 at {each.rate:,.0f} events/s, seconds", p50, most=3))
        aims.append(
            aim(f"p99 at {each.rate:,.0f} events/s, seconds", p99, most=6 if each.rate <= 20_000 else 10)
        )

    def draw(path: Path) -> None:
        p50s = {each.rate / 1000: each.freshness.p50_s for each in found}
        p99s = {each.rate / 1000: each.freshness.p99_s for each in found}
        pictures.lines(
            path,
            {"p50": p50s, "p99": p99s},
            title="An event is in results after …",
            x="thousand events/s",
            y="seconds",
        )

    parts = (*PARTS, "generator")
    return Answer(
        name="freshness",
        title=f"Event published → results (the generator alone sends {filled.events_per_s:,.0f} events/s)",
        columns=(
            "events/s",
            "p50 s",
            "p99 s",
            "markers",
            "never seen",
            "sent/s",
            *(f"{p} cores" for p in parts),
        ),
        rows=[
            (
                f"{each.rate:,.0f}",
                f"{each.freshness.p50_s:.2f}",
                f"{each.freshness.p99_s:.2f}",
                each.freshness.markers,
                each.freshness.missing,
                f"{each.sent.records / each.sent.seconds:,.0f}",
                *(f"{each.cores[part]:.2f}" for part in parts),
            )
            for each in found
        ],
        figures={
            "generator_events_per_s": round(filled.events_per_s),
            "rates": [
                {
                    "rate": each.rate,
                    **each.freshness._asdict(),
                    "sent": each.sent._asdict(),
                    "cores": {part: round(busy, 3) for part, busy in each.cores.items()},
                }
                for each in found
            ],
        },
        aims=aims,
        draw=draw,
    )
