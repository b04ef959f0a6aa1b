"""Every query of the cookbook answers with rows of a counted experiment, in the columns it promises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from config.settings import ROOT
from infra.migrations import apply
from tests import counted
from tests.counted import revenue
from tests.infra.clickhouse_process import clickhouse, connect

pytestmark = pytest.mark.clickhouse

COOKBOOK = (ROOT / "docs" / "cookbook.md").read_text(encoding="utf-8")
QUERIES = {
    block.splitlines()[0].removeprefix("-- "): block
    for block in re.findall(r"```sql\n(.*?)```", COOKBOOK, re.DOTALL)
}
"""By the question with which each begins."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with clickhouse(tmp_path_factory.mktemp("clickhouse")) as settings:
        apply(settings)
        counted.write(settings)
        with connect(settings) as client:
            yield client


def rows_of(client: Client, question: str) -> list[dict[str, Any]]:
    (found,) = (query for asked, query in QUERIES.items() if asked.startswith(question))
    return list(client.query(found).named_results())


def test_every_block_begins_with_its_question_and_ends_with_its_columns() -> None:
    assert len(QUERIES) == COOKBOOK.count("```sql")
    for block in QUERIES.values():
        first, *_, last = block.splitlines()
        assert first.startswith("-- ")
        assert last.startswith("-- → ")


@pytest.mark.parametrize("question", QUERIES)
def test_a_query_answers_with_rows_in_the_columns_it_promises(client: Client, question: str) -> None:
    answer = client.query(QUERIES[question])
    promised = QUERIES[question].splitlines()[-1].removeprefix("-- → ")
    assert ", ".join(answer.column_names) == promised
    assert answer.result_rows


def test_todays_lift_is_the_newest_answer(client: Client) -> None:
    rows = rows_of(client, "What do we know now")
    (row,) = (row for row in rows if row["metric_id"] == "revenue")
    control, treatment = revenue("control"), revenue("treatment")
    assert (row["n_control"], row["n_treatment"]) == (control.n, treatment.n)
    means = [moments.sums[0] / 1e6 / moments.n for moments in (control, treatment)]
    assert row["abs_diff"] == pytest.approx(means[1] - means[0])
    assert row["seq_ci_lower"] < row["abs_diff"] < row["seq_ci_upper"]
    assert row["seq_rel_ci_lower"] < row["seq_rel_diff"] < row["seq_rel_ci_upper"]


def test_history_has_both_moments_and_narrows(client: Client) -> None:
    rows = rows_of(client, "How did the interval")
    assert [row["users"] for row in rows] == [14, 30]
    widths = [row["seq_ci_upper"] - row["seq_ci_lower"] for row in rows]
    assert widths[1] < widths[0]


def test_between_two_moments_users_and_means_moved(client: Client) -> None:
    (row,) = (row for row in rows_of(client, "What did we know at two") if row["metric_id"] == "revenue")
    assert (row["users_before"], row["users_after"]) == (14, 30)
    assert row["updates_before"] < row["updates_after"]


def test_days_add_up_to_the_experiment(client: Client) -> None:
    rows = rows_of(client, "Whose days made it")
    for variant in ("control", "treatment"):
        of_variant = [row for row in rows if row["variant_id"] == variant]
        assert sum(row["users"] for row in of_variant) == revenue(variant).n
        total = sum(row["users"] * row["mean_revenue"] for row in of_variant)
        assert total == pytest.approx(revenue(variant).sums[0] / 1e6)


def test_crossed_users_and_bots_are_told_by_arm(client: Client) -> None:
    rows = {row["variant_id"]: row for row in rows_of(client, "Who was seen in more than one")}
    assert (rows["control"]["users"], rows["control"]["crossed"], rows["control"]["bots"]) == (15, 2, 0)
    assert (rows["treatment"]["crossed"], rows["treatment"]["bots"]) == (2, 1)
    assert rows["control"]["share"] == pytest.approx(2 / 15)


def test_an_experiment_is_complete_as_far_as_the_slowest_of_its_regions(client: Client) -> None:
    regions = {row["region"]: row for row in rows_of(client, "How far has each region")}
    assert regions["local"]["late_s"] > regions["elsewhere"]["late_s"] > 0
    (row,) = rows_of(client, "Up to which moment is each")
    assert (row["slowest_region"], row["complete_to"]) == ("local", regions["local"]["watermark"])
    assert row["complete_to"] < row["counted_to"]


def test_every_reason_of_refusal_is_told(client: Client) -> None:
    rows = rows_of(client, "How many records could not")
    assert sum(row["refused"] for row in rows) == 8
    assert len({row["reason"] for row in rows}) == 8


def test_a_slice_of_slots_has_mean_and_deviation(client: Client) -> None:
    (control, _) = rows_of(client, "What are the mean and the standard")
    moments = revenue("control", hours=(0, 5, 26, 27))
    mean = moments.sums[0] / 1e6 / moments.n
    assert (control["users"], control["mean"]) == (moments.n, pytest.approx(mean))
    squares = moments.sums[4] / 1e12
    assert control["deviation"] == pytest.approx(((squares - moments.n * mean**2) / (moments.n - 1)) ** 0.5)
