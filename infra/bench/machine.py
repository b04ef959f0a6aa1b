"""What the figures were measured on; without it they say nothing."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import NamedTuple

import psutil


class Machine(NamedTuple):
    """A machine as far as speed depends on it."""

    cores: int
    memory_gb: float
    processor: str
    system: str

    def __str__(self) -> str:
        return f"{self.cores} cores ({self.processor}), {self.memory_gb:.0f} GB, {self.system}"


def this_machine() -> Machine:
    """The machine this process runs on; cores are those it may use."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
        processor=_processor(),
        system=f"{platform.system()} {platform.release()}",
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
