"""What Flink's REST interface says of a job."""

from __future__ import annotations

from typing import Any

import pytest

from config.settings import load
from infra.cluster import Cluster, Job

JOB = Job("livelift-attribution", "a1", "RUNNING")
TOLD = "sums.currentOutputWatermark"


class Answers(Cluster):
    """Flink's answers by path; of metrics only those that are there, as Flink has it."""

    def __init__(self, told: dict[str, dict[int, int]]) -> None:
        super().__init__(load(environ={}))
        self._told = told

    def _get(self, path: str) -> Any:
        if path == f"/jobs/{JOB.id}":
            return {"vertices": [{"id": each, "parallelism": 2} for each in self._told]}
        vertex = path.split("/")[4]
        wanted = path.partition("?get=")[2].split(",")
        values = {f"{task}.{TOLD}": value for task, value in self._told[vertex].items()}
        return [{"id": name, "value": str(values[name])} for name in wanted if name in values]


def test_time_has_come_as_far_as_the_slowest_task_of_the_sums_has_told() -> None:
    assert Answers({"source": {}, "sums": {0: 7, 1: 5}}).watermark(JOB) == 5


@pytest.mark.parametrize("told", [{}, {0: 7}])
def test_a_task_that_has_said_nothing_may_be_anywhere(told: dict[int, int]) -> None:
    assert Answers({"source": {}, "sums": told}).watermark(JOB) is None
