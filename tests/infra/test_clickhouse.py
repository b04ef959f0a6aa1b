"""A ClickHouse that is away, or hangs, is told in one line and soon."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError

from config.settings import Settings, load
from infra import clickhouse
from infra.clickhouse import DatabaseError, connect, one_line_errors
from tests.infra.clickhouse_process import running_front

pytestmark = pytest.mark.clickhouse


def is_away(settings: Settings) -> None:
    with pytest.raises(DatabaseError, match="no ClickHouse answers at http://127") as refused:
        connect(settings)
    assert "\n" not in str(refused.value)


def test_one_that_hangs_is_away_long_before_an_answer_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clickhouse, "GREETED_WITHIN_SECONDS", 0.5)
    with running_front(tmp_path) as front:
        settings = front.settings("default")
        assert connect(settings).query("SELECT 1").result_rows == [(1,)]
        front.signal(signal.SIGSTOP)
        is_away(settings)
        front.signal(signal.SIGCONT)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "Received ClickHouse exception, code: 62, server response: Code: 62. DB::Exception: Syntax "
            "error: failed at position 7 (1): 1. Expected one of: query, list. (SYNTAX_ERROR) (version 26.5)",
            "Syntax error: failed at position 7 (1): 1",
        ),
        (
            "Code: 60. DB::Exception: Unknown table\n'x'. (UNKNOWN_TABLE) (version 26.5) (for url http://x)",
            "Unknown table 'x'. (UNKNOWN_TABLE)",
        ),
        ("Unable to read", "Unable to read"),
    ],
)
def test_a_refusal_is_the_servers_own_sentence(text: str, sentence: str) -> None:
    settings = load()
    with pytest.raises(DatabaseError) as refused, one_line_errors(settings):
        raise ClickHouseError(text)
    assert str(refused.value) == f"ClickHouse: {sentence}"


def test_an_address_where_nobody_listens_is_away(tmp_path: Path) -> None:
    with running_front(tmp_path) as front:
        settings = front.settings("default")
        is_away(replace(settings, clickhouse=replace(settings.clickhouse, url="http://127.0.0.1:9")))
