"""Unmarked tests cannot reach the world; this one is unmarked and tries."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest


def test_a_test_without_a_marker_reaches_no_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with pytest.raises(AssertionError, match="a test without a marker may not connect"):
            socket.create_connection(address)


@pytest.mark.parametrize("command", [["java", "-version"], ["/usr/bin/mvn", "--version"], "javac"])
def test_a_test_without_a_marker_starts_no_java(command: str | list[str]) -> None:
    with pytest.raises(AssertionError, match="a test without a marker may not start"):
        subprocess.run(command, check=False)


def test_a_test_without_a_marker_cannot_start_pyflinks_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyflink import java_gateway

    monkeypatch.setattr(java_gateway, "_gateway", None)  # that of an earlier, marked test
    with pytest.raises(Exception, match="PythonGatewayServer"):
        java_gateway.get_gateway()


def test_the_settings_of_the_shell_do_not_reach_a_test() -> None:
    assert not any(name.startswith("LIVELIFT_") for name in os.environ)


@pytest.mark.processes
def test_a_marked_test_reaches_what_it_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
