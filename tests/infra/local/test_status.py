"""What `status` says is what is."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.settings import load
from infra.cli import main
from infra.cli.errors import CliError
from infra.local import record, status
from infra.local.elsewhere import free_environment
from infra.local.processes import ProcessId
from infra.local.record import Entry, Record, State

pytestmark = pytest.mark.processes


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in free_environment(tmp_path).items():
        monkeypatch.setenv(name, text)


def states() -> dict[str, str]:
    return {part.name: part.state for part in status.report(load()).parts}


def test_where_nothing_runs_everything_is_down_and_the_exit_status_says_so() -> None:
    result = CliRunner().invoke(main.app, ["status", "--format", "json"])
    assert isinstance(result.exception, CliError)
    report = json.loads(result.stdout)
    assert report["down"] == [part["name"] for part in report["parts"]] + [
        job["name"] for job in report["jobs"]
    ]
    assert {part["state"] for part in report["parts"]} == {"down", "stopped"}
    assert {job["state"] for job in report["jobs"]} == {"UNKNOWN"}


def test_a_recorded_part_whose_process_is_gone_is_down_and_one_that_is_deaf_does_not_answer() -> None:
    me = ProcessId.of(os.getpid())
    entries = [
        Entry("broker", State.UP, process=ProcessId(me.pid, me.started - 1, me.boot)),
        Entry("registry", State.UP, process=me, restarts=2),
        Entry("heartbeat", State.UP, process=me),
        Entry("contracts", State.DONE),
    ]
    record.write(load(), Record(me, 1, {entry.name: entry for entry in entries}))
    found = states()
    assert found["supervisor"] == "up"
    assert found["broker"] == "down"
    assert found["registry"] == "not answering"
    assert (found["heartbeat"], found["contracts"]) == ("up", "done")
    assert found["clickhouse"] == "stopped"


def test_the_table_names_the_log_of_every_part() -> None:
    result = CliRunner().invoke(main.app, ["status"])
    for name in states():
        assert str(load().logs_dir / f"{name}.log") in result.stdout


def test_a_refusal_is_one_line_on_stderr_and_exit_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIVELIFT_KAFKA_BOOTSTRAPP", "x")
    monkeypatch.setattr(sys, "argv", ["livelift", "status"])
    with pytest.raises(SystemExit) as caught:
        main.main()
    assert caught.value.code == (
        "livelift: environment: LIVELIFT_KAFKA_BOOTSTRAPP is not a setting "
        "(did you mean LIVELIFT_KAFKA_BOOTSTRAP?)"
    )
    assert capsys.readouterr().out == ""
