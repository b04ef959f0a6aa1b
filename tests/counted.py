"""An experiment of three days as the slots topic tells it, and as the scorecard writes it to ClickHouse."""

from __future__ import annotations

import json
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from config.settings import Settings
from jobs.scorecard.book import Book
from jobs.scorecard.definitions import Definition
from jobs.scorecard.history import HISTORY
from jobs.scorecard.rows import Moment, Row, answers
from jobs.scorecard.slots import SLOT, TOTAL, Change, Cohort, Slots
from jobs.scorecard.tables import SLOT_COLUMNS, gathered, inserts
from jobs.wiring.clickhouse import writer_to
from tests.jobs.scorecard.builders import Told, a_count, a_metric, published
from udfs.attribution.reference import LEDGER_NAMES
from udfs.attribution.sums import encode
from udfs.stats import SUM_NAMES, Moments

TENANT, EXPERIMENT = "acme", "checkout-button"
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
FIRST_DAY_MS = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp()) * 1000
EVENING_MS = FIRST_DAY_MS + 12 * HOUR_MS
"""Of the first day; the answer at ``EVENING_MS`` counts what was exposed before."""
LAST_MS = FIRST_DAY_MS + 50 * HOUR_MS
GERMANY = "country=DE"

DEFINITION = published(
    tenant_id=TENANT,
    experiment_id=EXPERIMENT,
    planned_units=200,
    segments={"country": ["DE", "FR"]},
    metrics=[
        a_metric(),
        a_metric(id="converted", source="revenue", kind="proportion"),
        a_metric(
            id="latency_ms", kind="ratio", role="guardrail", direction="decrease", margin=0.02, stop=True
        ),
    ],
)
"""As on the definitions topic."""

BOUGHT: dict[tuple[int, str, str], Sequence[float]] = {
    # Hour of first exposure, variant and class: what each user of them bought.
    (0, "control", "clean"): [1, 2, 3, 0],
    (0, "treatment", "clean"): [2, 4, 6, 0],
    (5, "control", "clean"): [3, 3, 8],
    (5, "treatment", "clean"): [5, 9, 0],
    (26, "control", "clean"): [1, 7, 7, 2],
    (26, "treatment", "clean"): [8, 1, 9, 9],
    (26, "control", "crossed"): [4, 0],
    (27, "treatment", "crossed"): [3, 5],
    (49, "control", "clean"): [2, 2],
    (49, "treatment", "clean"): [11, 3],
    (49, "treatment", "bot"): [500],
}

A_DECISION = {
    "decision_id": "d-1",
    "tenant_id": TENANT,
    "epoch": 0,
    "experiment_id": EXPERIMENT,
    "config_version": 0,
    "kind": "stop",
    "metric_id": "latency_ms",
    "treatment_variant": "treatment",
    "control_variant": "control",
    "decided_at": LAST_MS,
    "as_of": LAST_MS,
    "n_control": 15,
    "n_treatment": 14,
    "abs_diff": 12.5,
    "distance": -8.5,
    "bound": -1.5,
    "margin": 0.02,
    "level": 0.05,
    "message": "latency_ms is surely worse than its margin allows",
    "inputs": "{}",
    "version": 1,
}


def revenue(variant_id: str, hours: Sequence[int] = (0, 5, 26, 27, 49)) -> Moments:
    """The sums of those who were first exposed in these hours, without bots."""
    users = [
        (hour, values)
        for (hour, variant, kind), values in BOUGHT.items()
        if (variant, kind != "bot") == (variant_id, True)
    ]
    return Moments.total(a_sum(values) for hour, values in users if hour in hours)


def a_sum(values: Sequence[float]) -> Moments:
    """Users who bought so much, each in one go."""
    return Moments.from_units(values, [1.0] * len(values))


