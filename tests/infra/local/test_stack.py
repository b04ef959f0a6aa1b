"""The stack comes up, heals and goes down; what it refuses it names."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
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


def a_stack_ran(settings: Settings) -> None:
    record.write(settings, Record())


def test_wiping_leaves_foreign_files_alone_and_names_them(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    made = (
        "broker/data/1.log",
        "logs/broker.log",
        "secrets/operator-token",
        "checkpoints/a-job/chk-1/_metadata",
    )
    foreign = ("thesis.tex", ".git/config", "logs/mine.txt", "secrets/mine")
    for name in (*made, *foreign):
        (settings.run_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (settings.run_dir / name).touch()
    a_stack_ran(settings)
    stack.wipe(settings)
    left = {str(path.relative_to(settings.run_dir)) for path in settings.run_dir.rglob("*") if path.is_file()}
    assert left == {*foreign, "stack.lock"}
    assert capsys.readouterr().err == (
        f"not made by the stack and left in {settings.run_dir}: .git, logs, secrets, thesis.tex\n"
    )


def test_wiping_a_folder_in_which_no_stack_ran_deletes_nothing(settings: Settings) -> None:
    (settings.run_dir / "clickhouse").mkdir()
    stack.wipe(settings)
    assert (settings.run_dir / "clickhouse").is_dir()


def test_wiping_deletes_only_our_jobs_where_others_keep_checkpoints_too(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shared = tmp_path_factory.mktemp("shared and more")
    for name in ("livelift-scorecard", "livelift-attribution-acme-e3", "somebody-else"):
        (shared / name / "chk-1").mkdir(parents=True)
    a_stack_ran(settings)
    uri = shared.as_uri()
    stack.wipe(replace(settings, flink=replace(settings.flink, checkpoint_dir=uri, savepoint_dir=uri)))
    assert [path.name for path in shared.iterdir()] == ["somebody-else"]


@pytest.mark.parametrize("folder", [Path("/"), Path.home(), ROOT, ROOT.parent])
def test_a_folder_that_others_use_is_not_wiped(settings: Settings, folder: Path) -> None:
    with pytest.raises(StackError, match="nothing is deleted there"):
        stack.wipe(replace(settings, run_dir=folder))


def test_a_folder_that_cannot_be_made_is_named(settings: Settings) -> None:
    (settings.run_dir / "file").touch()
    folder = settings.run_dir / "file" / "stack"
    with pytest.raises(StackError) as caught:
        stack.down(replace(settings, run_dir=folder))
    assert str(caught.value) == f"cannot make the folder {folder}: Not a directory (set LIVELIFT_RUN_DIR)"


@contextmanager
def sleeping() -> Iterator[ProcessId]:
    """A process that stands for a supervisor and does nothing."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        try:
            yield ProcessId.of(process.pid)
        finally:
            process.kill()


@pytest.mark.processes
def test_a_running_stack_is_not_joined_with_other_settings(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "_require_tools", lambda _: None)
    with sleeping() as supervisor:
        record.write(settings, Record(supervisor, settings=record.fingerprints(settings)))
        other = replace(settings, scorecard=replace(settings.scorecard, flush_ms=7), region="eu")
        with pytest.raises(StackError) as caught:
            stack.up(other, names=("heartbeat",))
        assert supervisor.is_alive()
    assert str(caught.value) == (
        "a stack runs here that was started with other settings (scorecard, region): "
        "`livelift down` first, or say `livelift up` with the settings it has"
    )


def test_the_token_a_first_start_makes_does_not_make_settings_others(settings: Settings) -> None:
    known = replace(settings, clickhouse=replace(settings.clickhouse, password="sesame"))
    assert record.fingerprints(known) == record.fingerprints(settings)


UP_FOR_EVER = """
import sys
from config.settings import load
from infra.local import stack
stack._require_tools = lambda members: None
stack.python = lambda *arguments: [sys.executable, "-c", "import time; time.sleep(60)"]
stack.up(load(), names=("heartbeat",))
"""


@pytest.mark.processes
def test_sigterm_stops_what_up_has_started(settings: Settings) -> None:
    with subprocess.Popen([sys.executable, "-c", UP_FOR_EVER], cwd=ROOT) as process:
        children = psutil.Process(process.pid).children
        eventually(lambda: len(children()) == 1, "the supervisor is started")
        (supervisor,) = children()
        try:
            process.terminate()
            assert process.wait(timeout=20) == 128 + signal.SIGTERM
            assert not supervisor.is_running()
        finally:
            process.kill()
            with suppress(psutil.NoSuchProcess):
                supervisor.kill()


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
