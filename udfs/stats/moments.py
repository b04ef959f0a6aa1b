"""Exact sums over users, and the means, variances and covariances that follow from them.

Sums are integers, so adding them is associative, commutative and can be undone: any partition,
order, replay or retraction of the same users gives the same bits. Central moments are formed in
integers too and divided once; there is no cancellation, whatever the offset of the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Self

from udfs.stats.outcome import ImpossibleSumsError

MICROS = 10**6
"""Micro-units in one unit. A sum of values counts micro-units, a sum of products their square (10^-12)."""

VALUES = ("y", "d", "x", "e")
"""Outcome, its denominator, and the same two before the first exposure."""

SUM_NAMES = ("y", "d", "x", "e", "yy", "yd", "yx", "ye", "dd", "dx", "de", "xx", "xe", "ee")
"""The order of ``Moments.sums`` and of the ``sum_…`` columns of a slot."""

_POSITION = {name: position for position, name in enumerate(SUM_NAMES)}
_NO_SUMS = (0,) * len(SUM_NAMES)


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over ``n`` users, exact, in micro-units; they add and subtract.

    ``n`` counts every exposed user, those without outcomes too. The empty ``Moments()`` is the
    identity of ``+``. The constructor checks shape and sign only; ``from_sums`` also checks that
    some sample has these sums.

    Raises:
        ValueError: ``n`` is negative (also when more is subtracted than there is), or there are
            not exactly fourteen sums.
    """

    n: int = 0
    sums: tuple[int, ...] = _NO_SUMS

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError(f"n is {self.n}: a count of users cannot be negative")
        if len(self.sums) != len(SUM_NAMES):
            raise ValueError(
                f"{len(self.sums)} sums given: they are {len(SUM_NAMES)}, {', '.join(SUM_NAMES)}"
            )

    @classmethod
    def from_sums(cls, n: int, sums: Mapping[str, int] | Sequence[int], *, check: bool = True) -> Self:
        """Moments from a slot's integers.

        Args:
            n: Users, zeros included.
            sums: The fourteen sums, by name or in the order of ``SUM_NAMES``. Names that are absent are 0.
            check: Refuse sums that no sample has. Without it ``compare`` finds them out when it needs them.

        Raises:
            ValueError: An unknown name, a wrong number of sums, a value that is not an integer, or n < 0.
            ImpossibleSumsError: No sample of ``n`` users has these sums.
        """
        if isinstance(sums, Mapping):
            unknown = [name for name in sums if name not in _POSITION]
            if unknown:
                raise ValueError(f"{unknown[0]!r} is not the name of a sum: they are {', '.join(SUM_NAMES)}")
            values = tuple(sums.get(name, 0) for name in SUM_NAMES)
        else:
            values = tuple(sums)
        for name, value in zip(("n", *SUM_NAMES), (n, *values), strict=False):
            if not isinstance(value, int):
                raise ValueError(f"{name} is {value!r}: sums are whole numbers of micro-units")
        moments = cls(n, values)
        if check:
            moments.check()
        return moments

    @classmethod
    def from_units(
        cls,
        y: Sequence[float],
        d: Sequence[float] | None = None,
        x: Sequence[float] | None = None,
        e: Sequence[float] | None = None,
    ) -> Self:
        """Moments of users given one by one, each value rounded half to even to micro-units.

        Args:
            y, d, x, e: One value per user in the metric's unit, all of one length; absent ones are zeros.

        Raises:
            ValueError: The lengths differ.
        """
        zeros = [0.0] * len(y)
        columns = [zeros if values is None else values for values in (y, d, x, e)]
        given = [[round(float(value) * MICROS) for value in values] for values in columns]
        if any(len(values) != len(y) for values in given):
            raise ValueError(f"lengths {[len(values) for values in given]}: every user has one y, d, x and e")
        products = combinations_with_replacement(given, 2)
        sums = [sum(values) for values in given]
        sums += [sum(a * b for a, b in zip(left, right, strict=True)) for left, right in products]
        return cls(len(y), tuple(sums))

    @classmethod
    def total(cls, parts: Iterable[Moments]) -> Moments:
        """The moments of all parts together; ``Moments()`` for none."""
        whole = Moments()
        for part in parts:
            whole += part
        return whole

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.n + other.n, tuple(map(int.__add__, self.sums, other.sums)))

    def __sub__(self, other: Moments) -> Moments:
        return Moments(self.n - other.n, tuple(map(int.__sub__, self.sums, other.sums)))

    def sum_of(self, name: str) -> int:
        """The sum called ``name`` (``"y"``, ``"yx"``, …) in micro-units, or 10^-12 for a product."""
        return self.sums[_POSITION[name]]

    def mean(self, value: str) -> float:
        """Mean of ``y``, ``d``, ``x`` or ``e`` over all users, in the metric's unit, correctly rounded.

        Raises:
            ZeroDivisionError: There are no users.
        """
        return self.sum_of(value) / (self.n * MICROS)

    def scaled_cross(self, left: str, right: str) -> int:
        """n·S_ab − S_a·S_b, an exact integer: n(n−1)·10^12 times the covariance."""
        product = left + right if left + right in _POSITION else right + left
        return self.n * self.sum_of(product) - self.sum_of(left) * self.sum_of(right)

    def covariance(self, left: str, right: str) -> float:
        """Sample covariance (divisor n − 1) of two of ``y, d, x, e``, correctly rounded from integers.

        Raises:
            ZeroDivisionError: There are fewer than two users.
        """
        return self.scaled_cross(left, right) / (self.n * (self.n - 1) * MICROS * MICROS)

    def variance(self, value: str) -> float:
        """Sample variance (divisor n − 1); never negative.

        Raises:
            ImpossibleSumsError: The sums would make it negative.
            ZeroDivisionError: There are fewer than two users.
        """
        scaled = self.scaled_cross(value, value)
        if scaled < 0:
            raise ImpossibleSumsError(
                _message(self, value, value, "a sum of squares is too small for its sum")
            )
        return scaled / (self.n * (self.n - 1) * MICROS * MICROS)

    def check(self) -> None:
        """Raise ``ImpossibleSumsError``, naming the sums and the rule, unless some sample can have them."""
        if self.n == 0 and any(self.sums):
            raise ImpossibleSumsError(f"n is 0 but the sums are {self.sums}: nobody has no outcomes")
        scaled = {(a, b): self.scaled_cross(a, b) for a, b in combinations_with_replacement(VALUES, 2)}
        for (a, b), value in scaled.items():
            if a == b and value < 0:
                raise ImpossibleSumsError(_message(self, a, b, "a sum of squares is too small for its sum"))
            if self.n == 1 and value != 0:
                raise ImpossibleSumsError(
                    _message(self, a, b, "one user's product is the product of his values")
                )
            if value * value > scaled[a, a] * scaled[b, b]:
                raise ImpossibleSumsError(_message(self, a, b, "a covariance exceeds its variances"))


def _message(moments: Moments, left: str, right: str, rule: str) -> str:
    names = dict.fromkeys((left, right, left + left, left + right, right + right))
    shown = ", ".join(f"sum_{name} = {moments.sum_of(name)}" for name in names)
    return f"no sample has n = {moments.n}, {shown}: {rule}"
