"""The statistics keep up: full comparisons a second on one core, by processor time."""

import pytest

from udfs.stats.bench import rates

pytestmark = pytest.mark.bench


def test_full_comparisons_a_second_reach_their_aims():
    found = rates()
    for name, rate in found.items():
        print(f"{rate:12,.0f} comparisons/s  from {name}")
    assert found["central moments, mean"] >= 200_000
    assert found["integer sums, two means, a proportion, a ratio"] >= 80_000
