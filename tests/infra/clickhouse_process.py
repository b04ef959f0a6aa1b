"""ClickHouse for tests: the front as a process of its own, or a real server named by TEST_CLICKHOUSE_URL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from config.settings import ROOT, Settings, load

REAL_SERVER = "TEST_CLICKHOUSE_URL"
"""``http://user:password@host:8123``; what runs against the front then runs against that server."""

PASSWORD = "correct horse; battery 'staple'"
START_DEADLINE_S = 60


class Front:
    """The front over one data folder; it can be killed and started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Front:
        """Start it and wait until it says where it listens."""
        self._folder.mkdir(parents=True, exist_ok=True)
        password_file = self._folder / "password"
        password_file.write_text(PASSWORD, encoding="utf-8")
        command = [sys.executable, "-m", "infra.local.clickhouse_front", "--port", "0", "--user", "operator"]
        command += [
            "--data",
            str(self._folder / "data"),
            "--password-file",
            str(password_file),
            *self._options,
        ]
        log = self._folder / "log"
        with log.open("w") as output:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, text=True)
        deadline = time.monotonic() + START_DEADLINE_S
        while "ready on " not in (said := log.read_text()):
            assert self._process.poll() is None, f"the front ended: {said}"
            assert time.monotonic() < deadline, f"the front was not ready in time: {said}"
            time.sleep(0.02)
        self.url = said.split("ready on ")[1].split(",")[0]
        return self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal and return at once."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait for the end; the exit status."""
        assert self._process is not None
        return self._process.wait(timeout=START_DEADLINE_S)

    def kill(self) -> None:
        """End it as a power cut of the process would."""
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """End it in order; the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def settings(self, database: str) -> Settings:
        """Settings that name this server."""
        return _settings(self.url, "operator", PASSWORD, database)

    def connect(self, **options: Any) -> Client:
        """A client of the operator."""
        return connect(self.settings(""), **options)


@contextmanager
def running_front(folder: Path, *options: str) -> Iterator[Front]:
    """A front for as long as the block runs."""
    front = Front(folder, *options).start()
    try:
        yield front
    finally:
        front.kill()


@contextmanager
def clickhouse(folder: Path) -> Iterator[Settings]:
    """Settings of a ClickHouse with a database of its own, not yet created; dropped at the end."""
    database = f"test_{uuid.uuid4().hex[:12]}"
    given = os.environ.get(REAL_SERVER)
    if given:
        url = urlsplit(given)
        address = f"{url.scheme}://{url.hostname}:{url.port or 8123}"
        user, password = unquote(url.username or "default"), unquote(url.password or "")
        settings = _settings(address, user, password, database)
        try:
            yield settings
        finally:
            with connect(settings, database="") as client:
                client.command(f"DROP DATABASE IF EXISTS {database}")
        return
    with running_front(folder) as front:
        yield front.settings(database)


def connect(settings: Settings, **options: Any) -> Client:
    """A client of the database the settings name, unless ``options`` say otherwise."""
    url = urlsplit(settings.clickhouse.url)
    given = {
        "host": url.hostname,
        "port": url.port,
        "secure": url.scheme == "https",
        "username": settings.clickhouse.user,
        "password": settings.clickhouse.password,
        "database": settings.clickhouse.database,
    }
    return clickhouse_connect.get_client(**{**given, **options})


def _settings(url: str, user: str, password: str, database: str) -> Settings:
    settings = load(ROOT / "config" / "local.yaml", {})
    named = replace(settings.clickhouse, url=url, user=user, password=password, database=database)
    return replace(settings, clickhouse=named)
