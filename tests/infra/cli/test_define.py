"""What `livelift define` says of a version that counts otherwise than the one before it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.cli.define import metrics_changed
from infra.definitions import DefinitionKey, Published
from tests.jobs.scorecard.builders import a_metric, published

FIRST, SECOND = (DefinitionKey("acme", "button", version) for version in (1, 2))


def a_definition(pre_period_days: float = 0, control: str = "control", **changes: Any) -> Published:
    metrics = [a_metric(**{"window_days": 7, **changes}), a_metric(id="other", window_days=7)]
    content = published(pre_period_days=pre_period_days, control=control, metrics=metrics)
    return Published(json.loads(content), append_time_ms=0)


@pytest.mark.parametrize(
    "change", [{"kind": "proportion"}, {"source": "sales"}, {"cap": 500}, {"window_days": 14}]
)
def test_a_metric_that_is_counted_otherwise_is_named(change: dict[str, Any]) -> None:
    (line,) = metrics_changed([SECOND], {FIRST: a_definition(), SECOND: a_definition(**change)})
    assert line.startswith("acme/button/2 counts revenue in another way than version 1: once it has users")


def test_what_is_the_same_for_all_metrics_concerns_all_of_them() -> None:
    for change in ({"pre_period_days": 7}, {"control": "treatment"}):
        (line,) = metrics_changed([SECOND], {FIRST: a_definition(), SECOND: a_definition(**change)})
        assert "counts revenue, other in another way" in line


def test_another_role_or_a_new_metric_or_experiment_is_nothing_to_tell() -> None:
    same = {FIRST: a_definition(), SECOND: a_definition(role="guardrail")}
    assert metrics_changed([FIRST, SECOND], same) == []
    assert metrics_changed([SECOND], {SECOND: a_definition(id="newcomer"), FIRST: a_definition()}) == []
    assert metrics_changed([SECOND], {SECOND: a_definition()}) == []
