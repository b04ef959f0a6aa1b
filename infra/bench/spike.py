"""What does ten times the steady rate do? Nothing may be lost, and results must be fresh again.

Lost or counted twice would show in two sums over all slots, which the data set knows in advance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from config.settings import Settings
from infra.bench import pictures
from infra.bench.answer import Answer
from infra.bench.dataset import Shape
from infra.bench.generator import Generator, Leg, Sent, planned
from infra.bench.loading import define
from infra.clickhouse import connect, one_line_errors
from infra.freshness import TENANT as PROBE
from infra.freshness import FreshnessProbe, Marker
from infra.waiting import wait

STEADY = 10_000
PACE = (Leg(60, STEADY), Leg(60, 10 * STEADY), Leg(120, STEADY))
FRESH_S = 6.0
"""Results are fresh again from the first marker on after which none was older when it was seen."""
SETTLED_WITHIN_S = 900.0
LOOK_EVERY_S = 0.2

TOTALS = """
SELECT sum(n), sum(sum_d + sum_e) FROM slots
WHERE tenant_id <> {probe:String} AND segment = ''
"""


class Spike(NamedTuple):
    """What a spike did. Times are seconds since the generator's first event."""

    pace: Sequence[Leg]
    sent: Sent
    ages: list[tuple[float, float]]
    """When a marker was published, and how old it was when it was visible."""
    missing: int
    worst_s: float
    fresh_again_s: float
    """After the spike's end."""
    exposures: int
    denominators: int
    """Counted in the slots; the generator says what they must be."""

    @property
    def is_complete(self) -> bool:
        """Whether everything was counted, and once."""
        return (self.exposures, self.denominators) == (self.sent.exposures, self.sent.denominators)


def measure(settings: Settings, shape: Shape, pace: Sequence[Leg] = PACE) -> Spike:
    """Send a shape's records at a pace whose second leg is the spike.

    Raises:
        BrokerError, RegistryError, DatabaseError, DefinitionError: Something does not answer or refuses.
        NotThereError: It did not come to rest afterwards.
        RuntimeError: No marker was seen, or the generator failed.
    """
    define(settings, shape)
    # Event time goes at the spike's pace, so that no event lies in the future.
    sending = replace(shape, events=planned(pace), events_per_second=max(leg.rate for leg in pace))
    with (
        FreshnessProbe(settings, look_every_s=LOOK_EVERY_S) as probe,
        Generator(settings, sending, pace) as generator,
    ):
        sent = generator.result()
    missing = probe.result().missing
    wait(settings, SETTLED_WITHIN_S)
    with one_line_errors(settings):
        ((exposures, denominators),) = connect(settings).query(TOTALS, {"probe": PROBE}).result_rows
    markers = probe.markers()
    return Spike(
        pace=pace,
        sent=sent,
        ages=[(marker.published_at - sent.began_at, marker.age_s) for marker in markers],
        missing=missing,
        worst_s=max(marker.age_s for marker in markers),
        fresh_again_s=fresh_again_s(markers, sent.began_at + pace[0].seconds + pace[1].seconds),
        exposures=int(exposures),
        denominators=int(denominators) // 1_000_000,
    )


def fresh_again_s(markers: Sequence[Marker], since: float) -> float:
    """Seconds after a moment until the last marker that was not fresh was visible; 0 if all were fresh."""
    stale = [marker for marker in markers if marker.age_s > FRESH_S]
    return max((marker.published_at + marker.age_s - since for marker in stale), default=0.0)


def answer(found: Spike) -> Answer:
    """How the spike was survived."""

    def draw(path: Path) -> None:
        pictures.lines(
            path, {"age": dict(found.ages)}, title="Age of an event when results show it", x="s", y="s"
        )

    peak = max(leg.rate for leg in found.pace)
    rows = [
        ("events sent", f"{found.sent.records:,}"),
        ("generator behind its pace, at most", f"{found.sent.behind_s:.2f} s"),
        ("oldest marker", f"{found.worst_s:.1f} s"),
        (f"fresh again (younger than {FRESH_S:g} s) after the spike's end", f"{found.fresh_again_s:.1f} s"),
        ("markers never seen", found.missing),
        ("exposures counted, of", f"{found.exposures:,}, {found.sent.exposures:,}"),
        ("outcomes' weights counted, of", f"{found.denominators:,}, {found.sent.denominators:,}"),
    ]
    return Answer(
        name="spike",
        title=f"From {found.pace[0].rate:,.0f} to {peak:,.0f} events/s for {found.pace[1].seconds:.0f} s",
        columns=("", "found"),
        rows=rows,
        figures={
            **found._asdict(),
            "pace": [leg._asdict() for leg in found.pace],
            "sent": found.sent._asdict(),
        },
        aims=[f"{'reached' if found.is_complete else 'missed'}: nothing lost, nothing counted twice"],
        draw=draw,
    )
