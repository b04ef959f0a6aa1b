"""The views ``results`` and ``sample_ratio`` as rows, narrowed to what somebody asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from config.settings import Settings
from infra.clickhouse import connect, one_line_errors

Row = dict[str, Any]
"""Column name to value; times as ISO 8601 in UTC, an absent statistic as None."""

RESULTS = """
SELECT * EXCEPT (version) FROM results
WHERE view = {view:String} AND policy = {policy:String} AND segment = {segment:String}
  AND config_version = {config_version:Int32}
  AND ({tenant:String} = '' OR tenant_id = {tenant:String})
  AND ({experiment:String} = '' OR experiment_id = {experiment:String})
ORDER BY tenant_id, experiment_id, metric_id, treatment_variant
"""

SAMPLE_RATIO = """
SELECT * EXCEPT (version) FROM sample_ratio
WHERE bots = 'excluded' AND segment = {segment:String}
  AND ({tenant:String} = '' OR tenant_id = {tenant:String})
  AND ({experiment:String} = '' OR experiment_id = {experiment:String})
ORDER BY tenant_id, experiment_id
"""


@dataclass(frozen=True, slots=True)
class Question:
    """Which results. An empty tenant or experiment is every one; config version 0 is all of them together."""

    tenant_id: str = ""
    experiment_id: str = ""
    view: str = "all"
    policy: str = "first_seen"
    segment: str = ""
    config_version: int = 0

    @property
    def parameters(self) -> dict[str, Any]:
        """As the queries name them."""
        return {
            "tenant": self.tenant_id,
            "experiment": self.experiment_id,
            "view": self.view,
            "policy": self.policy,
            "segment": self.segment,
            "config_version": self.config_version,
        }


def read_results(settings: Settings, question: Question) -> list[Row]:
    """One row per experiment, metric and treatment.

    Raises:
        DatabaseError: ClickHouse does not answer.
    """
    return read(settings, RESULTS, question.parameters)


def read_sample_ratios(settings: Settings, question: Question) -> list[Row]:
    """One row per experiment: its units by variant, bots left out, and whether they are spread as declared.

    Raises:
        DatabaseError: ClickHouse does not answer.
    """
    return read(settings, SAMPLE_RATIO, question.parameters)


def read(settings: Settings, query: str, parameters: Mapping[str, Any]) -> list[Row]:
    """The rows of a query.

    Raises:
        DatabaseError: ClickHouse does not answer.
    """
    with one_line_errors(settings):
        answer = connect(settings).query(query, parameters=dict(parameters))
        return [{name: _plain(value) for name, value in row.items()} for row in answer.named_results()]


def _plain(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    moment = value if value.tzinfo else value.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
