"""A slice is the scorecard's answer to the slots of its days; whole, it is the streamed row to the bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from config.settings import Settings
from infra import questions, slices
from infra.cohorts import Cohorts, SliceError
from infra.definitions import DefinitionKey, Published
from infra.migrations import apply
from infra.questions import UndefinedError, check_asked
from infra.results import Question, Row, plain, result_columns
from infra.slices import read_slice
from tests import counted
from tests.counted import EXPERIMENT, GERMANY, TENANT, revenue
from tests.infra.clickhouse_process import clickhouse, connect
from tests.jobs.scorecard.builders import only
from udfs.stats import mean_difference

pytestmark = pytest.mark.clickhouse

BUTTON = Question(TENANT, EXPERIMENT)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with clickhouse(tmp_path_factory.mktemp("clickhouse")) as settings:
        apply(settings)
        counted.write(settings)
        yield settings


@pytest.fixture(autouse=True)
def _definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Kafka would hold."""
    definition = Published(json.loads(counted.DEFINITION), 0)
    topic = {DefinitionKey(tenant, EXPERIMENT, 1): definition for tenant in (TENANT, "idle")}
    monkeypatch.setattr(questions, "read_published", lambda _: topic)


def streamed(settings: Settings, question: Question) -> list[Row]:
    """What the job says of the same slots, as a reader of the view sees it."""
    columns = result_columns(settings)
    rows = [row for row in counted.answered()["result_rows"] if slices.is_asked(row, question)]
    return [{name: shown(name, row.get(name)) for name in columns} for row in rows]


def shown(name: str, value: Any) -> Any:
    return plain(datetime.fromtimestamp(value / 1000, UTC)) if name in slices.TIMES and value else value


def bits(rows: list[Row]) -> list[dict[str, str]]:
    """Rows without what tells when they were computed, from how many slots, and what was seen before."""
    other = ("cohorts", "computed_at", "slot_updates", *slices.LOOKED_AT)
    told = ({name: repr(value) for name, value in row.items() if name not in other} for row in rows)
    return sorted(told, key=lambda row: row["metric_id"])


@pytest.mark.parametrize("segment", ["", GERMANY])
@pytest.mark.parametrize("policy", ["first_seen", "exclude_crossed"])
@pytest.mark.parametrize("config_version", [0, 1])
def test_all_cohorts_together_are_the_streamed_rows_to_the_bit(
    settings: Settings, segment: str, policy: str, config_version: int
) -> None:
    question = replace(BUTTON, segment=segment, policy=policy, config_version=config_version)
    rows, _ = read_slice(settings, question, Cohorts.parse(".."))
    assert [row["metric_id"] for row in rows] == ["converted", "latency_ms", "revenue"]
    assert all(row["status"] == "ok" for row in rows)
    assert bits(rows) == bits(streamed(settings, question))


def test_a_slice_compares_the_users_of_its_days(settings: Settings) -> None:
    rows, ratios = read_slice(settings, BUTTON, Cohorts.parse("2026-11-20..2026-11-21"))
    control, treatment = (revenue(variant, hours=(0, 5, 26, 27)) for variant in ("control", "treatment"))
    expected = mean_difference(control, treatment)
    row = only(rows, metric_id="revenue")
    assert (row["n_control"], row["n_treatment"]) == (control.n, treatment.n)
    assert row["abs_diff"] == pytest.approx(expected.estimate, rel=1e-12)
    assert (row["abs_ci_lower"], row["p_value"]) == pytest.approx((expected.ci_lower, expected.p_value))
    assert (row["view"], row["cohorts"]) == ("slice", "2026-11-20..2026-11-21")
    assert ratios[0]["counts"] == [control.n, treatment.n]


def test_a_slice_is_judged_at_the_moment_that_readers_see(settings: Settings) -> None:
    """While nothing comes the job goes on telling of later moments."""
    later_ms = counted.LAST_MS + 1500
    with connect(settings) as client:
        for table in ("slot_rows", "result_rows"):
            client.command(
                f"INSERT INTO {table} SELECT * REPLACE ('idle' AS tenant_id) "
                f"FROM {table} WHERE {table}.tenant_id = '{TENANT}'"
            )
        client.command(
            "INSERT INTO result_rows SELECT * REPLACE (version + 1 AS version, "
            f"fromUnixTimestamp64Milli({later_ms}, 'UTC') AS as_of) FROM result_rows WHERE tenant_id = 'idle'"
        )
    rows, _ = read_slice(settings, replace(BUTTON, tenant_id="idle"), Cohorts.parse("2026-11-20"))
    assert {row["as_of"] for row in rows} == {plain(datetime.fromtimestamp(later_ms / 1000, UTC))}


