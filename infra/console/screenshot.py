"""A picture of a page, by the Chromium that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from config.settings import Settings
from infra.console import console_url
from infra.console.state import State
from infra.definitions import DefinitionKey

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WITHIN_S = 60.0
DRAWN_WITHIN_MS = 4000


class NoPictureError(Exception):
    """There is no picture; one line that says why."""


def kept(settings: Settings, key: DefinitionKey, file: Path) -> str:
    """Stores a picture of an experiment on the stack's console; says where, or why there is none."""
    try:
        take(console_url(settings) + State(key.tenant_id, key.experiment_id).url, file)
    except NoPictureError as error:
        return str(error)
    return f"a picture of the console: {file}"


def browser() -> str | None:
    """The installed Chromium's path; None where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def take(url: str, file: Path, *, width: int = 1180, height: int = 1900) -> None:
    """Stores a picture of a page as PNG.

    Raises:
        NoPictureError: No Chromium is installed, or it could not.
    """
    program = browser()
    if program is None:
        raise NoPictureError(
            "no picture of the console: no Chromium is installed here (apt-get install chromium)"
        )
    file.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        command = [
            program,
            *("--headless=new", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
            *(("--no-sandbox",) if os.geteuid() == 0 else ()),  # Chromium's sandbox refuses to start as root
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            f"--virtual-time-budget={DRAWN_WITHIN_MS}",
            f"--screenshot={file}",
            url,
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
        except subprocess.TimeoutExpired:
            raise NoPictureError(
                f"no picture of the console: Chromium took more than {WITHIN_S:.0f} s"
            ) from None
    if not file.is_file():
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise NoPictureError(f"no picture of the console: Chromium ended with {done.returncode}: {said}")
