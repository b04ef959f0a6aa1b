"""How many simulations, and a table of what they measured at the end of the run.

CALIBRATION=full runs five times as many, with tolerances that shrink accordingly.
"""

import os

import pytest

MEASURED = pytest.StashKey[list[tuple[str, float]]]()


@pytest.fixture(scope="session")
def scale() -> int:
    """Simulations of the sequential checks are multiplied by it: 1, or 5 for the full version."""
    chosen = os.environ.get("CALIBRATION", "short")
    if chosen not in ("short", "full"):
        raise ValueError(f"CALIBRATION is {chosen!r}: it must be short or full")
    return 5 if chosen == "full" else 1


@pytest.fixture
def measured(request):
    """Note a measured rate under a name; all of them are printed at the end of the run."""

    def note(name: str, value: float) -> None:
        request.config.stash.setdefault(MEASURED, []).append((name, float(value)))

    return note


def pytest_terminal_summary(terminalreporter, config):
    found = config.stash.get(MEASURED, [])
    if found:
        terminalreporter.section("measured")
    for name, value in found:
        terminalreporter.write_line(f"{value:10.4f}  {name}")
