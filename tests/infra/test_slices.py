"""A slice is the scorecard's answer to the slots of its days; whole, it is the streamed row to the bit."""

from __future__ import annotations

import json
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from config.settings import Settings
from infra import slices
from infra.cohorts import Cohorts, SliceError
from infra.definitions import DefinitionKey, Published
from infra.migrations import apply
from infra.results import Question, Row, plain, result_columns
from infra.slices import read_slice
from jobs.scorecard.book import Book
from jobs.scorecard.rows import answers
from jobs.scorecard.slots import Change, Cohort, Slots
from tests.infra.clickhouse_process import clickhouse, connect
from tests.jobs.scorecard.builders import NOON_MS, NOW, ONE_HOUR_MS, a_definition, a_metric, only, published
from udfs.attribution.reference import SUM_NAMES
from udfs.attribution.sums import encode
from udfs.stats import Moments, mean_difference

pytestmark = pytest.mark.clickhouse

DAY_MS = 24 * ONE_HOUR_MS
FIRST_DAY_MS = NOON_MS - NOON_MS % DAY_MS
GERMANY = "country=DE"
DEFINITION = {
    "segments": {"country": ["DE", "FR"]},
    "metrics": [a_metric(), a_metric(id="visits", kind="ratio")],
}
LOG = {"epoch": 0, "as_of_ms": NOON_MS}
BUTTON = Question("acme", "checkout")

USERS = {
    # Hour of first exposure from the first day on, variant: what the users of that hour bought.
    (0, "control"): [1, 2, 3],
    (0, "treatment"): [2, 4, 6],
    (5, "control"): [3, 3, 8],
    (5, "treatment"): [5, 9],
    (26, "control"): [1, 7, 7, 2],
    (26, "treatment"): [8, 1, 9, 9],
    (49, "control"): [2, 2],
    (49, "treatment"): [11, 3],
}


def slot_rows() -> Iterator[dict[str, Any]]:
    """Everyone by hours and the Germans, who are all but one user of each hour, by days."""
    sums: dict[tuple[str, str, int, str], Moments] = {}
    for (hour, variant), values in USERS.items():
        hours_ms, days_ms = FIRST_DAY_MS + hour * ONE_HOUR_MS, FIRST_DAY_MS + hour // 24 * DAY_MS
        for place, bought in (
            ((variant, "", hours_ms), values),
            ((variant, GERMANY, days_ms), values[1:]),
        ):
            for metric_id in ("revenue", "visits"):
                moments = Moments.from_units(bought, [1.0 + each % 3 for each in bought])
                key = (*place, metric_id)
                sums[key] = sums.get(key, Moments()) + moments
    for (variant, segment, cohort_ms, metric_id), moments in sums.items():
        key = {
            "tenant_id": "acme",
            "experiment_id": "checkout",
            "config_version": 1,
            "variant_id": variant,
            "segment": segment,
            "cohort": datetime.fromtimestamp(cohort_ms / 1000, UTC),
            "unit_class": "clean",
            "region": "local",
            "as_of": datetime.fromtimestamp(NOON_MS / 1000, UTC),
            "updates": 3,
            "version": 1,
        }
        named = {f"sum_{name}": value for name, value in zip(SUM_NAMES, moments.sums, strict=True)}
        nothing = dict.fromkeys(named, 0)
        yield key | {"metric_id": metric_id, "n": 0} | named
        if metric_id == "revenue":
            yield key | {"metric_id": "", "n": moments.n} | nothing


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with clickhouse(tmp_path_factory.mktemp("clickhouse")) as settings:
        apply(settings)
        rows = list(slot_rows())
        with connect(settings) as client:
            client.insert("slot_rows", [list(row.values()) for row in rows], list(rows[0]))
        yield settings


