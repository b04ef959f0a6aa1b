"""Does the scorecard keep up when all totals of all experiments change every second, and what does it cost?

The slots topic is written here as the attribution job would write it, so that the scorecard job is measured
alone.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator
from itertools import combinations_with_replacement, count, product
from typing import TYPE_CHECKING, NamedTuple

from config.settings import Settings
from infra.bench.answer import Answer, aim
from infra.bench.flink import JobError, Watched, cpu_s, process_of, submit
from infra.bench.loading import BatchProducer
from infra.clickhouse import connect, one_line_errors
from infra.definitions import Limits, draft_of, publish
from infra.strict_yaml import Document
from infra.topics import register_schemas
from jobs.scorecard.operators import ANSWERED
from jobs.scorecard.slots import SLOT, TOTAL
from jobs.wiring.kafka import SLOTS_TOPIC
from schemas.events import encode
from udfs.attribution import sums

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

TENANTS = 20
VARIANTS = ("control", "small", "large")
UNIT_CLASSES = ("clean", "crossed")
KINDS = (SLOT, TOTAL)
STEPS = 8
"""Sums grow for so many seconds and then begin again: what matters is that they change."""
HOUR_MS = 3_600_000
EMISSION_BITS = 52
"""Of a version, below the rebuild epoch: microseconds, as both jobs write it."""
SLOTS_EVERY_S = 10
"""Of so many the attribution job tells slots before a checkpoint only; here each total is made of one."""
LOOK_EVERY_S = 5
ALL_WITHIN_S = 300
ANSWERS = re.compile(rf".*\.{ANSWERED}")
TASKS = 2
ROWS_A_SECOND = 2000
"""Of each task of the attribution job: where there are more totals it waits after telling them
(``MOST_ROWS_A_SECOND`` in ``AttributeOperator.java``)."""

LAGS = """
SELECT count(), quantileExact(0.5)(lag_s), max(lag_s)
FROM (
    SELECT {now_ms:Int64} / 1000 - toUnixTimestamp64Milli(max(as_of)) / 1000 AS lag_s
    FROM results
    WHERE view = 'all'
    GROUP BY tenant_id, experiment_id)
