"""Experiments for tests of the console: rows as the scorecard job writes them, and definitions to match."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from clickhouse_connect.driver.client import Client

from infra.console import figures
from infra.console.definitions import Definition, Version
from infra.console.reading import Metric

BEGINNING = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
A_DAY_LATER = BEGINNING + timedelta(days=1)
NOW = BEGINNING + timedelta(days=6)

REVENUE = Metric("revenue", "mean", "goal", "increase", cap=500.0, window_days=7.0)
CONVERTED = Metric("converted", "proportion", "goal", "increase")
LATENCY = Metric("latency_ms", "mean", "guardrail", "decrease", margin=0.02, stop=True)
REFUNDED = Metric("refunded", "proportion", "secondary", "decrease")


def a_result(**changes: Any) -> dict[str, Any]:
    """Revenue, 0.9 % to 5.3 % higher at any look."""
    return {
        "tenant_id": "acme",
        "epoch": 0,
        "experiment_id": "checkout-button",
        "config_version": 0,
        "view": "all",
        "policy": "first_seen",
        "segment": "",
        "metric_id": "revenue",
        "treatment_variant": "treatment",
        "control_variant": "control",
        "n_control": 92_100,
        "n_treatment": 92_111,
        "mean_control": 4.8,
        "mean_treatment": 4.9488,
        "abs_diff": 0.1488,
        "abs_ci_lower": 0.0768,
        "abs_ci_upper": 0.2208,
        "rel_diff": 0.031,
        "rel_ci_lower": 0.016,
        "rel_ci_upper": 0.046,
        "p_value": 0.0001,
        "small_ci_lower": None,
        "small_ci_upper": None,
        "cuped_abs_diff": None,
        "cuped_ci_lower": None,
        "cuped_ci_upper": None,
        "cuped_p_value": None,
        "cuped_theta": None,
        "variance_reduction": None,
        "seq_ci_lower": 0.0432,
        "seq_ci_upper": 0.2544,
        "seq_rel_diff": 0.031,
        "seq_rel_ci_lower": 0.009,
        "seq_rel_ci_upper": 0.053,
        "seq_p_value": 0.0021,
        "seq_p_min": 0.0021,
        "crossed_at": A_DAY_LATER,
        "seq_log_e": 6.2,
        "seq_basis": "matured",
        "p_adjusted": 0.0042,
        "chance_to_win": 0.996,
        "expected_loss": 0.0001,
        "mde": 0.02,
        "days_left": 4.2,
        "crossed_p_value": 0.4,
        "status": "ok",
        "reason": "",
        "as_of": NOW,
        "computed_at": NOW,
        "covers_from": BEGINNING,
        "regions": ["local"],
        "slot_updates": 1,
        "version": 1,
    } | changes


def moved(
    share: float, half: float, *, mean: float = 4.8, looks: float = 1.5, **changes: Any
) -> dict[str, Any]:
    """A result whose difference is ``share`` of the mean, its one-look interval ``half`` to either side."""
    return a_result(
        mean_control=mean,
        mean_treatment=mean * (1 + share),
        abs_diff=mean * share,
        abs_ci_lower=mean * (share - half),
        abs_ci_upper=mean * (share + half),
        rel_diff=share,
        rel_ci_lower=share - half,
        rel_ci_upper=share + half,
        seq_ci_lower=mean * (share - looks * half),
        seq_ci_upper=mean * (share + looks * half),
        seq_rel_diff=share,
        seq_rel_ci_lower=share - looks * half,
        seq_rel_ci_upper=share + looks * half,
        **changes,
    )


def open_result(**changes: Any) -> dict[str, Any]:
    """Converted, 1.9 % lower to 4.5 % higher."""
    given = {
        "metric_id": "converted",
        "crossed_at": None,
        "seq_p_value": 0.41,
        "seq_p_min": 0.2,
        "p_adjusted": 0.41,
        "chance_to_win": 0.78,
    }
    return moved(0.013, 0.0213, mean=0.1182, **(given | changes))


def undetermined(reason: str, **changes: Any) -> dict[str, Any]:
    """A result without an answer."""
    absent = {
        name: None
        for name in a_result()
        if name.startswith(("abs_", "rel_", "seq_", "p_", "cuped_", "chance", "expected", "mde", "days"))
    }
    return a_result(status="undetermined", reason=reason, crossed_at=None, **(absent | changes))


def a_segment(segment: str, share: float, half: float, users: int) -> dict[str, Any]:
    """One value of a dimension: a question asked once."""
    row = moved(share, half, segment=segment, n_control=users // 2, n_treatment=users - users // 2)
    absent = {name: None for name in row if name.startswith("seq_") or name in ("p_adjusted", "crossed_at")}
    return row | absent | {"reason": "one_look_only"}


def a_ratio(**changes: Any) -> dict[str, Any]:
    """Users spread as declared."""
    return {
        "tenant_id": "acme",
        "epoch": 0,
        "experiment_id": "checkout-button",
        "segment": "",
        "bots": "excluded",
        "variants": ["control", "treatment"],
        "counts": [92_100, 92_111],
        "expected": [92_105.5, 92_105.5],
        "chi2_p_value": 0.98,
        "seq_p_value": 1.0,
        "seq_p_min": 0.9,
        "status": "ok",
        "reason": "",
        "as_of": NOW,
        "computed_at": NOW,
        "slot_updates": 1,
        "version": 1,
    } | changes


def a_decision(**changes: Any) -> dict[str, Any]:
    """Stopped because of latency."""
    return {
        "decision_id": "d-1",
        "tenant_id": "acme",
        "epoch": 0,
        "experiment_id": "checkout-button",
        "config_version": 1,
        "kind": "stop",
        "metric_id": "latency_ms",
        "treatment_variant": "treatment",
        "control_variant": "control",
        "decided_at": A_DAY_LATER,
        "as_of": A_DAY_LATER,
        "crossed_at": A_DAY_LATER,
        "n_control": 15_000,
        "n_treatment": 15_010,
        "abs_diff": 21.0,
        "distance": -15.0,
        "bound": -2.0,
        "margin": 0.02,
        "margin_abs": None,
        "level": 0.05,
        "log_e": 4.1,
        "message": "latency_ms is beyond its margin of 2 %; an estimate at a stop is biased away from zero.",
        "inputs": '{"versions": {"1": {"control": {"n": 15000}}}}',
        "version": 1,
    } | changes


def a_slot(variant: str, users: int, **changes: Any) -> dict[str, Any]:
    """Users of a variant by first exposure."""
    sums = ("y", "d", "x", "e", "yy", "yd", "yx", "ye", "dd", "dx", "de", "xx", "xe", "ee")
    return {
        "tenant_id": "acme",
        "epoch": 0,
        "experiment_id": "checkout-button",
        "config_version": 1,
        "variant_id": variant,
        "metric_id": "",
        "segment": "",
        "cohort": NOW - timedelta(hours=2),
        "unit_class": "clean",
        "region": "local",
        "n": users,
        **{f"sum_{name}": 0 for name in sums},
        "as_of": NOW,
        "updates": 1,
        "source_partition": 0,
        "source_offset": 1,
        "version": 1,
    } | changes


def a_ledger_minute(**changes: Any) -> dict[str, Any]:
    """A minute in which some of everything happened; it balances."""
    return {
        "tenant_id": "acme",
        "epoch": 0,
        "topic": "livelift.acme.outcomes",
        "minute": NOW - timedelta(minutes=1),
        "received": 2_418_330,
        "counted": 2_401_877,
        "duplicate": 11_920,
        "waiting": 4_502,
        "expired_unmatched": 0,
        "unreadable": 20,
        "mismatch": 0,
        "bad_value": 11,
        "from_future": 0,
        "too_late": 0,
        "unknown_definition": 0,
        "unknown_variant": 0,
        "ended": 0,
        "late": 412,
        "as_of": NOW,
        "updates": 1,
        "source_partition": 0,
        "source_offset": 1,
        "version": 1,
    } | changes


def a_version(number: int = 1, *metrics: Metric) -> Version:
    """A config version with two equal arms."""
    return Version(
        config_version=number,
        published_at=BEGINNING + timedelta(days=number - 1),
        shares={"control": 0.5, "treatment": 0.5},
        alpha=0.05,
        ended_at=None,
        metrics=metrics or (REVENUE, CONVERTED, LATENCY, REFUNDED),
    )


def a_definition(*versions: Version, experiment_id: str = "checkout-button") -> Definition:
    """An experiment of acme."""
    return Definition("acme", experiment_id, versions or (a_version(),))


def written(text: str) -> str:
    """As one writes it with a keyboard: plain spaces, and backticks around what is set apart."""
    return text.replace(figures.SPACE, " ").replace(figures.BEGIN, "`").replace(figures.END, "`")


def insert(client: Client, table: str, *rows: dict[str, Any]) -> None:
    """Put rows into a table as they are."""
    names = list(rows[0])
    client.insert(table, [[row[name] for name in names] for row in rows], column_names=names)
