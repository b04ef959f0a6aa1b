"""What the tests of the scorecard operator run it in."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from jobs.scorecard.pace import Turns
from tests.jobs.scorecard.running import FakeContext


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> FakeContext:
    """A key of an operator whose work takes no time, so that only the test says what time it is."""
    monkeypatch.setattr(Turns, "spending", lambda *_: nullcontext())
    return FakeContext()