"""
COMPARISONS = "SELECT count() FROM results WHERE view = 'all'"


class Load(NamedTuple):
    """What changes every second: a total for each metric of each experiment in each of ``VARIANTS``."""

    experiments: int = 1000
    metrics: int = 10
    seconds: int = 90
    """After all experiments have results and the warm-up."""
    warm_up_s: int = 30

    @property
    def totals(self) -> int:
        """Series, which are told all at once."""
        return self.experiments * len(VARIANTS) * (1 + self.metrics)

    @property
    def told_every_s(self) -> int:
        """How often the attribution job would tell the totals."""
        return max(1, math.ceil(self.totals / TASKS / ROWS_A_SECOND - 1))


class Lag(NamedTuple):
    """Seconds between the newest sums and those that results show, over all experiments."""

    experiments: int
    median_s: float
    worst_s: float


class Kept(NamedTuple):
    """What was found after the warm-up."""

    load: Load
    lags: list[Lag]
    seconds: float
    answers: float
    """How often an experiment was computed anew."""
    comparisons: float
    """Of one experiment in view ``all``, with both policies."""
    cpu_s: dict[str, float]
    behind_s: float
    """The most a second's slots were written too late."""

    @property
    def us_per_comparison(self) -> float:
        """Microseconds of processor time, of the job and ClickHouse together."""
        return sum(self.cpu_s.values()) / (self.answers * self.comparisons) * 1e6

    @property
    def growth_s(self) -> float:
        """How much older results were in the last third than in the first; about 0 when it keeps up."""
        third = max(1, len(self.lags) // 3)
        first, last = self.lags[:third], self.lags[-third:]
        return sum(lag.median_s for lag in last) / len(last) - sum(lag.median_s for lag in first) / len(first)


def measure(settings: Settings, load: Load) -> Kept:
    """Write slots for a while and look at the results.

    Raises:
        JobError, ClusterError: The job failed.
        BrokerError, RegistryError, DatabaseError, DefinitionError: Something does not answer or refuses.
    """
    limits = Limits.of(settings)
    publish(settings, [draft_of(Document("bench", each, {}), limits) for each in definitions(load)])
    slots = Slots(load, register_schemas(settings)["Slot"])
    job = submit(settings, "jobs.scorecard", {})
    try:
        return _watched(settings, load, slots, job)
    finally:
        job.cancel()


def definitions(load: Load) -> Iterator[dict[str, object]]:
    """As many experiments as asked for, spread over tenants."""
    metrics = [
        {"id": f"metric-{number:02}", "kind": "mean", "role": "goal"} for number in range(load.metrics)
    ]
    for tenant_id, experiment_id in _experiments(load):
        yield {
            "tenant_id": tenant_id,
            "experiment_id": experiment_id,
            "config_version": 1,
            "variants": dict.fromkeys(VARIANTS, 1.0),
            "pre_period_days": 14,
            "planned_units": 200_000,
            "metrics": metrics,
        }


class Slots:
    """The rows of the slots topic, encoded once; each time they get new sums and a new time."""

    def __init__(self, load: Load, schema_id: int) -> None:
        self._schema_id = schema_id
        self._keys = {
            (kind, unit_class): list(_keys(load, kind, unit_class))
            for kind, unit_class in product(KINDS, UNIT_CLASSES)
        }
        self._steps = [self._contents(load, step) for step in range(STEPS)]

    def rows(self, second: int, kind: str = TOTAL, unit_class: str = "clean") -> list[dict[str, bytes]]:
        """All rows of a kind and a class of users as of now."""
        now_s = time.time()
        tail = self._tail(int(now_s * 1000), second + 1, int(now_s * 1e6) % (1 << EMISSION_BITS))
        contents = self._steps[second % STEPS]
        return [
            {"key": key, "value": content + tail}
            for key, content in zip(self._keys[kind, unit_class], contents, strict=True)
        ]

    def _contents(self, load: Load, step: int) -> list[bytes]:
        """What comes before the time in each value, in the order of the keys."""
        made = []
        for variant in range(len(VARIANTS)):
            users = 100_000 + 50 * step + variant
            made += [self._head(users, b"")] + [
                self._head(0, _sums(users, 5.0 + metric + 0.1 * variant)) for metric in range(load.metrics)
            ]
        return made * load.experiments

    def _head(self, n: int, packed: bytes) -> bytes:
        whole = encode("Slot", _slot(n, packed, 0, 0, 0), self._schema_id)
        return whole[: len(whole) - 6]  # three times a union's branch and a zero

    def _tail(self, as_of_ms: int, updates: int, version: int) -> bytes:
        empty = encode("Slot", _slot(0, b"", 0, 0, 0), self._schema_id)
        return encode("Slot", _slot(0, b"", as_of_ms, updates, version), self._schema_id)[len(empty) - 6 :]


def answer(found: Kept) -> Answer:
    """Whether it kept up, and the price of a comparison."""
    load = found.load
    last = found.lags[-1]
    per_s = found.answers * found.comparisons / found.seconds
    rows = [
        (
            "experiments computed anew a second",
            f"{found.answers / found.seconds:,.0f} of {load.experiments:,}",
        ),
        ("comparisons refreshed a second", f"{per_s:,.0f}"),
        ("processor time a refreshed comparison", f"{found.us_per_comparison:.1f} µs"),
        *((f"cores busy, {part}", f"{spent / found.seconds:.2f}") for part, spent in found.cpu_s.items()),
        ("experiments with results", f"{last.experiments:,} of {load.experiments:,}"),
        ("results behind the newest sums, median", f"{last.median_s:.1f} s"),
        ("results behind the newest sums, worst", f"{last.worst_s:.1f} s"),
        ("grown meanwhile by", f"{found.growth_s:.1f} s"),
        ("slots written too late, at most by", f"{found.behind_s:.1f} s"),
    ]
    return Answer(
        name="scorecard",
        title=(
            f"{load.experiments:,} experiments × {load.metrics} metrics × {len(VARIANTS)} variants, "
            f"every total changed every second, told every {load.told_every_s} s"
        ),
        columns=("", "found"),
        rows=rows,
        figures={
            "load": load._asdict(),
            "lags": [lag._asdict() for lag in found.lags],
            "seconds": found.seconds,
            "answers": found.answers,
            "comparisons_per_experiment": found.comparisons,
            "comparisons_per_s": per_s,
            "us_per_comparison": found.us_per_comparison,
            "cpu_s": found.cpu_s,
            "growth_s": found.growth_s,
            "behind_s": found.behind_s,
        },
        aims=[aim("results fell behind in the time measured by, seconds,", found.growth_s, most=1.0)],
    )


def _watched(settings: Settings, load: Load, slots: Slots, job: Watched) -> Kept:
    client = connect(settings)
    processes = {part: process_of(settings, part) for part in ("taskmanager", "clickhouse")}
    lags: list[Lag] = []
    used: dict[str, float] = {}
    answered: Callable[[], float] = float
    answers = began = behind_s = 0.0
    has_all_at = math.inf
    with BatchProducer(settings) as producer:
        for kind, unit_class in product(KINDS, UNIT_CLASSES):
            producer.send_records(SLOTS_TOPIC, slots.rows(0, kind, unit_class))
        start = time.monotonic()
        for second in count(1):
            time.sleep(max(0.0, start + second - time.monotonic()))
            behind_s = max(behind_s, time.monotonic() - start - second)
            if second % load.told_every_s == 0:
                producer.send_records(SLOTS_TOPIC, slots.rows(second))
            if second % SLOTS_EVERY_S == 0:
                producer.send_records(SLOTS_TOPIC, slots.rows(second, SLOT))
            if second % LOOK_EVERY_S:
                continue
            job.check()
            lag = _lag(settings, client)
            if not used and lag.experiments == load.experiments:
                has_all_at = min(has_all_at, second)
            if used:
                lags.append(lag)
            elif second >= has_all_at + load.warm_up_s:
                # Known to the cluster once there was an answer.
                answered = job.counter(ANSWERS, lambda vertex: "scorecard" in vertex)
                used = {part: cpu_s(process) for part, process in processes.items()}
                answers, began, behind_s = answered(), time.monotonic(), 0.0
            elif second > ALL_WITHIN_S:
                raise JobError(f"{lag.experiments} of {load.experiments} have results after {second} s")
            if used and time.monotonic() - began >= load.seconds:
                break
    with one_line_errors(settings):
        ((comparisons,),) = client.query(COMPARISONS).result_rows
    return Kept(
        load=load,
        lags=lags,
        seconds=time.monotonic() - began,
        answers=answered() - answers,
        comparisons=comparisons / load.experiments,
        cpu_s={part: cpu_s(process) - used[part] for part, process in processes.items()},
        behind_s=behind_s,
    )


def _lag(settings: Settings, client: Client) -> Lag:
    with one_line_errors(settings):
        ((experiments, median_s, worst_s),) = client.query(
            LAGS, {"now_ms": int(time.time() * 1000)}
        ).result_rows
    return Lag(int(experiments), float(median_s), float(worst_s))


def _experiments(load: Load) -> Iterator[tuple[str, str]]:
    for number in range(load.experiments):
        yield f"bench-{number % TENANTS:03}", f"experiment-{number:04}"


def _keys(load: Load, kind: str, unit_class: str) -> Iterator[bytes]:
    cohort = int(time.time() * 1000) // HOUR_MS * HOUR_MS if kind == SLOT else 0
    metrics = ["", *(f"metric-{number:02}" for number in range(load.metrics))]
    for (tenant_id, experiment_id), variant_id, metric_id in product(_experiments(load), VARIANTS, metrics):
        key = {
            "kind": kind,
            "epoch": 0,
            "tenant_id": tenant_id,
            "experiment_id": experiment_id,
            "config_version": 1,
            "variant_id": variant_id,
            "metric_id": metric_id,
            "segment": "",
            "cohort": cohort,
            "unit_class": unit_class,
            "region": "local",
        }
        yield json.dumps(key).encode()


def _slot(n: int, packed: bytes, as_of_ms: int, updates: int, version: int) -> dict[str, object]:
    return {"n": n, "sums": packed, "as_of": as_of_ms, "updates": updates, "version": version}


def _sums(users: int, mean: float) -> bytes:
    """Sums of users whose totals are about the mean, with a covariate of half its variance explained."""
    micros = 1_000_000
    y, d, x, e = (round(users * value * micros) for value in (mean, 1.2, mean, 1.1))
    products = {}
    values = {"y": mean, "d": 1.2, "x": mean, "e": 1.1}
    for first, second in combinations_with_replacement(values, 2):
        spread = mean**2 if first == second else 0.5 * mean**2 if {first, second} == {"y", "x"} else 0.0
        products[first + second] = round(users * (values[first] * values[second] + spread) * micros) * micros
    return sums.encode([y, d, x, e, *products.values()])
