"""A real, published A/B test goes through the whole pipeline and comes out with its published numbers.

The data: Cookie Cats (Tactile Entertainment, published for teaching), 90,189 players, with facts computed by
scipy 1.17. It has no times, so each player is exposed and plays now.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config.settings import ROOT
from infra.reconciliation import reconcile
from infra.verification import verify
from tests.running_stack import RunningStack
from udfs.attribution.reference import LedgerEntry

# After those that compare everything there is: they would read its 240,000 records again each time.
pytestmark = pytest.mark.stack(turn=1)

DATA = Path(os.environ.get("COOKIE_CATS", ROOT.parent / "shared" / "data" / "cookie_cats.csv.gz"))

TENANT = "tactile"
EXPERIMENT = "gate-level"
DEFINITION = f"""
tenant_id: {TENANT}
experiment_id: {EXPERIMENT}
variants: {{gate_30: 1, gate_40: 1}}
planned_units: 90000
metrics:
  - {{id: sum_gamerounds, kind: mean}}
  - {{id: retention_1, kind: proportion}}
  - {{id: retention_7, kind: proportion}}
"""

PLAYERS = {"gate_30": 44_700, "gate_40": 45_489}
CHI_SQUARE_P = 0.008607987810836262
WELCH_P = {
    "retention_1": 0.07441443713953834,
    "retention_7": 0.001556530181006654,
    "sum_gamerounds": 0.3759243840932616,
}


@pytest.fixture(scope="module")
def players() -> list[dict[str, str]]:
    assert DATA.is_file(), f"{DATA} is missing: set COOKIE_CATS to the file"
    with gzip.open(DATA, "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def published(stack: RunningStack, players: list[dict[str, str]], tmp_path_factory: Any) -> RunningStack:
    folder: Path = tmp_path_factory.mktemp("cookie_cats")
    now_ms = time.time_ns() // 1_000_000
    (folder / "definition.yaml").write_text(DEFINITION)
    _write(folder / "assignments.ndjson", _assignments(players, now_ms))
    _write(folder / "outcomes.ndjson", _outcomes(players, now_ms))
    for arguments in (
        ("define", str(folder / "definition.yaml")),
        # Outcomes first: those that come before their exposure wait for it.
        ("publish", "outcomes", str(folder / "outcomes.ndjson")),
        ("publish", "assignments", str(folder / "assignments.ndjson")),
        ("wait", "--timeout", "240"),
    ):
        done = stack.livelift(*arguments, timeout_s=300)
        assert done.returncode == 0, done.stderr
    return stack


def test_every_player_is_counted_once_in_his_variant(published: RunningStack) -> None:
    rows = _sql(
        published,
        "SELECT variant_id, sum(n) AS players FROM slots "
        f"WHERE tenant_id = '{TENANT}' AND metric_id = '' AND segment = '' GROUP BY variant_id",
    )
    assert {row["variant_id"]: int(row["players"]) for row in rows} == PLAYERS


def test_sums_are_those_of_the_file_to_the_last_digit(
    published: RunningStack, players: list[dict[str, str]]
) -> None:
    rows = _sql(
        published,
        "SELECT metric_id, toString(sum(sum_y)) AS y, toString(sum(sum_yy)) AS yy FROM slots "
        f"WHERE tenant_id = '{TENANT}' AND metric_id != '' AND segment = '' GROUP BY metric_id",
    )
    rounds = [int(player["sum_gamerounds"]) for player in players]
    expected = {"sum_gamerounds": (sum(rounds), sum(count * count for count in rounds))}
    for metric in ("retention_1", "retention_7"):
        returned = sum(player[metric] == "True" for player in players)
        expected[metric] = (returned, returned)
    found = {row["metric_id"]: (int(row["y"]), int(row["yy"])) for row in rows}
    assert found == {metric: (y * 10**6, yy * 10**12) for metric, (y, yy) in expected.items()}


def test_means_and_p_values_are_the_published_ones(
    published: RunningStack, players: list[dict[str, str]]
) -> None:
    for metric, row in results(published).items():
        assert (row["control_variant"], row["treatment_variant"]) == ("gate_30", "gate_40")
        assert (row["n_control"], row["n_treatment"]) == tuple(PLAYERS.values())
        assert row["mean_control"] == pytest.approx(_mean(players, "gate_30", metric), rel=1e-9)
        assert row["mean_treatment"] == pytest.approx(_mean(players, "gate_40", metric), rel=1e-9)
        assert row["p_value"] == pytest.approx(WELCH_P[metric], rel=1e-9)
        assert row["status"] == "ok"


def test_the_sample_ratio_has_the_published_p_value(published: RunningStack) -> None:
    rows = _sql(
        published,
        "SELECT variants, counts, chi2_p_value FROM sample_ratio "
        f"WHERE tenant_id = '{TENANT}' AND segment = '' AND bots = 'excluded'",
    )
    assert len(rows) == 1
    assert dict(zip(rows[0]["variants"], map(int, rows[0]["counts"]), strict=True)) == PLAYERS
    assert rows[0]["chi2_p_value"] == pytest.approx(CHI_SQUARE_P, rel=1e-9)


def test_the_other_views_count_the_same_new_users_and_none_is_mature(
    published: RunningStack, players: list[dict[str, str]]
) -> None:
    """All were exposed a minute ago, in metrics without a window."""
    for view in ("rolling_24h", "rolling_7d"):
        for metric, row in results(published, "--view", view).items():
            assert row["p_value"] == pytest.approx(WELCH_P[metric], rel=1e-9)
            assert (row["n_control"], row["n_treatment"]) == tuple(PLAYERS.values())
            assert (row["seq_p_value"], row["reason"]) == (None, "one_look_only")
    for row in results(published, "--view", "matured").values():
        assert (row["n_control"], row["reason"]) == (0, "never_matures")


def test_what_was_known_is_told_of_any_moment_since_the_first_result(published: RunningStack) -> None:
    done = published.livelift("results", TENANT, EXPERIMENT, "--as-of", "2026-01-01T14:05Z")
    assert done.returncode == 1
    assert f"the history of {TENANT}/{EXPERIMENT} begins at" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    known = [tuple(PLAYERS.values())]
    deadline = time.monotonic() + 60
    found = {}
    while [*found.values()] != known * len(WELCH_P):
        assert time.monotonic() < deadline, f"history has {found}, not {known}"
        now = datetime.now(UTC).isoformat()
        rows = results(published, "--as-of", now)
        found = {metric: (row["n_control"], row["n_treatment"]) for metric, row in rows.items()}


def test_everything_equals_the_reference(published: RunningStack) -> None:
    result = verify(published.settings)
    assert min(result.slots.total, result.ledger.total, result.activity.total) > 0
    assert result.differences == []


def test_every_record_is_accounted_for(published: RunningStack, players: list[dict[str, str]]) -> None:
    assignments, outcomes = reconcile(published.settings, TENANT)
    assert assignments.ledger == LedgerEntry(
        received=len(players), counted=len(players), late=assignments.ledger.late
    )
    assert outcomes.ledger.counted == outcomes.in_kafka
    assert assignments.is_even
    assert outcomes.is_even


def results(stack: RunningStack, *options: str) -> dict[str, dict[str, Any]]:
    """What the command says of each metric."""
    done = stack.livelift("results", TENANT, EXPERIMENT, "--format", "json", *options)
    assert done.returncode == 0, done.stderr
    rows = {row["metric_id"]: row for row in json.loads(done.stdout)}
    assert rows.keys() == WELCH_P.keys()
    return rows


def _assignments(players: list[dict[str, str]], now_ms: int) -> Iterator[dict[str, Any]]:
    for player in players:
        yield {
            "tenant_id": TENANT,
            "unit_id": player["userid"],
            "event_id": f"exposure-{player['userid']}",
            "experiment_id": EXPERIMENT,
            "variant_id": player["test_version"],
            "assigned_at": now_ms - 60_000,
        }


def _outcomes(players: list[dict[str, str]], now_ms: int) -> Iterator[dict[str, Any]]:
    """Rounds played as one value; a return as an outcome that only those have who returned."""
    for player in players:
        common = {"tenant_id": TENANT, "unit_id": player["userid"], "occurred_at": now_ms - 30_000}
        yield common | {
            "event_id": "rounds",
            "metric_id": "sum_gamerounds",
            "value": float(player["sum_gamerounds"]),
        }
        for metric in ("retention_1", "retention_7"):
            if player[metric] == "True":
                yield common | {"event_id": metric, "metric_id": metric}


def _write(file: Path, lines: Iterator[dict[str, Any]]) -> None:
    with file.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)


def _mean(players: list[dict[str, str]], version: str, metric: str) -> float:
    of_version = [player[metric] for player in players if player["test_version"] == version]
    values = [float({"True": 1, "False": 0}.get(text, text)) for text in of_version]
    return sum(values) / len(values)


def _sql(stack: RunningStack, query: str) -> list[dict[str, Any]]:
    done = stack.livelift("sql", query, "--format", "JSONEachRow")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