def test_slices_of_hours_add_up(settings: Settings) -> None:
    first, later, whole = (
        only(read_slice(settings, BUTTON, Cohorts.parse(text))[0], metric_id="revenue")["n_control"]
        for text in ("2026-11-20T00..2026-11-20T04", "2026-11-20T05..", "..")
    )
    assert (first, later, whole) == (4, 11, 15)


def test_a_slice_of_some_days_is_asked_once(settings: Settings) -> None:
    some, whole = (
        only(read_slice(settings, BUTTON, Cohorts.parse(text))[0], metric_id="revenue")
        for text in ("2026-11-20..2026-11-21", "..")
    )
    assert (some["seq_p_value"], some["seq_ci_lower"], some["p_adjusted"]) == (None, None, None)
    assert (some["seq_rel_ci_lower"], some["seq_rel_ci_upper"]) == (None, None)
    assert whole["seq_p_value"] is not None
    assert whole["seq_rel_ci_lower"] < whole["seq_rel_diff"] < whole["seq_rel_ci_upper"]


def test_a_policy_chooses_among_the_users_of_a_slice(settings: Settings) -> None:
    question = replace(BUTTON, policy="exclude_crossed")
    rows, _ = read_slice(settings, question, Cohorts.parse("2026-11-21"))
    row = only(rows, metric_id="revenue")
    assert (row["n_control"], row["n_treatment"]) == (4, 4)


def test_a_slice_of_a_segment_has_its_users(settings: Settings) -> None:
    rows, ratios = read_slice(settings, replace(BUTTON, segment=GERMANY), Cohorts.parse("2026-11-20"))
    row = only(rows, metric_id="revenue")
    assert (row["n_control"], row["n_treatment"]) == (5, 5)
    assert ratios[0]["counts"] == [5, 5]


@pytest.mark.parametrize(
    ("changes", "cohorts", "message"),
    [
        ({"experiment_id": "chekout"}, "..", "no experiment acme/chekout is defined"),
        (
            {"segment": "country=ES"},
            "..",
            "has no segment country=ES: it has country=DE, country=FR, country=__",
        ),
        ({"config_version": 7}, "..", "acme/checkout-button has no config version 7: it has 1"),
        ({"segment": GERMANY}, "2026-11-20T05..", "those of every segment are 24 h wide"),
        (
            {},
            "2025-01-01..2025-12-31",
            "nobody in acme/checkout-button was first exposed in cohorts 2025-01-01..2025",
        ),
        ({"segment": "country=FR"}, "..", "nobody in acme/checkout-button with country=FR was first exposed"),
    ],
)
def test_what_cannot_be_cut_is_refused_with_the_reason(
    settings: Settings, changes: dict[str, Any], cohorts: str, message: str
) -> None:
    with pytest.raises((SliceError, UndefinedError), match=message):
        read_slice(settings, replace(BUTTON, **changes), Cohorts.parse(cohorts))


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (Question("acmee"), "no experiment of acmee is defined: the tenants are acme, idle"),
        (Question("acme", "chekout"), "no experiment acme/chekout is defined: acme has checkout-button"),
        (replace(BUTTON, segment="DE"), "acme/checkout-button has no segment DE: it has country=DE, "),
        (replace(BUTTON, config_version=9), "acme/checkout-button has no config version 9: it has 1"),
    ],
)
def test_what_nobody_defined_is_named_with_what_there_is(
    settings: Settings, question: Question, message: str
) -> None:
    with pytest.raises(UndefinedError, match=message):
        check_asked(settings, question)


def test_what_is_defined_may_be_asked_about(settings: Settings) -> None:
    for question in (Question(), Question("acme"), BUTTON, replace(BUTTON, segment=GERMANY)):
        check_asked(settings, question)
