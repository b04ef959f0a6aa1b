"""What is found is told completely: in a table, as JSON, with the machine, and with what was aimed at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.bench import freshness, growth, memory, scorecard, spike, throughput
from infra.bench.answer import Answer, aim
from infra.bench.contenders import CONTENDERS, LIVELIFT_HASHMAP, LIVELIFT_ROCKSDB
from infra.bench.dataset import Shape, Tally
from infra.bench.flink import Checkpoint
from infra.bench.generator import Leg, Sent
from infra.bench.loading import Loaded
from infra.bench.periodic_sql import Refresh
from infra.bench.progress import Measured
from infra.bench.running import Run
from infra.freshness import Freshness, Marker

SHAPE = Shape(events=1000, users=100)
LOADED = Loaded(1000, 0.5, Tally(SHAPE))
SENT = Sent(records=600, began_at=0.0, seconds=60.0, behind_s=0.1, cpu_s=0.2, exposures=50, denominators=70)


def a_run(events_per_s: float, checkpoints: int = 2) -> Run:
    return Run(Measured(events_per_s * 10, 10.0, 15.0), [Checkpoint(1000, 0.5)] * checkpoints)


def the_runs() -> dict[str, list[Run]]:
    speeds = {
        "read_limit": (600, 500, 610),
        "livelift_hashmap": (250, 240, 300),
        "livelift_rocksdb": (100, 110, 90),
        "flink_sql": (40, 41, 42),
        "pyflink_datastream": (10, 9, 11),
    }
    return {name: [a_run(speed) for speed in found] for name, found in speeds.items()}


def test_a_contender_is_told_by_its_median_and_by_the_names_that_are_promised() -> None:
    answer = throughput.answer(SHAPE, LOADED, the_runs(), [])
    assert answer.brief == {
        "read_limit": 600,
        "livelift_hashmap": 250,
        "livelift_rocksdb": 100,
        "flink_sql": 41,
        "pyflink_datastream": 10,
    }
    assert [contender.name for contender in CONTENDERS] == list(answer.brief)


def test_ratios_are_those_of_medians_and_say_whether_they_will_do() -> None:
    aims = throughput.answer(SHAPE, LOADED, the_runs(), []).aims
    assert [line.partition(":")[0] for line in aims] == ["reached", "missed", "reached", "reached"]
    assert "0.417 (at least 0.4)" in aims[0]
    assert "25 (at least 15)" in aims[3]


def test_contenders_that_did_not_run_are_absent() -> None:
    some = {name: runs for name, runs in the_runs().items() if name != "read_limit"} | {"flink_sql": []}
    answer = throughput.answer(SHAPE, LOADED, some, [])
    assert set(answer.brief or ()) == {"livelift_hashmap", "livelift_rocksdb", "pyflink_datastream"}
    assert len(answer.aims) == 1


def test_a_refresh_of_everything_is_told_as_so_many_events_of_ours() -> None:
    answer = throughput.answer(SHAPE, LOADED, the_runs(), [Refresh(2000, 3.0, 6.0)])
    # 15 s of processor time for 2,500 events are 6 ms an event.
    assert "as much as 1,000 events cost livelift" in str(answer.rows[-1][0])


def a_spike(**changes: object) -> spike.Spike:
    ordinary = spike.Spike(
        pace=[Leg(1, 10), Leg(1, 100), Leg(1, 10)],
        sent=SENT,
        ages=[(0.0, 1.0), (1.0, 8.0)],
        missing=0,
        worst_s=8.0,
        fresh_again_s=7.0,
        exposures=50,
        denominators=70,
    )
    return ordinary._replace(**changes)


def test_a_spike_of_which_something_is_missing_is_not_complete() -> None:
    assert spike.answer(a_spike()).aims == ["reached: nothing lost, nothing counted twice"]
    for changes in ({"exposures": 49}, {"denominators": 71}):
        assert spike.answer(a_spike(**changes)).aims == ["missed: nothing lost, nothing counted twice"]


def test_results_are_fresh_again_once_the_last_stale_marker_was_seen() -> None:
    markers = [Marker(10, 1.0), Marker(11, 7.0), Marker(12, 9.0), Marker(13, 2.0)]
    assert spike.fresh_again_s(markers, since=15) == 6
    assert spike.fresh_again_s(markers[:1], since=15) == 0


def some_costs() -> list[growth.Cost]:
    price = {100_000: 4.0, 400_000: 4.2, 1_000_000: 5.0, 4_000_000: 6.0}
    return [
        growth.Cost(
            point, contender, Run(Measured(1e6, 10, price.get(point.size, 4.0)), [Checkpoint(10, 1)]), 7
        )
        for point in growth.points()
        for contender in point.contenders
    ]


def test_growth_compares_the_largest_size_with_the_smallest() -> None:
    aims = growth.answer(some_costs()).aims
    assert any(line.startswith("missed: the most of users") and "hashmap" in line for line in aims)
    assert any(line.startswith("reached: the most of users") and "RocksDB" in line for line in aims)
    assert len(aims) == 6


def test_growth_covers_all_sizes_that_are_promised() -> None:
    sizes: dict[str, list[int]] = {}
    for point in growth.points():
        sizes.setdefault(point.what, []).append(point.size)
        assert point.shape.events > point.shape.enrolments > 0
    assert sizes["users"][0] == 100_000
    assert sizes["users"][-1] == 4_000_000
    assert (sizes["experiments a tenant"][0], sizes["experiments a tenant"][-1]) == (2, 200)
    assert (sizes["tenants"][0], sizes["tenants"][-1]) == (1, 200)
    assert sizes["parallelism"] == [1, 2]


def kept(*medians: float) -> scorecard.Kept:
    lags = [scorecard.Lag(1000, median, median + 1) for median in medians]
    return scorecard.Kept(scorecard.Load(), lags, 10.0, 10_000.0, 40.0, {"taskmanager": 12.0}, 0.0)


def test_a_scorecard_whose_results_grow_older_falls_behind() -> None:
    assert kept(2, 2.1, 1.9, 2, 2.1, 2).growth_s == pytest.approx(0, abs=0.1)
    assert kept(2, 4, 6, 8, 10, 12).growth_s == pytest.approx(8)
    assert kept(2, 2).us_per_comparison == pytest.approx(30)


def all_answers() -> list[Answer]:
    at_rate = freshness.AtRate(
        5000, Freshness(1.0, 2.0, 400, 0), SENT, dict.fromkeys((*freshness.PARTS, "generator"), 0.1)
    )
    return [
        throughput.answer(SHAPE, LOADED, the_runs(), [Refresh(2000, 3.0, 6.0)]),
        freshness.answer(LOADED, [at_rate]),
        growth.answer(some_costs()),
        memory.answer(
            SHAPE,
            [memory.State(LIVELIFT_HASHMAP, 500, 510, 900), memory.State(LIVELIFT_ROCKSDB, 400, 410, None)],
        ),
        scorecard.answer(kept(2, 2)),
        spike.answer(a_spike()),
    ]


@pytest.mark.parametrize("answer", all_answers(), ids=lambda answer: answer.name)
def test_every_answer_is_written_with_the_machine_it_was_measured_on(answer: Answer, tmp_path: Path) -> None:
    content = json.loads(answer.write(tmp_path).read_text(encoding="utf-8"))
    assert content["machine"]["cores"] >= 1
    assert content["aims"] == list(answer.aims)
    assert content.keys() > {"machine", "aims"}
    assert all(len(row) <= len(answer.columns) for row in answer.rows)


@pytest.mark.parametrize("name", ["throughput", "freshness", "growth", "spike"])
def test_pictures_are_drawn(name: str, tmp_path: Path) -> None:
    answer = next(each for each in all_answers() if each.name == name)
    answer.write(tmp_path)
    assert (tmp_path / f"{name}.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_an_aim_says_whether_it_was_reached() -> None:
    assert aim("speed", 2.0, least=1.5) == "reached: speed 2 (at least 1.5)"
    assert aim("age", 2.0, most=1.5) == "missed: age 2 (at most 1.5)"