@pytest.fixture(autouse=True)
def _definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Kafka would hold."""
    content = json.loads(published(**DEFINITION))
    topic = {DefinitionKey("acme", "checkout", 1): Published(content, FIRST_DAY_MS)}
    monkeypatch.setattr(slices, "read_published", lambda _: topic)


def streamed(settings: Settings, segment: str = "") -> list[Row]:
    """What the job says of the same slots, as a reader of the view sees it."""
    book, cohorts = Book(definitions={1: a_definition(**DEFINITION)}), defaultdict[Cohort, Slots](dict)
    for row in slot_rows():
        sums = encode([row[f"sum_{name}"] for name in SUM_NAMES])
        carried = {"cohort_ms": int(row["cohort"].timestamp() * 1000), "sums": b64encode(sums).decode()}
        change = Change(**{name: row[name] for name in row.keys() & set(Change._fields)}, **carried, **LOG)
        book.count(change, cohorts[change.cohort])
    rows = [row for row in answers(book, NOW)["result_rows"] if row["segment"] == segment]
    columns = result_columns(settings)
    return [{name: shown(name, row.get(name)) for name in columns} for row in rows]


def shown(name: str, value: Any) -> Any:
    return plain(datetime.fromtimestamp(value / 1000, UTC)) if name in slices.TIMES and value else value


def bits(rows: list[Row]) -> list[dict[str, str]]:
    """Rows without what tells when and from how many slots of the book they were computed."""
    other = ("cohorts", "computed_at", "slot_updates", "seq_p_min", "crossed_at")
    return sorted(
        ({name: repr(value) for name, value in row.items() if name not in other} for row in rows),
        key=lambda row: (row["metric_id"], row["config_version"]),
    )


@pytest.mark.parametrize("segment", ["", GERMANY])
@pytest.mark.parametrize("policy", ["first_seen", "exclude_crossed"])
@pytest.mark.parametrize("config_version", [0, 1])
def test_all_cohorts_together_are_the_streamed_rows_to_the_bit(
    settings: Settings, segment: str, policy: str, config_version: int
) -> None:
    question = replace(BUTTON, segment=segment, policy=policy, config_version=config_version)
    rows, _ = read_slice(settings, question, Cohorts.parse(".."))
    asked = [row for row in streamed(settings, segment) if row["policy"] == policy]
    expected = [row for row in asked if row["config_version"] == config_version]
    assert len(rows) == 2
    assert all(row["status"] == "ok" for row in rows)
    assert bits(rows) == bits(expected)


def test_a_slice_compares_the_users_of_its_days(settings: Settings) -> None:
    rows, ratios = read_slice(settings, BUTTON, Cohorts.parse("2026-01-01..2026-01-02"))
    inside = (0, 5, 26)
    control, treatment = (
        Moments.from_units([value for hour in inside for value in USERS[hour, variant]])
        for variant in ("control", "treatment")
    )
    expected = mean_difference(control, treatment)
    row = only(rows, metric_id="revenue")
    assert (row["n_control"], row["n_treatment"]) == (10, 9)
    assert row["abs_diff"] == pytest.approx(expected.estimate, rel=1e-12)
    assert (row["abs_ci_lower"], row["p_value"]) == pytest.approx((expected.ci_lower, expected.p_value))
    assert row["view"] == "slice"
    assert row["cohorts"] == "2026-01-01..2026-01-02"
    assert ratios[0]["counts"] == [10, 9]


def test_slices_of_hours_add_up(settings: Settings) -> None:
    first, later = (
        only(read_slice(settings, BUTTON, Cohorts.parse(text))[0], metric_id="revenue")
        for text in ("2026-01-01T00..2026-01-01T04", "2026-01-01T05..")
    )
    whole = only(read_slice(settings, BUTTON, Cohorts.parse(".."))[0], metric_id="revenue")
    assert (first["n_control"], later["n_control"], whole["n_control"]) == (3, 9, 12)


def test_a_slice_of_some_days_is_asked_once(settings: Settings) -> None:
    rows, _ = read_slice(settings, BUTTON, Cohorts.parse("2026-01-01..2026-01-02"))
    row = only(rows, metric_id="revenue")
    assert (row["seq_p_value"], row["seq_ci_lower"], row["p_adjusted"]) == (None, None, None)
    whole, _ = read_slice(settings, BUTTON, Cohorts.parse(".."))
    assert only(whole, metric_id="revenue")["seq_p_value"] is not None


def test_a_slice_of_a_segment_has_its_users(settings: Settings) -> None:
    rows, ratios = read_slice(settings, replace(BUTTON, segment=GERMANY), Cohorts.parse("2026-01-01"))
    row = only(rows, metric_id="revenue")
    assert (row["n_control"], row["n_treatment"]) == (4, 3)
    assert ratios[0]["counts"] == [4, 3]


@pytest.mark.parametrize(
    ("changes", "cohorts", "message"),
    [
        ({"experiment_id": "chekout"}, "..", "no experiment acme/chekout is defined"),
        (
            {"segment": "country=ES"},
            "..",
            "has no segment country=ES: it has country=DE, country=FR, country=__",
        ),
        ({"config_version": 7}, "..", "acme/checkout has no config version 7: it has 1"),
        ({"segment": GERMANY}, "2026-01-01T05..", "those of every segment are 24 h wide"),
        (
            {},
            "2025-01-01..2025-12-31",
            "nobody in acme/checkout was first exposed in cohorts 2025-01-01..2025",
        ),
        ({"segment": "country=FR"}, "..", "nobody in acme/checkout with country=FR was first exposed"),
    ],
)
def test_what_cannot_be_cut_is_refused_with_the_reason(
    settings: Settings, changes: dict[str, Any], cohorts: str, message: str
) -> None:
    with pytest.raises(SliceError, match=message):
        read_slice(settings, replace(BUTTON, **changes), Cohorts.parse(cohorts))
