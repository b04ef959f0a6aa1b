"""Waiting for a condition with a deadline, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

POLL_S = 0.05


def eventually(look: Callable[[], Found], what: str, *, deadline_s: float = 20.0) -> Found:
    """What ``look`` returned once that was true.

    Raises:
        AssertionError: The deadline passed; says what was waited for and what was last seen.
    """
    deadline = time.monotonic() + deadline_s
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {deadline_s:.0f} s for this: {what}; last seen: {found!r}")
        time.sleep(POLL_S)
    return found
