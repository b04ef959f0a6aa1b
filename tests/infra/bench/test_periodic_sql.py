"""The batch query computes what livelift computes, so that its price is that of the same answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.bench.periodic_sql import RawEvents
from infra.migrations import apply
from tests.infra.bench.worlds import SMALL, Question, expected
from tests.infra.clickhouse_process import clickhouse

pytestmark = pytest.mark.clickhouse


def test_its_sums_are_the_references_duplicates_and_covariates_included(tmp_path: Path) -> None:
    with clickhouse(tmp_path) as settings:
        apply(settings)
        raw = RawEvents(settings, SMALL)
        raw.grow(SMALL.events)
        answers = raw.answers()
    assert raw.events == SMALL.events
    users: dict[Question, int] = {(*row[:3], ""): row[4] for row in answers["exposed"]}
    assert users == {question: slot.n for question, slot in expected(SMALL).items() if slot.n}
    sums = {(*row[:3], row[4]): row[5:] for row in answers["moments"]}
    wanted = {question: slot.sums for question, slot in expected(SMALL).items() if any(slot.sums)}
    assert sums.keys() == wanted.keys()
    for question, found in sums.items():
        units = [total * 1e6 for total in found[:4]] + [product * 1e12 for product in found[4:]]
        assert units == pytest.approx(list(wanted[question]), rel=1e-9), question
