"""Lines of JSON become columns that the driver writes."""

from __future__ import annotations

import base64
import json

from jobs.scorecard.tables import columns, gathered
from udfs.attribution.sums import encode
from udfs.stats import SUM_NAMES

ONE_OCLOCK_MS = 1_767_229_200_000


def test_slot_rows_have_a_column_for_each_sum_and_cohorts_in_seconds() -> None:
    sums = (-(10**40), *range(13))
    row = {"cohort": ONE_OCLOCK_MS, "as_of": ONE_OCLOCK_MS + 5, "source_offset": 8}
    carried = {**row, "sums": base64.b64encode(encode(sums)).decode()}
    found = columns("slot_rows", json.dumps([carried, {**carried, "sums": ""}]))
    assert list(found) == ["cohort", "as_of", "source_offset", *(f"sum_{name}" for name in SUM_NAMES)]
    assert found["cohort"] == [ONE_OCLOCK_MS // 1000] * 2
    assert found["as_of"] == [ONE_OCLOCK_MS + 5] * 2
    assert [found[f"sum_{name}"] for name in SUM_NAMES] == [[value, 0] for value in sums]


def test_answers_of_several_experiments_are_put_under_each_other() -> None:
    first = gathered([{"a": 1, "b": "x"}, {"a": 2, "b": None}])
    second = gathered([{"a": 3, "b": "ü"}])
    assert columns("result_rows", f"[{first},{second}]") == {"a": [1, 2, 3], "b": ["x", None, "ü"]}
