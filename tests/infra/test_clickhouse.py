"""A ClickHouse that is away, or hangs, is told in one line and soon."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from config.settings import Settings
from infra import clickhouse
from infra.clickhouse import DatabaseError, connect
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


def test_an_address_where_nobody_listens_is_away(tmp_path: Path) -> None:
    with running_front(tmp_path) as front:
        settings = front.settings("default")
        is_away(replace(settings, clickhouse=replace(settings.clickhouse, url="http://127.0.0.1:9")))
