"""The exact numbers behind a decision as JSON, and back: what a decision is computed from again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.scorecard.rows import Answered, Card
from udfs.stats import Allocation, Comparison, Moments

PLAIN = ("kind", "has_covariate", "alpha", "direction", "planned_units", "margin", "margin_abs", "stop_level")
"""Attributes of a comparison that are taken as they are."""


def comparison_json(answered: Answered) -> dict[str, Any]:
    """A comparison with the sums of every version; sums as text, because JSON readers round large numbers."""
    comparison = answered.comparison
    return {
        "metric_id": answered.row["metric_id"],
        **{name: getattr(comparison, name) for name in PLAIN},
        "shares": comparison.shares,
        "strata": [
            {
                "config_version": version,
                "control": _moments_json(control),
                "treatment": _moments_json(treated),
            }
            for version, (control, treated) in zip(
                answered.question.subject.versions, comparison.strata, strict=True
            )
        ],
    }


def comparison_of(content: Mapping[str, Any]) -> Comparison:
    """Undoes ``comparison_json``."""
    return Comparison(
        **{name: content[name] for name in PLAIN},
        shares=tuple(content["shares"]),
        strata=tuple((_moments(each["control"]), _moments(each["treatment"])) for each in content["strata"]),
    )


def allocations_json(card: Card, allocations: Sequence[Allocation]) -> list[dict[str, Any]]:
    """Users and weights of every version that has slots."""
    versions = sorted({group.config_version for group in card.book.totals} & card.book.definitions.keys())
    return [
        {"config_version": version, "counts": dict(each.counts), "weights": dict(each.weights)}
        for version, each in zip(versions, allocations, strict=True)
    ]


def allocations_of(content: Sequence[Mapping[str, Any]]) -> list[Allocation]:
    """Undoes ``allocations_json``."""
    return [Allocation(each["counts"], each["weights"]) for each in content]


def _moments_json(moments: Moments) -> dict[str, Any]:
    return {"n": moments.n, "sums": [str(each) for each in moments.sums]}


def _moments(content: Mapping[str, Any]) -> Moments:
    return Moments(content["n"], tuple(map(int, content["sums"])))