def changes(until_ms: int = LAST_MS) -> Iterator[Change]:
    """Every slot: everyone by the hours and the Germans, all but the first of each hour, by the days."""
    sums: dict[tuple[Any, ...], Moments] = defaultdict(Moments)
    for (hour, variant_id, unit_class), values in BOUGHT.items():
        hour_ms = FIRST_DAY_MS + hour * HOUR_MS
        if hour_ms < until_ms:
            for place, bought in (
                (("", hour_ms), values),
                ((GERMANY, hour_ms - hour_ms % DAY_MS), values[1:]),
            ):
                key = variant_id, *place, unit_class
                sums[*key, ""] += Moments(len(bought))
                sums[*key, "revenue"] += _without_users(a_sum(bought))
                sums[*key, "converted"] += _without_users(
                    Moments.from_units([float(each > 0) for each in bought])
                )
                latency = Moments.from_units(
                    [each * 10 + 300 for each in bought], [1.0 + each % 3 for each in bought]
                )
                sums[*key, "latency_ms"] += _without_users(latency)
    for (variant_id, segment, cohort_ms, unit_class, metric_id), moments in sums.items():
        carried = b64encode(encode(moments.sums)).decode()
        place = (SLOT, 0, 1, variant_id, metric_id, segment, cohort_ms, unit_class, "local")
        yield Change(*place, moments.n, carried, until_ms, updates=3, version=until_ms)


def progress() -> Iterator[Change]:
    """How far two regions have come: the one that counts all of this a second less than it counted."""
    for region, at_ms in (("local", LAST_MS - 1000), ("elsewhere", LAST_MS)):
        carried = b64encode(encode(Moments().sums)).decode()
        yield Change(
            "coverage", 0, 0, "", "0", "", 0, "", region, 0, carried, at_ms, updates=1, version=at_ms * 1000
        )


def _without_users(moments: Moments) -> Moments:
    return Moments(0, moments.sums)


def answered(until_ms: int = LAST_MS) -> dict[str, list[Row]]:
    """What the scorecard says once it has counted these slots, by table."""
    definition = Definition.from_json(DEFINITION)
    book, cohorts = Book(definitions={1: definition}), defaultdict[Cohort, Slots](dict)
    for change in Told().changes(*changes(until_ms)):
        if change.kind == TOTAL:
            book.count_total(change)
        else:
            book.count(change, cohorts[change.cohort])
    return answers(book, Moment(until_ms + 1000, until_ms, book.as_of_ms))


def write(settings: Settings) -> None:
    """Write all of it to ClickHouse as the job does: slots, answers of two moments, counts, a decision."""
    writer = writer_to(settings.clickhouse)
    for table, batch in _batches():
        for name, columns in inserts(table, batch):
            writer.write(name, columns)
    writer.close()


def _line(tenant_id: str, experiment_id: str, change: Change) -> list[Any]:
    """A row of ``slot_rows``, as ``slot_rows.sql`` writes it."""
    sums = dict(zip((f"sum_{name}" for name in SUM_NAMES), change.slot.amount.sums, strict=True))
    times = {"as_of": change.as_of_ms / 1000, "cohort": change.cohort_ms // 1000}
    place = {"tenant_id": tenant_id, "experiment_id": experiment_id}
    row = {**change._asdict(), **sums, **times, **place, "source_partition": 0, "source_offset": 0}
    return [row[name] for name in SLOT_COLUMNS]


def _batches() -> Iterator[tuple[str, str]]:
    slots = Told().changes(*changes())
    lines = [_line(TENANT, EXPERIMENT, each) for each in slots]
    lines += [_line("", "", each) for each in progress()]
    yield "slot_rows", json.dumps(lines)
    for until_ms in (EVENING_MS, LAST_MS):
        for table, rows in answered(until_ms).items():
            yield table, f"[{gathered(rows)}]"
            yield HISTORY[table], f"[{gathered([{**row, 'kept': ''} for row in rows])}]"
    counted = dict(zip(LEDGER_NAMES, (80, 5, 4, 3, 1, 1, 1, 1, 1, 1, 1, 1, 60), strict=True))
    ledger = a_count(
        tenant_id=TENANT,
        metric_id=f"livelift.{TENANT}.outcomes",
        n=100,
        cohort=FIRST_DAY_MS,
        sums=list(counted.values()),
    )
    place = {"tenant_id": TENANT, "experiment_id": EXPERIMENT, "cohort": FIRST_DAY_MS}
    activity = [
        a_count("activity", [6_000_000] if metric_id else [], metric_id=metric_id, **place)
        for metric_id in ("", "revenue")
    ]
    yield "decision_rows", f"[{gathered([A_DECISION])}]"
    yield "counts", json.dumps([ledger, *activity])
