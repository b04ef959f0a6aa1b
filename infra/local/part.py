"""What the supervisor needs to know of anything it starts."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import httpx

from config.settings import ROOT, Local, Settings

HEALTH_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Port:
    """A TCP port a part listens on, and the setting that moves it."""

    number: int
    setting: str


class Member(ABC):
    """Something that is started once its ``needs`` are met."""

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    deadline_s: ClassVar[float] = 60.0
    """Longest time from the start until it is up, or done."""
    stop_deadline_s: ClassVar[float] = 10.0
    """Longest time from SIGTERM until it is killed."""

    def __init__(self, settings: Settings, local: Local) -> None:
        self.settings = settings
        self.local = local

    @property
    def log(self) -> Path:
        """What it prints goes here."""
        return self.settings.logs_dir / f"{self.name}.log"

    def lacks(self) -> str:
        """What has to be installed or built before it can start, and how; empty when nothing."""
        return ""

    @property
    def is_wanted(self) -> bool:
        """Whether the settings ask for it."""
        return True

    @property
    def ports(self) -> tuple[Port, ...]:
        """Ports it listens on; a taken one is named before anything is started."""
        return ()

    def prepare(self) -> None:
        """Write the files the command reads; called before every start, so it must be repeatable."""
        return

    @abstractmethod
    def command(self) -> list[str]:
        """The command line; its first process stays in the foreground and is the one that is watched."""

    def environment(self) -> dict[str, str]:
        """The whole environment of the command."""
        return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


class Part(Member):
    """A process that runs until it is stopped."""

    @abstractmethod
    def is_healthy(self) -> bool:
        """Whether it answers; quick, and never raises."""


class Step(Member):
    """A process that does its work and ends; run again whenever the stack is told to come up."""


def python(*arguments: str) -> list[str]:
    """A command line of the interpreter that runs now."""
    return [sys.executable, *arguments]


def answers(url: str) -> bool:
    """Whether a GET of ``url`` succeeds at once."""
    return get(url) is not None


def get(url: str) -> httpx.Response | None:
    """The successful answer to a GET of an address on this machine, or None; no proxy is asked."""
    try:
        response = httpx.get(url, timeout=HEALTH_TIMEOUT_S, trust_env=False)
    except httpx.HTTPError:
        return None
    return response if response.is_success else None


def shown(path: Path) -> str:
    """A path as short as the working directory allows."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
