"""Keeping to a rate by a clock that the test holds."""

from __future__ import annotations

from infra.pace import Pace


def test_the_next_thing_is_early_until_its_time_has_come() -> None:
    now = 100.0
    pace = Pace(10.0, clock=lambda: now)
    assert pace.seconds_early() == 0
    pace.count()
    assert round(pace.seconds_early(), 9) == 0.1
    now = 100.1
    assert pace.seconds_early() <= 1e-9


def test_lost_time_is_made_up_for() -> None:
    now = 0.0
    pace = Pace(10.0, clock=lambda: now)
    now = 1.0
    early = []
    for _ in range(12):
        early.append(pace.seconds_early() > 1e-9)
        pace.count()
    assert early == [False] * 11 + [True]
