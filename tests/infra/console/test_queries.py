"""The console asks a closed set of questions, and a tenant's are only about that tenant."""

from __future__ import annotations

import re

import pytest

from infra.console.queries import FOLDER, Query

WITHOUT_A_TENANT = {Query.TENANTS, Query.COVERAGE}


def test_every_question_is_a_file_and_every_file_a_question() -> None:
    assert {file.stem for file in FOLDER.iterdir()} == set(Query)


@pytest.mark.parametrize("query", Query)
def test_a_question_opens_with_what_it_asks(query: Query) -> None:
    first = query.text.splitlines()[0]
    assert first.startswith("-- ")
    assert "?" in first


@pytest.mark.parametrize("query", sorted(set(Query) - WITHOUT_A_TENANT))
def test_every_view_of_a_tenants_data_is_narrowed_to_the_tenant(query: Query) -> None:
    reads = re.findall(
        r"FROM (?:results|slots|totals|ledger|sample_ratio|decisions)\w*\s+WHERE (\S+ = \S+)", query.text
    )
    assert reads == ["tenant_id = {tenant:String}"] * len(re.findall(r"FROM [a-z_]+\n\s*WHERE", query.text))
    assert reads


@pytest.mark.parametrize("query", Query)
def test_a_question_reads_only_and_bounds_its_answer(query: Query) -> None:
    assert not re.search(r"\b(INSERT|ALTER|DROP|CREATE|OUTFILE|SYSTEM|url|file|remote)\b\s*[( ]", query.text)
    assert (
        "LIMIT" in query.text or "GROUP BY unit_class" in query.text or "SELECT sum(received)" in query.text
    )
