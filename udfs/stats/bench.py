"""How many full comparisons a second one core makes: python -m udfs.stats.bench

A full comparison has every column of ``results``: Welch, Fieller, CUPED, the sequential test, Holm,
guardrails, Bayes and planning. Time is the processor's, so other programs on the machine do not count.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle, islice
from time import process_time

import numpy as np

from udfs.stats.central import CentralMoments, pairs_of
from udfs.stats.compare import compare_pairs
from udfs.stats.moments import VALUES, Moments
from udfs.stats.pairs import Kind, Pairs
from udfs.stats.questions import Questions

ROWS = 20_000
MIX: tuple[Kind, ...] = ("mean", "mean", "proportion", "ratio")
"""Metrics as an experiment has them; three of four are means or proportions."""


def rates() -> dict[str, float]:
    """Comparisons a second by what they start from; the best of several rounds."""
    found = {f"central moments, {kind}": _rate(_from_central(kind)) for kind in ("mean", "ratio")}
    for kind in dict.fromkeys(MIX):
        found[f"integer sums, {kind}"] = _rate(_from_sums((kind,)))
    found["integer sums, two means, a proportion, a ratio"] = _rate(_from_sums(MIX))
    return found


def _rate(work: Callable[[], object], rounds: int = 5) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = process_time()
        work()
        best = min(best, process_time() - start)
    return ROWS / best


def _questions(proportion: bool) -> Questions:
    return Questions(
        proportion=proportion,
        has_covariate=True,
        planned=50_000.0,
        planned_users=50_000.0,
        family=np.arange(ROWS) // 4,
        users_per_day=1000.0,
    )


def _arm(rng: np.random.Generator, kind: Kind) -> Moments:
    """Three hundred users with a visit or more and a taste that lasts."""
    users = 300
    taste = rng.gamma(2.0, 3.0, users)
    d, e = 1.0 + rng.poisson(2.0, users), 1.0 + rng.poisson(2.0, users)
    y, x = taste * d + rng.gamma(2.0, 1.0, users), taste * e
    if kind == "proportion":
        y, x = np.where(y > 20.0, 1.0, 0.0), np.where(x > 20.0, 1.0, 0.0)
    return Moments.from_units(y.tolist(), d.tolist(), x.tolist(), e.tolist())


def _from_sums(kinds: tuple[Kind, ...]) -> Callable[[], object]:
    rng = np.random.default_rng(1)
    arms = {kind: [_arm(rng, kind) for _ in range(40)] for kind in kinds}
    asked = list(islice(cycle(kinds), ROWS))
    pairs = [(arms[kind][row % 40], arms[kind][(7 * row + 3) % 40]) for row, kind in enumerate(asked)]
    questions = _questions("proportion" in kinds)
    return lambda: compare_pairs(Pairs.from_moments(pairs, asked), questions)


def _from_central(kind: Kind) -> Callable[[], object]:
    rng = np.random.default_rng(2)
    arms = [_arm(rng, kind) for _ in range(40)]
    pairs = [(first, second) for first in range(4) for second in range(first, 4)]
    means = np.array([[arm.mean(value) for arm in arms] for value in VALUES])
    covariances = np.array([[arm.covariance(VALUES[a], VALUES[b]) for arm in arms] for a, b in pairs])
    columns = [np.arange(ROWS) % 40, (7 * np.arange(ROWS) + 3) % 40]
    control, treatment = (
        CentralMoments(np.full(ROWS, 300.0), means[:, column], covariances[:, column]) for column in columns
    )
    return lambda: compare_pairs(pairs_of(control, treatment, kind), _questions(False))


def main() -> None:
    """Print the table."""
    for name, rate in rates().items():
        print(f"{rate:12,.0f} comparisons/s  from {name}")


if __name__ == "__main__":
    main()
