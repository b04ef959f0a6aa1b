"""The users behind the golden numbers: (y, d, x, e) in whole micro-units, made by Python's own generator.

``random.Random`` gives the same numbers in every version of Python, so nothing needs to be stored.
"""

from __future__ import annotations

from random import Random

User = tuple[int, int, int, int]
MICROS = 10**6


def arms() -> dict[str, tuple[str, list[User], list[User]]]:
    """Name of the case: its kind, the control's users and the treatment's."""
    chance = Random(20_261_122)

    def revenue(n: int, factor: float) -> list[User]:
        users = []
        for _ in range(n):
            taste = chance.lognormvariate(1.0, 1.0)
            x = taste * chance.lognormvariate(0.0, 0.4) if chance.random() < 0.4 else 0.0
            y = factor * taste * chance.lognormvariate(0.0, 0.4) if chance.random() < 0.4 else 0.0
            users.append((round(y * MICROS), MICROS * (y > 0), round(x * MICROS), MICROS * (x > 0)))
        return users

    def converted(n: int, share: float) -> list[User]:
        users = []
        for _ in range(n):
            regular = chance.random() < 0.5
            y = chance.random() < share * (1.5 if regular else 0.5)
            x = chance.random() < (0.3 if regular else 0.05)
            users.append((MICROS * y, MICROS * y, MICROS * x, MICROS * x))
        return users

    def per_session(n: int, factor: float) -> list[User]:
        users = []
        for _ in range(n):
            taste, d, e = (
                chance.gammavariate(4, 1),
                1 + int(chance.expovariate(0.4)),
                int(chance.expovariate(0.4)),
            )
            y = factor * d * taste * chance.lognormvariate(0, 0.3)
            x = e * taste * chance.lognormvariate(0, 0.3)
            users.append((round(y * MICROS), MICROS * d, round(x * MICROS), MICROS * e))
        return users

    def around(centre: int, n: int, shift: float) -> list[User]:
        users = []
        for _ in range(n):
            level = chance.gauss(0, 1)
            y, x = level + shift + chance.gauss(0, 0.5), level + chance.gauss(0, 0.5)
            users.append(
                (centre * MICROS + round(y * MICROS), MICROS, centre * MICROS + round(x * MICROS), MICROS)
            )
        return users

    def with_an_outlier(n: int, shift: float, outlier: int) -> list[User]:
        users = [(round((1 + shift + chance.gauss(0, 0.01)) * MICROS), MICROS, 0, 0) for _ in range(n - 1)]
        return [*users, (outlier * MICROS, MICROS, 0, 0)]

    return {
        "revenue": ("mean", revenue(300, 1.0), revenue(450, 1.4)),
        "revenue_few": ("mean", revenue(12, 1.0), revenue(5, 3.0)),
        "converted": ("proportion", converted(400, 0.1), converted(380, 0.16)),
        "converted_rarely": ("proportion", converted(60, 0.05), converted(90, 0.1)),
        "per_session": ("ratio", per_session(250, 1.0), per_session(350, 1.1)),
        "around_1e9": ("mean", around(10**9, 200, 0.0), around(10**9, 260, 0.3)),
        "epoch_milliseconds": (
            "mean",
            around(1_800_000_000_000, 150, 0.0),
            around(1_800_000_000_000, 140, 0.4),
        ),
        "one_outlier": ("mean", with_an_outlier(100, 0.0, 10**7), with_an_outlier(90, 0.1, 1)),
        "far_apart": ("mean", around(10, 800, 0.0), around(10, 700, 3.0)),
        "farther_apart": ("mean", around(10, 1500, 0.0), around(10, 1600, 4.0)),
    }
