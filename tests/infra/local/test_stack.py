"""The stack comes up, heals and goes down; what it refuses it names."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from config.settings import ROOT, Settings, load, port_of
from infra.local import java, record, stack
from infra.local.clickhouse import ClickHouse
from infra.local.elsewhere import free_environment
from infra.local.members import StackError, local_section
from infra.local.processes import ProcessId
from infra.local.record import Entry, Record, State
from tests.waiting import eventually

TWO = ("broker", "registry")

Schema = Callable[[], int]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a stack with a folder and ports of its own."""
    for name, text in free_environment(tmp_path).items():
        monkeypatch.setenv(name, text)
    return load()


@pytest.fixture
def stopped(settings: Settings) -> Iterator[Settings]:
    """The same, with everything that a test started stopped after it."""
    yield settings
    stack.down(settings)


def process_of(settings: Settings, name: str) -> ProcessId:
    process = record.read(settings).entries[name].process
    assert process is not None
    return process


def test_settings_without_a_section_local_start_nothing() -> None:
    with pytest.raises(StackError, match="have no section `local`: their parts are run by others"):
        stack.up(load(ROOT / "config" / "production.yaml", {}))


def test_a_missing_jdk_is_named_before_anything_is_started(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    java.executable.cache_clear()
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(StackError, match="no Java in JAVA_HOME=/nowhere: install JDK 17"):
        stack.up(settings, names=("broker",))
    monkeypatch.undo()
    java.executable.cache_clear()
    assert not record.record_file(settings).exists()


def test_clickhouse_started_again_by_the_supervisor_of_a_first_start_keeps_its_token(
    settings: Settings,
) -> None:
    """That supervisor's settings know no password, and the jobs were given the one of before."""
    part = ClickHouse(settings, local_section(settings))
    tokens = []
    for _ in range(2):
        part.prepare()
        tokens.append(load().clickhouse.password)
    assert tokens[0] == tokens[1] != ""


def test_nothing_runs_nothing_is_stopped(settings: Settings) -> None:
    assert stack.down(settings) == []


@pytest.mark.processes
def test_wiping_deletes_data_but_never_jars_and_never_under_a_running_part(settings: Settings) -> None:
    for name in ("jars/kafka", "stamps", "broker/data", "logs", "checkpoints/livelift-attribution", "demo"):
        (settings.run_dir / name).mkdir(parents=True)
    (settings.run_dir / "demo" / "stack.lock").touch()
    running = Entry("broker", State.UP, process=ProcessId.of(os.getpid()))
    record.write(settings, Record().with_entry(running))
    with pytest.raises(StackError, match="the stack runs: `livelift down` first"):
        stack.wipe(settings)
    record.write(settings, Record())
    stack.wipe(settings)
    left = {path.name for path in settings.run_dir.iterdir()}
    assert left == {"jars", "stamps", "stack.lock", "demo"}, "another stack's folder is not ours to delete"


@pytest.mark.jvm
def test_a_taken_port_is_one_line_and_nothing_is_started(stopped: Settings) -> None:
    port = port_of(stopped.registry.url)
    with socket.create_server(("127.0.0.1", port)), pytest.raises(StackError) as caught:
        stack.up(stopped, names=TWO)
    message = str(caught.value)
    assert message.startswith(f"registry needs port {port}, which pid {os.getpid()} (")
    assert message.endswith("stop that or set LIVELIFT_REGISTRY_URL")
    assert not record.record_file(stopped).exists()


@pytest.mark.jvm
def test_a_part_that_cannot_start_is_one_line_with_its_log_and_leaves_nothing_running(
    stopped: Settings,
) -> None:
    (stopped.run_dir / "broker" / "data").mkdir(parents=True)
    (stopped.run_dir / "broker" / "data" / "meta.properties").write_text("version=1\ncluster.id=other\n")
    with pytest.raises(StackError) as caught:
        stack.up(stopped, names=TWO)
    log = stopped.logs_dir / "broker.log"
    assert str(caught.value) == f"broker ended while starting (exit status 1): see {log}"
    assert log.stat().st_size > 0
    assert running_in(stopped) == []


@pytest.mark.jvm
def test_up_twice_is_harmless_what_dies_comes_back_and_down_leaves_nothing(stopped: Settings) -> None:
    settings = stopped
    stack.up(settings, names=TWO)
    before = {name: process_of(settings, name) for name in TWO}
    schema = register(settings)

    stack.up(settings, names=TWO)
    assert {name: process_of(settings, name) for name in TWO} == before

    os.kill(before["registry"].pid, signal.SIGKILL)
    eventually(
        lambda: record.read(settings).entries["registry"].restarts == 1, "the registry's death is seen"
    )
    stack.up(settings, names=TWO)
    assert process_of(settings, "registry") != before["registry"]
    assert register(settings) == schema, "a schema keeps its id through kill -9"

    supervisor = record.read(settings).supervisor
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    eventually(lambda: not supervisor.is_alive(), "the supervisor is gone")
    stack.up(settings, names=TWO)
    assert process_of(settings, "broker") == before["broker"], "the next supervisor takes over what lives"

    assert stack.down(settings) == list(TWO)
    assert running_in(settings) == []


@pytest.mark.jvm
def test_a_killed_taskmanager_is_replaced_and_the_cluster_knows_the_new_one(stopped: Settings) -> None:
    cluster = ("jobmanager", "taskmanager")
    stack.up(stopped, names=cluster)
    before = process_of(stopped, "taskmanager")
    os.kill(before.pid, signal.SIGKILL)
    eventually(
        lambda: record.read(stopped).entries["taskmanager"].restarts == 1, "the TaskManager's death is seen"
    )
    stack.up(stopped, names=cluster)
    assert process_of(stopped, "taskmanager") != before
    assert stack.down(stopped) == list(cluster)
    assert running_in(stopped) == []


def register(settings: Settings) -> int:
    """The id of a schema, registered if need be."""
    answer = httpx.post(
        f"{settings.registry.url}/subjects/Probe/versions", json={"schema": '"string"'}, trust_env=False
    )
    return int(answer.raise_for_status().json()["id"])


def running_in(settings: Settings) -> list[list[str]]:
    """Command lines of live processes that belong to this stack."""
    marker = f"LIVELIFT_RUN_DIR={settings.run_dir}"
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and f"{marker}\0" in read_environment(process.pid):
                found.append(process.cmdline())
        except (psutil.Error, OSError):
            continue
    return found


def read_environment(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text(encoding="utf-8", errors="replace")
