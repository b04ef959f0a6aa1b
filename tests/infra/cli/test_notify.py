"""`livelift notify` ends well only where nothing was passed over."""

from __future__ import annotations

from typing import Any

import pytest

from infra.cli.errors import CliError
from infra.cli.notify import notify
from infra.webhook import Delivered

URL = "http://localhost:1/decisions"


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Delivered:
    """What became of decisions until it was stopped; a test says more."""
    delivered = Delivered(taken=7)
    monkeypatch.setenv("LIVELIFT_WEBHOOK_URL", URL)
    monkeypatch.setenv("LIVELIFT_WEBHOOK_SECRET", "secret")
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def deliver(*_: Any, dry_run: bool) -> Delivered:
        return delivered

    monkeypatch.setattr("infra.cli.notify.deliver", deliver)
    return delivered


def test_it_ends_well_when_every_decision_was_taken(ended: Delivered) -> None:
    notify()


def test_decisions_that_were_passed_over_are_named_at_the_end_and_make_it_fail(ended: Delivered) -> None:
    ended.passed_over += ["stop-1", "ship-2"]
    with pytest.raises(CliError) as refused:
        notify()
    assert str(refused.value) == (f"7 delivered, 2 passed over because {URL} refused them: stop-1, ship-2")
