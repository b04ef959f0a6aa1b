"""The console is a part of the stack: started with it, there when it says so, gone with it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from config.settings import load
from infra.console import console_url
from infra.local import stack
from infra.local.elsewhere import free_environment

pytestmark = pytest.mark.clickhouse


def test_it_comes_up_with_its_database_and_goes_down_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in free_environment(tmp_path).items():
        monkeypatch.setenv(name, text)
    settings = load()
    try:
        stack.up(settings, names=("clickhouse", "migrations", "console"))
        page = httpx.get(console_url(settings), trust_env=False, timeout=30)
        assert page.status_code == 200
        assert "The definitions are not read yet." in page.text
    finally:
        stopped = stack.down(settings)
    assert "console" in stopped
    with pytest.raises(httpx.ConnectError):
        httpx.get(console_url(settings), trust_env=False)
