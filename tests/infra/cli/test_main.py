"""A wrong command line is refused like everything else: in one line, on stderr."""

from __future__ import annotations

import subprocess
import sys

import pytest

from config.settings import ROOT
from infra.cli.main import main


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """The exit status."""
    monkeypatch.setattr(sys, "argv", ["livelift", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["results", "--as-of", "yesterday"],
            "Invalid value for '--as-of': 'yesterday' is not ISO 8601; write it like 2026-11-22T14:05Z",
        ),
        (
            ["results", "--view", "rolling"],
            "'rolling' is not one of 'all', 'matured', 'rolling_24h', 'rolling_7d'",
        ),
        (["define"], "Missing argument 'FILE...' (livelift define --help tells more)"),
        (["results", "--segmnt", "x"], "No such option: --segmnt"),
        (["reslts"], "No such command 'reslts'"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_status_2(
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("livelift: ")
    assert said in shown.err
    assert shown.err.count("\n") == 1


def test_help_is_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--help") == 0
    assert "Usage: livelift" in capsys.readouterr().out
    assert run(monkeypatch) == 2
    assert "Usage: livelift" in "".join(capsys.readouterr())


@pytest.mark.processes
def test_commands_start_without_what_takes_long_to_load() -> None:
    """A third of a second and more each, which only those should cost that need it."""
    code = "import sys, infra.cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"scipy", "udfs.stats", "pyflink", "clickhouse_driver"} & set(done.stdout.split()) == set()
