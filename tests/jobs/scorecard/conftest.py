"""What the tests of the scorecard operator run it in."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from jobs.scorecard.pace import Turns
from tests.jobs.scorecard.running import FakeContext


@pytest.fixture(params=[1, 0], ids=["remembered", "forgotten"])
def context(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> FakeContext:
    """A key of an operator whose work takes no time, so that only the test says what time it is.

    What it remembers of an experiment, others may have driven out before each call: nothing may hang on that.
    """
    monkeypatch.setattr("jobs.scorecard.operators.REMEMBERED_EXPERIMENTS", request.param)
    monkeypatch.setattr(Turns, "spending", lambda *_: nullcontext())
    return FakeContext()
