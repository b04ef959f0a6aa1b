"""What a question of the bench has found, ready for people, machines and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.bench.machine import this_machine


@dataclass(frozen=True)
class Answer:
    """One table, the figures behind it, and how to draw them."""

    name: str
    title: str
    columns: tuple[str, ...]
    """The first names what a row is about; the others are figures."""
    rows: Sequence[Sequence[object]]
    figures: Mapping[str, Any]
    """Everything that was measured, as JSON."""
    brief: Mapping[str, Any] | None = None
    """What a machine is told; all figures unless there is something shorter."""
    aims: Sequence[str] = ()
    """One line for each thing that was to be reached: what, and whether it was."""
    draw: Callable[[Path], None] = field(default=lambda path: None)
    """Makes a picture at a path."""

    def write(self, folder: Path) -> Path:
        """Write the figures, with the machine they were measured on; returns the file.

        The picture lies beside it where matplotlib is installed (it is a package of development).
        """
        folder.mkdir(parents=True, exist_ok=True)
        content = {"machine": this_machine()._asdict(), "aims": list(self.aims), **self.figures}
        file = folder / f"{self.name}.json"
        file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        with suppress(ModuleNotFoundError):
            self.draw(folder / f"{self.name}.svg")
        return file


def aim(what: str, found: float, *, least: float | None = None, most: float | None = None) -> str:
    """A line that says what was aimed at, what was found, and whether that will do."""
    is_reached = (least is None or found >= least) and (most is None or found <= most)
    bound = f"at least {least:g}" if most is None else f"at most {most:g}"
    return f"{'reached' if is_reached else 'missed'}: {what} {found:.3g} ({bound})"
