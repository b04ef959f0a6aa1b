"""Evaluate every formula of docs/statistics.md from single users in 60 digits and write exact.json.

Nothing of udfs/stats is used: moments by their definition over users, Student's tail by mpmath's incomplete
beta function, quantiles and bounds by root finding. Run: python -m tests.golden.stats.make_exact
"""

from __future__ import annotations

import json
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import mpmath as mp

from tests.golden.stats.samples import MICROS, User, arms

mp.mp.dps = 60
ALPHA = mp.mpf("0.05")
PLANNED_UNITS, SHARES = 2000, ("0.5", "0.5")
MARGIN, PRIOR_SD, POWER = mp.mpf("0.02"), mp.mpf("0.3"), mp.mpf("0.8")


def student_tail(t: Any, df: Any) -> Any:
    """Two-sided P(|T| >= |t|), by the hypergeometric form that keeps its digits however small it is."""
    x = df / (df + t * t)
    front = x ** (df / 2) * mp.sqrt(1 - x) / (df / 2 * mp.beta(df / 2, mp.mpf(1) / 2))
    return front * mp.hyp2f1(df / 2 + mp.mpf(1) / 2, 1, df / 2 + 1, x)


def student_critical(alpha: Any, df: Any) -> Any:
    return mp.findroot(lambda t: mp.log(student_tail(t, df)) - mp.log(alpha), mp.mpf(2) + 3 / df)


def mean(values: list[Any]) -> Any:
    return mp.fsum(values) / len(values)


def covariance(left: list[Any], right: list[Any]) -> Any:
    a, b = mean(left), mean(right)
    return mp.fsum((u - a) * (v - b) for u, v in zip(left, right, strict=True)) / (len(left) - 1)


def per_user(kind: str, users: list[User]) -> tuple[Any, Any, list[Any], list[Any]]:
    """The arm's outcome and covariate, and each user's values around them."""
    y, d, x, e = ([mp.mpf(value) / MICROS for value in column] for column in zip(*users, strict=True))
    if kind != "ratio":
        return mean(y), mean(x), y, x
    post, pre = mp.fsum(y) / mp.fsum(d), mp.fsum(x) / mp.fsum(e)
    linear_y = [(a - post * b) / mean(d) for a, b in zip(y, d, strict=True)]
    linear_x = [(a - pre * b) / mean(e) for a, b in zip(x, e, strict=True)]
    return post, pre, linear_y, linear_x


def fieller(m_c: Any, m_t: Any, v_c: Any, v_t: Any, k: Any) -> tuple[Any, Any] | None:
    """The lifts r with (m_T - (1+r) m_C)^2 = k^2 (V_T + (1+r)^2 V_C): a quadratic in 1 + r."""
    a, b, c = m_c**2 - k**2 * v_c, m_c * m_t, m_t**2 - k**2 * v_t
    if a <= 0:
        return None
    root = mp.sqrt(b**2 - a * c)
    return (b - root) / a - 1, (b + root) / a - 1


def normal_density(z: Any) -> Any:
    return mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi)


def upper(z: Any) -> Any:
    return mp.erfc(z / mp.sqrt(2)) / 2


