"""A decision computed again from the sums it was made of."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from jobs.scorecard.inputs import allocations_of, comparison_of
from udfs.stats import Comparison, Undetermined, compare, leaked_users, sample_ratio
from udfs.stats.decisions import INVALID_ALPHA, Goal, borne_out, is_harm, is_invalid, may_ship

AGREEMENT = 1e-9
"""Relative: another version of numpy may round the last digit in another way."""


def disagreements(decision: Mapping[str, Any]) -> list[str]:
    """What the stored sums do not bear out, in words; empty when the decision is what they say."""
    inputs = json.loads(decision["inputs"])
    kinds: Mapping[str, Callable[[Mapping[str, Any]], tuple[dict[str, Any], bool]]] = {
        "stop": _stop,
        "invalid": _invalid,
        "ship": _ship,
    }
    numbers, is_due = kinds[decision["kind"]](inputs)
    found = [
        f"{name} is {value!r} by the sums, {decision[name]!r} in the record"
        for name, value in numbers.items()
        if not _agree(value, decision[name])
    ]
    return found if is_due else [*found, f"the sums do not call for {decision['kind']}"]


def _stop(inputs: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    comparison = comparison_of(inputs["comparison"])
    found = _compared(comparison)
    level, log_e = comparison.stop_level, found["harm_log_e"]
    numbers = _numbers(found) | {
        "distance": found["distance"],
        "bound": found["distance_upper"],
        "level": level,
        "log_e": log_e,
    }
    return numbers, level is not None and bool(is_harm(borne_out(inputs["log_p_min"], log_e), level))


def _invalid(inputs: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    allocations = allocations_of(inputs["allocations"])
    found = sample_ratio(allocations)
    log_e = None if isinstance(found, Undetermined) else found.log_e_value
    numbers = {"level": INVALID_ALPHA, "log_e": log_e}
    return numbers, bool(is_invalid(borne_out(inputs["log_p_min"], log_e), leaked_users(allocations)))


def _ship(inputs: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    comparison = comparison_of(inputs["comparison"])
    found = _compared(comparison)
    safe = [
        borne_out(
            inputs["noninferior_log_p"][guardrail["metric_id"]],
            _compared(comparison_of(guardrail))["noninferior_log_e"],
        )
        for guardrail in inputs["guardrails"]
    ]
    goals = [Goal(log_p, is_good) for log_p, is_good in inputs["goals"]]
    is_due = may_ship(
        Goal(borne_out(inputs["log_p_adjusted"], found["seq_log_e"]), is_good=True),
        goals,
        safe,
        alpha=comparison.alpha,
        is_sound=True,
        days=inputs["days"],
        min_days=inputs["min_days"],
    )
    return _numbers(found) | {"level": comparison.alpha, "log_e": found["seq_log_e"]}, is_due


def _compared(comparison: Comparison) -> Mapping[str, Any]:
    return next(compare([comparison]).rows())


def _numbers(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in ("n_control", "n_treatment", "abs_diff")}


def _agree(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=AGREEMENT, abs_tol=1e-12)
