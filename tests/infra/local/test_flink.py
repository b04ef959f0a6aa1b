"""Flink's configuration follows the settings."""

from __future__ import annotations

from pathlib import Path

import yaml

from config.settings import Local, load
from infra.local.flink import configuration_dir, task_heap_mb, write_configuration


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
    assert task_heap_mb(Local(taskmanager_process_mb=4000)) > 2000


def test_a_lost_taskmanager_is_noticed_within_the_timeout(tmp_path: Path) -> None:
    configuration = written(tmp_path, LIVELIFT_LOCAL_HEARTBEAT_TIMEOUT_MS="6000")
    assert configuration["heartbeat.timeout"] == "6000 ms"
    assert configuration["heartbeat.interval"] == "1500 ms"