def expected(kind: str, control: list[User], treatment: list[User]) -> dict[str, Any]:
    n_c, n_t = mp.mpf(len(control)), mp.mpf(len(treatment))
    m_c, x_c, y_c, z_c = per_user(kind, control)
    m_t, x_t, y_t, z_t = per_user(kind, treatment)
    found: dict[str, Any] = {"mean_control": m_c, "mean_treatment": m_t, "abs_diff": m_t - m_c}

    def welch(diff: Any, v_c: Any, v_t: Any) -> tuple[Any, Any, Any]:
        df = (v_c + v_t) ** 2 / (v_c**2 / (n_c - 1) + v_t**2 / (n_t - 1))
        se = mp.sqrt(v_c + v_t)
        return student_tail(diff / se, df), student_critical(ALPHA, df), se

    v_c, v_t = covariance(y_c, y_c) / n_c, covariance(y_t, y_t) / n_t
    p, k, se = welch(m_t - m_c, v_c, v_t)
    found |= {"p_value": p, "log_p_value": mp.log(p)}
    found |= {"abs_ci_lower": m_t - m_c - k * se, "abs_ci_upper": m_t - m_c + k * se}
    lift = fieller(m_c, m_t, v_c, v_t, k)
    found["rel_diff"] = m_t / m_c - 1
    if lift is not None:
        found |= {"rel_ci_lower": lift[0], "rel_ci_upper": lift[1]}

    _, pooled_x, both_y, both_z = per_user(kind, control + treatment)
    has_covariate = covariance(both_z, both_z) > 0
    theta = covariance(both_y, both_z) / covariance(both_z, both_z) if has_covariate else mp.mpf(0)
    a_c = [a - theta * b for a, b in zip(y_c, z_c, strict=True)]
    a_t = [a - theta * b for a, b in zip(y_t, z_t, strict=True)]
    both = [a - theta * b for a, b in zip(both_y, both_z, strict=True)]
    w_c, w_t = covariance(a_c, a_c) / n_c, covariance(a_t, a_t) / n_t
    if kind == "ratio":
        adj_c, adj_t = m_c - theta * (x_c - pooled_x), m_t - theta * (x_t - pooled_x)
    else:
        adj_c, adj_t = mean(a_c) + theta * pooled_x, mean(a_t) + theta * pooled_x
    if has_covariate:
        q, k2, se2 = welch(adj_t - adj_c, w_c, w_t)
        found |= {"cuped_abs_diff": adj_t - adj_c, "cuped_p_value": q, "cuped_theta": theta}
        found |= {"cuped_ci_lower": adj_t - adj_c - k2 * se2, "cuped_ci_upper": adj_t - adj_c + k2 * se2}
        found["variance_reduction"] = 1 - (w_c + w_t) / (v_c + v_t)

    # Sequential: robust variance, mixture precision, the two-sided and one-sided e-values.
    pooled = covariance(both, both) * (1 / n_c + 1 / n_t)
    factor = max(mp.mpf(1), pooled / (w_c + w_t))
    r_c, r_t = w_c * factor, w_t * factor
    diff, sse = adj_t - adj_c, mp.sqrt(r_c + r_t)
    t = 4 / (1 / n_c + 1 / n_t)
    share_c, share_t = (mp.mpf(share) for share in SHARES)
    planned = 4 / (1 / (PLANNED_UNITS * share_c) + 1 / (PLANNED_UNITS * share_t))

    def precision(alpha: Any) -> Any:
        return (-2 * mp.log(alpha) + mp.log(1 - 2 * mp.log(alpha))) / planned

    rho2 = precision(ALPHA)
    multiplier = mp.sqrt(2 * (t * rho2 + 1) / (t * rho2) * mp.log(mp.sqrt(t * rho2 + 1) / ALPHA))
    log_e = t * rho2 * (diff / sse) ** 2 / (2 * (t * rho2 + 1)) - mp.log(t * rho2 + 1) / 2
    found |= {"seq_log_e": log_e, "seq_p_value": min(mp.mpf(1), mp.exp(-log_e))}
    found |= {"seq_ci_lower": diff - multiplier * sse, "seq_ci_upper": diff + multiplier * sse}
    lift = fieller(adj_c, adj_t, r_c, r_t, multiplier)
    if lift is not None:
        found |= {"seq_rel_ci_lower": lift[0], "seq_rel_ci_upper": lift[1]}

    one = precision(2 * ALPHA) * t
    spread = mp.sqrt(r_t + (1 - MARGIN) ** 2 * r_c)
    for name, sign in (("harm_p_value", -1), ("noninferior_p_value", 1)):
        z = sign * (adj_t - (1 - MARGIN) * adj_c) / spread
        # The one-sided mixture by integration: a half-normal prior with precision 1/one in units of z.
        mixed = mp.quad(
            lambda m, z=z: 2 * normal_density(m / mp.sqrt(one)) / mp.sqrt(one) * mp.exp(m * z - m * m / 2),
            [0, max(z, 0), max(z, 0) + 5, max(z, 0) + 40],
        )
        found[name] = min(mp.mpf(1), 1 / mixed)

    if found.get("rel_ci_lower") is not None:
        best, b_c, b_t = (diff, w_c, w_t) if has_covariate else (m_t - m_c, v_c, v_t)
        base, top = (adj_c, adj_t) if has_covariate else (m_c, m_t)
        error2 = b_t / base**2 + b_c * top**2 / base**4
        weight = 1 / error2 + 1 / PRIOR_SD**2
        mu, sd = best / base / error2 / weight, 1 / mp.sqrt(weight)
        found |= {"posterior_lift": mu, "chance_to_win": upper(-mu / sd)}
        found["expected_loss"] = sd * normal_density(mu / sd) - mu * upper(mu / sd)
        quantile = -mp.sqrt(2) * mp.erfinv(ALPHA - 1)
        found |= {"posterior_ci_lower": mu - quantile * sd, "posterior_ci_upper": mu + quantile * sd}
        found["mde"] = (multiplier + mp.sqrt(2) * mp.erfinv(2 * POWER - 1)) * sse / abs(base)
    return found


def sums(users: list[User]) -> list[int]:
    columns = list(zip(*users, strict=True))
    products = combinations_with_replacement(columns, 2)
    return [
        *(sum(column) for column in columns),
        *(sum(a * b for a, b in zip(left, right, strict=True)) for left, right in products),
    ]


def main() -> None:
    cases = {}
    for name, (kind, control, treatment) in arms().items():
        values = {column: mp.nstr(value, 20) for column, value in expected(kind, control, treatment).items()}
        cases[name] = {
            "kind": kind,
            "control": {"n": len(control), "sums": [str(value) for value in sums(control)]},
            "treatment": {"n": len(treatment), "sums": [str(value) for value in sums(treatment)]},
            "expected": values,
        }
        print(name, values["p_value"], values["seq_log_e"])
    tails = []
    for df in ("3", "12.5", "80", "1000", "30000", "inf"):
        for t in ("0.01", "1", "3", "8.5", "20", "37", "40", "75"):
            p = mp.erfc(mp.mpf(t) / mp.sqrt(2)) if df == "inf" else student_tail(mp.mpf(t), mp.mpf(df))
            tails.append({"df": df, "t": t, "p": mp.nstr(p, 20), "log_p": mp.nstr(mp.log(p), 20)})
    content = {
        "made_by": "tests/golden/stats/make_exact.py",
        "versions": {"mpmath": mp.__version__},
        "settings": {
            "alpha": 0.05,
            "planned_units": PLANNED_UNITS,
            "shares": [float(share) for share in SHARES],
            "margin": float(MARGIN),
        },
        "tails": tails,
        "cases": cases,
    }
    Path(__file__).with_name("exact.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
