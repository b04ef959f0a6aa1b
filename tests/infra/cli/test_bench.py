"""The bench refuses what it cannot do before it starts anything."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from infra.cli.errors import CliError
from infra.cli.main import app


def refusal(*arguments: str) -> str:
    error = CliRunner().invoke(app, ["bench", *arguments]).exception
    assert isinstance(error, CliError)
    return str(error)


def test_two_questions_at_once_are_refused() -> None:
    assert refusal("--freshness", "--spike") == "bench: one question at a time"


@pytest.mark.parametrize(("option", "known"), [((), "flink_sql"), (("--growth",), "experiments a tenant")])
def test_a_name_nobody_has_is_refused_with_those_there_are(option: tuple[str, ...], known: str) -> None:
    message = refusal(*option, "--only", "nothing")
    assert "'nothing'" in message
    assert known in message
