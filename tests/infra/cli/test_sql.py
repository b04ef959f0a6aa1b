"""When `livelift sql` chooses the format, and when the query does."""

from __future__ import annotations

import pytest

from infra.cli.sql import takes_format


@pytest.mark.parametrize(
    "statement",
    ["SELECT 1", "  with x as (select 1) select * from x", "SHOW TABLES", "(SELECT 1)", "EXPLAIN SELECT 1",
     "DESCRIBE slots", "SELECT format('{}', 1)"],
)  # fmt: skip
def test_a_query_is_given_the_format(statement: str) -> None:
    assert takes_format(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 FORMAT JSON",
        "select 1 format Null",
        "OPTIMIZE TABLE slot_rows FINAL",
        "INSERT INTO t VALUES (1)",
    ],
)
def test_other_statements_and_those_that_choose_are_left_as_they_are(statement: str) -> None:
    assert not takes_format(statement)
