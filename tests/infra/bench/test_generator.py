"""The generator's pace: as many events as its legs say, each at its moment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.bench.generator import Leg, due, planned, when

SPIKE = [Leg(60, 1000), Leg(10, 10_000), Leg(30, 1000)]


def test_as_many_are_due_as_the_legs_so_far_have() -> None:
    assert [due(SPIKE, at) for at in (-1, 0, 30, 60, 65, 70, 85, 100, 1000)] == [
        *(0, 0, 30_000, 60_000, 110_000, 160_000, 175_000, 190_000, 190_000)
    ]
    assert planned(SPIKE) == 190_000


@given(st.integers(1, 190_000))
def test_an_event_is_due_when_it_is_said_to_be(count: int) -> None:
    at = when(SPIKE, count)
    assert due(SPIKE, at) == pytest.approx(count, abs=1)
    assert due(SPIKE, at - 0.002) <= count
