"""The heartbeat ends when it is told to, whether a broker is there or not."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from config.settings import ROOT

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "infra.cli.main", "heartbeat"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={"LIVELIFT_KAFKA_BOOTSTRAP": "127.0.0.1:9", "PATH": "/usr/bin:/bin"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("one heartbeat a second")
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
        assert process.stderr.read() == ""
