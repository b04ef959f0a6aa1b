"""``livelift console`` says where it listens, answers there, and ends when it is told to."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import httpx
import pytest

from config.settings import ROOT
from infra.console.server import listening_socket
from tests.waiting import eventually

pytestmark = pytest.mark.processes

CONSOLE = [sys.executable, "-m", "infra.cli.main", "console"]


def test_it_answers_where_it_says_and_ends_when_told() -> None:
    command = [*CONSOLE, "--port", "0", "--tenant", "acme"]
    # Nobody listens at these: a console starts without them and says so on its pages.
    nobody = {"LIVELIFT_CLICKHOUSE_URL": "http://127.0.0.1:1", "LIVELIFT_KAFKA_BOOTSTRAP": "127.0.0.1:1"}
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **nobody}, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())
        assert found
        address = found[0]
        eventually(lambda: _is_there(address), "the console answers")
        assert httpx.get(f"{address}/tenants/globex", trust_env=False).status_code == 404
        page = httpx.get(f"{address}/tenants/acme", trust_env=False, timeout=30)
        assert page.status_code == 503
        assert "no ClickHouse answers at http://127.0.0.1:1" in page.text
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def test_a_taken_port_is_refused_in_one_line() -> None:
    with listening_socket(0) as taken:
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*CONSOLE, "--port", port], cwd=ROOT, capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert f"127.0.0.1:{port} is taken" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def _is_there(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health", trust_env=False).is_success
    except httpx.HTTPError:
        return False
