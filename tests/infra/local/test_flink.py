"""Flink's configuration follows the settings."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from config.settings import Local, load
from infra.local.flink import (
    JobManager,
    TaskManager,
    configuration_dir,
    task_heap_mb,
    write_configuration,
)
from jobs.wiring.metric_names import flink_filter


def written(tmp_path: Path, **environ: str) -> dict[str, object]:
    settings = load(environ={"LIVELIFT_RUN_DIR": str(tmp_path), **environ})
    assert settings.local is not None
    write_configuration(settings, settings.local)
    text = (configuration_dir(settings) / "config.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    assert isinstance(content, dict)
    return content


def megabytes(text: object) -> int:
    assert isinstance(text, str)
    return int(text.removesuffix("m"))


def test_the_java_options_flink_ships_with_are_kept(tmp_path: Path) -> None:
    options = str(written(tmp_path)["env.java.opts.all"])
    assert "--add-opens=java.base/java.net=ALL-UNNAMED" in options


def test_addresses_and_places_come_from_the_settings(tmp_path: Path) -> None:
    configuration = written(tmp_path, LIVELIFT_FLINK_REST_URL="http://127.0.0.1:4567")
    assert configuration["rest.port"] == 4567
    assert configuration["execution.checkpointing.dir"] == (tmp_path / "checkpoints").as_uri()


def test_the_memory_of_the_taskmanager_adds_up_to_its_budget(tmp_path: Path) -> None:
    configuration = written(tmp_path, LIVELIFT_LOCAL_TASKMANAGER_PROCESS_MB="4000")
    parts = (
        "framework.heap.size",
        "framework.off-heap.size",
        "task.heap.size",
        "task.off-heap.size",
        "network.max",
        "managed.size",
        "jvm-metaspace.size",
        "jvm-overhead.max",
    )
    assert sum(megabytes(configuration[f"taskmanager.memory.{part}"]) for part in parts) == 4000
    assert task_heap_mb(Local(taskmanager_process_mb=4000)) > 1500


def test_every_slot_has_memory_of_its_own_however_many_there_are(tmp_path: Path) -> None:
    for slots in (2, 8):
        configuration = written(tmp_path, LIVELIFT_LOCAL_TASKMANAGER_SLOTS=str(slots))
        assert megabytes(configuration["taskmanager.memory.managed.size"]) == 128 * slots


def test_a_slot_can_be_given_more_memory_for_rocksdb(tmp_path: Path) -> None:
    configuration = written(
        tmp_path,
        LIVELIFT_LOCAL_TASKMANAGER_SLOTS="2",
        LIVELIFT_LOCAL_TASKMANAGER_MANAGED_MB_PER_SLOT="1024",
    )
    assert megabytes(configuration["taskmanager.memory.managed.size"]) == 2048


def test_too_little_memory_for_the_slots_is_refused_with_how_much_it_takes() -> None:
    refusal = (
        r"taskmanager_process_mb must be at least 2240 for 8 slots \(.*\) with 128 MB each \(.*\), not 2239"
    )
    with pytest.raises(ValueError, match=refusal):
        task_heap_mb(Local(taskmanager_slots=8, taskmanager_process_mb=2239))
    assert task_heap_mb(Local(taskmanager_slots=8, taskmanager_process_mb=2240)) == 256


def test_metrics_go_to_prometheus_only_those_of_the_catalogue_and_with_the_names_tenants_have(
    tmp_path: Path,
) -> None:
    configuration = written(tmp_path)
    assert configuration["metrics.reporters"] == "prometheus"
    assert configuration["metrics.reporter.prometheus.filter.includes"] == flink_filter()
    assert configuration["metrics.reporter.prometheus.filterLabelValueCharacters"] == "false"


@pytest.mark.jvm
def test_each_process_shows_its_metrics_on_a_port_of_its_own(tmp_path: Path) -> None:
    settings = load(environ={"LIVELIFT_RUN_DIR": str(tmp_path)})
    local = Local(jobmanager_metrics_port=4001, taskmanager_metrics_port=4002)
    parts = JobManager(settings, local), TaskManager(settings, local)
    for part, port in zip(parts, (4001, 4002), strict=True):
        part.prepare()
        assert f"-Dmetrics.reporter.prometheus.port={port}" in part.command()
        assert port in {each.number for each in part.ports}


def test_a_lost_taskmanager_is_noticed_within_the_timeout(tmp_path: Path) -> None:
    configuration = written(tmp_path, LIVELIFT_LOCAL_HEARTBEAT_TIMEOUT_MS="6000")
    assert configuration["heartbeat.timeout"] == "6000 ms"
    assert configuration["heartbeat.interval"] == "1500 ms"
