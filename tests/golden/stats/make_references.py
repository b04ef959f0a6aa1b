"""Ask scipy, statsmodels and tea-tasting the questions they answer too, and write references.json.

Run: python -m tests.golden.stats.make_references
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import scipy
import statsmodels
import tea_tasting as tt
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from tests.golden.stats.samples import MICROS, User, arms

TEA_CASES = ("revenue", "revenue_few", "converted", "per_session", "far_apart")


def scipy_welch(control: list[User], treatment: list[User]) -> dict[str, float]:
    y_c, y_t = (np.array([user[0] / MICROS for user in users]) for users in (control, treatment))
    test = stats.ttest_ind(y_t, y_c, equal_var=False)
    interval = test.confidence_interval(0.95)
    return {"p_value": test.pvalue, "abs_ci_lower": interval.low, "abs_ci_upper": interval.high}


def tea_tasting(kind: str, control: list[User], treatment: list[User]) -> dict[str, float]:
    frame = pd.DataFrame([*control, *treatment], columns=["y", "d", "x", "e"]) / MICROS
    frame["variant"] = [0] * len(control) + [1] * len(treatment)
    settings: dict[str, Any] = {"use_t": True, "equal_var": False}
    if kind == "ratio":
        raw = tt.RatioOfMeans("y", "d", **settings)
        cuped = tt.RatioOfMeans("y", "d", "x", "e", **settings)
    else:
        raw, cuped = tt.Mean("y", **settings), tt.Mean("y", "x", **settings)
    found = tt.Experiment(raw=raw, cuped=cuped).analyze(frame)
    answers = {}
    for prefix, result in (("", found["raw"]), ("cuped_", found["cuped"])):
        answers[f"{prefix}abs_diff"] = result.effect_size
        answers[f"{prefix}p_value"] = result.pvalue
        answers[f"{prefix}ci_lower"] = result.effect_size_ci_lower
        answers[f"{prefix}ci_upper"] = result.effect_size_ci_upper
    answers["log_interval_lower"] = found["raw"].rel_effect_size_ci_lower
    answers["log_interval_upper"] = found["raw"].rel_effect_size_ci_upper
    return {name: float(value) for name, value in answers.items()}


def adjusted_p() -> list[dict[str, Any]]:
    chance = Random(3)
    cases = []
    for size in (1, 2, 5, 12, 40):
        p = [round(chance.random() ** chance.choice([1, 4, 9]), 12) for _ in range(size)]
        p[-1] = p[0]
        methods = {"holm": "holm", "bonferroni": "bonferroni", "bh": "fdr_bh", "by": "fdr_by"}
        cases.append(
            {"p": p} | {name: multipletests(p, method=theirs)[1].tolist() for name, theirs in methods.items()}
        )
    return cases


def proportions() -> list[dict[str, Any]]:
    cases = []
    for control, treatment in (
        ((0, 30), (0, 40)),
        ((1, 20), (3, 25)),
        ((5, 50), (0, 50)),
        ((40, 40), (39, 40)),
    ):
        interval = confint_proportions_2indep(*treatment, *control, method="newcomb")
        wilson = proportion_confint(*control, method="wilson")
        cases.append({"control": control, "treatment": treatment, "newcombe": interval, "wilson": wilson})
    return cases


def users_needed() -> list[dict[str, float]]:
    cases = []
    for effect, ratio, alpha, power in (
        (0.1, 1.0, 0.05, 0.8),
        (0.03, 4.0, 0.01, 0.9),
        (0.5, 0.5, 0.001, 0.7),
    ):
        control = NormalIndPower().solve_power(effect, None, alpha, power, ratio=ratio)
        cases.append(
            {"effect": effect, "ratio": ratio, "alpha": alpha, "power": power, "users": control * (1 + ratio)}
        )
    return cases


def main() -> None:
    warnings.simplefilter("ignore")
    samples = arms()
    content = {
        "made_by": "tests/golden/stats/make_references.py",
        "versions": {
            "scipy": scipy.__version__,
            "statsmodels": statsmodels.__version__,
            "tea-tasting": tt.__version__,
        },
        "scipy_welch": {
            name: scipy_welch(control, treatment)
            for name, (kind, control, treatment) in samples.items()
            if kind != "ratio"
        },
        "tea_tasting": {name: tea_tasting(*samples[name]) for name in TEA_CASES},
        "adjusted_p": adjusted_p(),
        "proportions": proportions(),
        "users_needed": users_needed(),
        "chi_square": [
            {
                "counts": counts,
                "weights": weights,
                "p": stats.chisquare(counts, np.array(weights) * sum(counts)).pvalue,
            }
            for counts, weights in (
                ([5000, 5200], [0.5, 0.5]),
                ([900, 80, 20], [0.9, 0.08, 0.02]),
                ([3, 9], [0.5, 0.5]),
            )
        ],
    }
    content["homogeneity"] = [
        {
            "crossed": crossed,
            "users": users,
            "p": stats.chi2_contingency(
                [crossed, [n - k for n, k in zip(users, crossed, strict=True)]], correction=False
            ).pvalue,
        }
        for crossed, users in (([30, 50], [1000, 1100]), ([3, 9, 4], [100, 90, 120]))
    ]
    Path(__file__).with_name("references.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
