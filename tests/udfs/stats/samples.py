"""Samples of users for the laws of statistics: small, odd and repeated values on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from udfs.stats import MICROS, Moments

MicroUser = tuple[int, int, int, int]
"""One user's y, d, x and e in micro-units."""

LIMIT = 9 * 10**15
"""No user's total is larger, in micro-units (9·10^9 units)."""

micro_values = st.one_of(
    st.integers(-3, 3).map(lambda units: units * MICROS),
    st.integers(-(10**7), 10**7),
    st.integers(-LIMIT, LIMIT),
)
counts = st.integers(0, 5).map(lambda units: units * MICROS)
users: SearchStrategy[MicroUser] = st.tuples(micro_values, counts, micro_values, counts)


def moments_of(people: Sequence[MicroUser]) -> Moments:
    """The moments of users given in micro-units, by the definition of each sum."""
    columns = list(zip(*people, strict=True)) or [(), (), (), ()]
    sums = [sum(column) for column in columns]
    pairs = [(a, b) for a in range(4) for b in range(a, 4)]
    products = [sum(u * v for u, v in zip(columns[a], columns[b], strict=True)) for a, b in pairs]
    return Moments.from_sums(len(people), sums + products)


@dataclass(frozen=True)
class TwoArms:
    """Units of both arms as floats, whose moments are well away from degenerate."""

    control: list[MicroUser]
    treatment: list[MicroUser]

    @property
    def moments(self) -> tuple[Moments, Moments]:
        return moments_of(self.control), moments_of(self.treatment)


@st.composite
def two_arms(draw: DrawFn) -> TwoArms:
    """Two arms of 3 to 7 users with values of a few units, a spread in each arm and a covariate."""
    value = st.integers(-20 * MICROS, 20 * MICROS)
    positive = st.integers(1, 5).map(lambda units: units * MICROS)
    people = st.lists(st.tuples(value, positive, value, positive), min_size=3, max_size=7)
    spread = people.filter(lambda found: max(u[0] for u in found) - min(u[0] for u in found) > MICROS // 10)
    return TwoArms(draw(spread), draw(spread))
