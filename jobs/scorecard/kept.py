"""What is kept of an experiment besides its slots, as texts in one value of Flink's state.

One map for all of it: each map that changed costs a round trip to the JVM, 0.5 to 1 ms on a busy machine, and
each that is there an object of PyFlink whenever another key has its turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Protocol


class Kind(Enum):
    """What a text says."""

    TOTALS = "totals"
    """By version and segment."""
    SPREADS = "spreads"
    """By version and segment."""
    DEFINITION = "definition"
    """By version, as published."""
    LOOKS = "looks"
    """By epoch."""


class State(Protocol):
    """Flink's map state of the current key."""

    def put(self, key: str, value: str) -> None: ...
    def items(self) -> Iterable[tuple[str, str]]: ...


class Kept:
    """The texts of the experiment that is the current key."""

    def __init__(self, state: State) -> None:
        self._state = state

    def put(self, kind: Kind, place: str, text: str) -> None:
        """Let a text replace the one of the same place."""
        self._state.put(f"{kind.value} {place}", text)

    def read(self) -> dict[Kind, dict[str, str]]:
        """All texts, by kind and place."""
        found: dict[Kind, dict[str, str]] = {kind: {} for kind in Kind}
        for key, text in self._state.items():
            kind, place = key.split(" ", 1)
            found[Kind(kind)][place] = text
        return found
