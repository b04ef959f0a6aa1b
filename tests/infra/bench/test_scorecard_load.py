"""The slots that the scorecard's bench writes are what the attribution job would write."""

from __future__ import annotations

import json

import pytest

from config.settings import ROOT
from infra.bench.scorecard import EMISSION_BITS, KINDS, ROWS_A_SECOND, VARIANTS, Load, Slots, definitions
from infra.definitions import Limits, draft_of
from infra.strict_yaml import Document
from jobs.scorecard import operators
from jobs.scorecard.slots import SLOT
from jobs.wiring.kafka import SLOT_KEY
from schemas.events import decode, own_schema
from tests.builders import RULES
from udfs.attribution.sums import decode as unpacked
from udfs.stats import Moments

LOAD = Load(experiments=25, metrics=4)
SLOTS_OF_EXPERIMENT = len(VARIANTS) * (1 + LOAD.metrics)
LIMITS = Limits(RULES.horizon_ms, RULES.retention_ms)


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_a_row_for_every_sum_that_a_defined_comparison_needs(kind: str) -> None:
    defined = [draft_of(Document("bench", each, {}), LIMITS).content for each in definitions(LOAD)]
    wanted = {
        (each["tenant_id"], each["experiment_id"], variant, metric)
        for each in defined
        for variant in each["variants"]
        for metric in ("", *(metric["id"] for metric in each["metrics"]))
    }
    keys = [json.loads(row["key"]) for row in Slots(LOAD, 1).rows(0, kind)]
    assert all(list(key) == [name for name, _ in SLOT_KEY] for key in keys)
    assert {(key["kind"], key["cohort"] > 0) for key in keys} == {(kind, kind == SLOT)}
    assert len(keys) == LOAD.experiments * SLOTS_OF_EXPERIMENT
    found = {(key["tenant_id"], key["experiment_id"], key["variant_id"], key["metric_id"]) for key in keys}
    assert found == wanted


def test_every_total_changes_every_second_and_the_newer_row_wins() -> None:
    slots = Slots(LOAD, 1)
    before, after = (
        [decode("Slot", row["value"], lambda _: own_schema("Slot")) for row in slots.rows(second)]
        for second in (1, 2)
    )
    assert all((a["n"], a["sums"]) != (b["n"], b["sums"]) for a, b in zip(before, after, strict=True))
    assert all(a["updates"] < b["updates"] for a, b in zip(before, after, strict=True))
    assert all(a["version"] < b["version"] for a, b in zip(before, after, strict=True))
    assert EMISSION_BITS == operators.EMISSION_BITS


def test_the_sums_are_those_of_users_with_a_mean_a_spread_and_a_covariate() -> None:
    rows = [decode("Slot", row["value"], lambda _: own_schema("Slot")) for row in Slots(LOAD, 1).rows(3)]
    users, metric = rows[0]["n"], unpacked(rows[1]["sums"])
    moments = Moments.from_sums(users, metric)
    assert moments.mean("y") > 0
    assert moments.covariance("y", "y") > 0
    assert 0 < moments.covariance("y", "x") < moments.covariance("x", "x")


def test_totals_are_told_at_the_pace_of_the_attribution_job() -> None:
    operator = ROOT / "udfs/attribution/src/main/java/io/livelift/attribution/flink/AttributeOperator.java"
    assert f"MOST_ROWS_A_SECOND = {ROWS_A_SECOND};" in operator.read_text(encoding="utf-8")
    assert [Load(experiments=each).told_every_s for each in (40, 300, 1000)] == [1, 2, 8]
