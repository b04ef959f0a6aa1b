"""A bench of a few thousand records: every contender works, is measured, and adds up the same.

What is fast is for ``livelift bench`` to say; here nothing depends on time.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

import pytest

from config.settings import Settings
from infra.bench import contenders
from infra.bench.contenders import Contender
from infra.bench.contenders.flink_sql.__main__ import EXPOSED_TOPIC, MOMENTS_TOPIC
from infra.bench.contenders.pyflink_datastream.__main__ import TOPIC as PYTHON_TOPIC
from infra.bench.dataset import METRIC_KINDS, Shape, metric_id, source_id
from infra.bench.flink import Watched
from infra.bench.loading import Loaded, load
from infra.bench.own_stack import WITHOUT_JOBS, own_stack
from infra.bench.periodic_sql import RawEvents
from infra.bench.running import run_once
from infra.broker import Broker
from infra.registry import Registry
from jobs.wiring.kafka import SLOTS_TOPIC
from schemas.events import decode
from tests.infra.bench.worlds import Question, expected
from udfs.attribution.reference import SUM_NAMES
from udfs.attribution.sums import decode as unpacked

pytestmark = pytest.mark.stack

SHAPE = Shape(
    events=6000, users=300, tenants=2, experiments=6, duplicates=0.0, disorder=0.1, events_per_second=0.1
)
"""Nothing twice, because plain SQL would count it twice."""
SMALL_MACHINE = {
    "LIVELIFT_LOCAL_TASKMANAGER_PROCESS_MB": "3584",
    "LIVELIFT_LOCAL_CLICKHOUSE_MEMORY_MB": "1024",
    "LIVELIFT_FLINK_CHECKPOINT_INTERVAL_MS": "1000",
}
AGREES_WITHIN_S = 60.0
SOURCES = {metric_id(number, 0): source_id(number) for number in range(len(METRIC_KINDS))} | {"": ""}

Answers = Mapping[Question, Mapping[str, float]]
"""By name of the sum; ``n`` for exposures."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("bench")
    with own_stack(*WITHOUT_JOBS, changes=SMALL_MACHINE, run_dir=folder) as found:
        yield found


@pytest.fixture(scope="module")
def loaded(settings: Settings) -> Loaded:
    return load(settings, SHAPE)


def the_references(names: tuple[str, ...]) -> Answers:
    """In whole units; sums that are zero are absent, as are slots without any."""
    found = {}
    for question, slot in expected(SHAPE).items():
        sums = {
            name: total / (1e12 if len(name) == 2 else 1e6)
            for name, total in zip(SUM_NAMES, slot.sums, strict=True)
        }
        chosen = {name: value for name, value in ({"n": slot.n} | sums).items() if name in names and value}
        if chosen:
            found[question] = chosen
    return found


def newest(settings: Settings, topic: str) -> dict[str, bytes]:
    """The last value of each key."""
    return {
        bytes(message.key() or b"").decode(): bytes(message.value() or b"")
        for message in Broker(settings).read_to_end([topic])
        if message.value() is not None
    }


def of_livelift(settings: Settings) -> Answers:
    registry = Registry(settings)
    totals: defaultdict[Question, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for text, value in newest(settings, SLOTS_TOPIC).items():
        key = json.loads(text)
        if key["kind"] == "slot":
            slot = decode("Slot", value, registry.writer_schema)
            question = (key["tenant_id"], key["experiment_id"], key["variant_id"], SOURCES[key["metric_id"]])
            totals[question]["n"] += slot["n"]
            for name, total in zip(SUM_NAMES, unpacked(slot["sums"]), strict=True):
                totals[question][name] += total / (1e12 if len(name) == 2 else 1e6)
    return totals


def of_plain_sql(settings: Settings) -> Answers:
    totals: dict[Question, dict[str, float]] = {}
    for topic in (EXPOSED_TOPIC, MOMENTS_TOPIC):
        for row in map(json.loads, newest(settings, topic).values()):
            question = (row["tenant_id"], row["experiment_id"], row["variant_id"], row.get("source", ""))
            totals[question] = {name: row[name] for name in ("n", *SUM_NAMES) if name in row}
    return totals


def of_python(settings: Settings) -> Answers:
    totals: defaultdict[Question, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in map(json.loads, newest(settings, PYTHON_TOPIC).values()):
        tenant_id, experiment_id, _, variant_id, _, _, metric, _ = row["slot"].split("|")
        question = (tenant_id, experiment_id, variant_id, SOURCES[metric])
        totals[question]["n"] += row["n"]
        for name in SUM_NAMES:
            totals[question][name] += row[name] / (1e12 if len(name) == 2 else 1e6)
    return totals


def of_periodic_sql(settings: Settings) -> Answers:
    raw = RawEvents(settings, SHAPE)
    raw.grow(SHAPE.events)
    assert raw.refresh().events == SHAPE.events
    answers = raw.answers()
    users: dict[Question, dict[str, float]] = {(*row[:3], ""): {"n": row[4]} for row in answers["exposed"]}
    sums = {(*row[:3], row[4]): dict(zip(SUM_NAMES, row[5:], strict=True)) for row in answers["moments"]}
    return users | sums


def assert_agrees(found: Answers, names: tuple[str, ...]) -> None:
    wanted = the_references(names)
    told = {
        question: {name: value for name, value in sums.items() if name in names and value}
        for question, sums in found.items()
    }
    told = {question: sums for question, sums in told.items() if sums}
    assert told.keys() == wanted.keys()
    for question, sums in wanted.items():
        assert told[question] == pytest.approx(sums, rel=1e-9), question


ALL_SUMS = ("n", *SUM_NAMES)
WITHOUT_COVARIATES = ("n", "y", "d", "yy", "yd", "dd")


@pytest.mark.parametrize(
    ("contender", "answers", "names"),
    [
        (contenders.READ_LIMIT, None, ()),
        (contenders.LIVELIFT_HASHMAP, of_livelift, ALL_SUMS),
        (contenders.LIVELIFT_ROCKSDB, of_livelift, ALL_SUMS),
        (contenders.FLINK_SQL, of_plain_sql, WITHOUT_COVARIATES),
        (contenders.PYFLINK_DATASTREAM, of_python, ALL_SUMS),
    ],
    ids=lambda each: each.name if isinstance(each, Contender) else "",
)
def test_a_contender_is_measured_and_computes_what_it_is_said_to(
    settings: Settings,
    loaded: Loaded,
    contender: Contender,
    answers: Callable[[Settings], Answers] | None,
    names: tuple[str, ...],
) -> None:
    def until_it_agrees(job: Watched) -> None:
        deadline = time.monotonic() + AGREES_WITHIN_S
        while answers is not None:
            try:
                assert_agrees(answers(settings), names)
                return
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
                job.check()

    assert loaded.records == SHAPE.events
    found = run_once(settings, contender, SHAPE.events, since=0.0, at_end=until_it_agrees)
    assert found.measured.records >= 0.98 * SHAPE.events
    assert found.measured.events_per_s > 0
    assert found.measured.cpu_us_per_event > 0


def test_the_batch_query_agrees_too(settings: Settings) -> None:
    assert_agrees(of_periodic_sql(settings), ALL_SUMS)
