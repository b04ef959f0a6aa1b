"""``results`` and ``sample_ratio`` as rows, of now or of a moment, narrowed to what somebody asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
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

RESULTS_THEN = """
SELECT * EXCEPT (version) FROM (
  SELECT * FROM results_history
  WHERE view = {view:String} AND policy = {policy:String} AND segment = {segment:String}
    AND config_version = {config_version:Int32}
    AND ({tenant:String} = '' OR tenant_id = {tenant:String})
    AND ({experiment:String} = '' OR experiment_id = {experiment:String})
    AND computed_at <= fromUnixTimestamp64Milli({as_of_ms:Int64})
  ORDER BY version DESC
  LIMIT 1 BY tenant_id, experiment_id, metric_id, treatment_variant)
ORDER BY tenant_id, experiment_id, metric_id, treatment_variant
"""
"""What ``RESULTS`` said at a moment: of each row the newest up to then."""

SAMPLE_RATIO_THEN = """
SELECT * EXCEPT (version) FROM (
  SELECT * FROM sample_ratio_history
  WHERE bots = 'excluded' AND segment = {segment:String}
    AND ({tenant:String} = '' OR tenant_id = {tenant:String})
    AND ({experiment:String} = '' OR experiment_id = {experiment:String})
    AND computed_at <= fromUnixTimestamp64Milli({as_of_ms:Int64})
  ORDER BY version DESC
  LIMIT 1 BY tenant_id, experiment_id)
ORDER BY tenant_id, experiment_id
"""

HISTORY_BEGINS = """
SELECT minOrNull(computed_at) AS begins FROM results_history
WHERE ({tenant:String} = '' OR tenant_id = {tenant:String})
  AND ({experiment:String} = '' OR experiment_id = {experiment:String})
"""

SAMPLE_RATIO = """
SELECT * EXCEPT (version) FROM sample_ratio
WHERE bots = 'excluded' AND segment = {segment:String}
  AND ({tenant:String} = '' OR tenant_id = {tenant:String})
  AND ({experiment:String} = '' OR experiment_id = {experiment:String})
ORDER BY tenant_id, experiment_id
"""


class HistoryError(Exception):
    """Nothing is remembered of the moment asked for; one line for people."""


class View(StrEnum):
    """Which users count."""

    ALL = "all"
    MATURED = "matured"
    ROLLING_24H = "rolling_24h"
    ROLLING_7D = "rolling_7d"


@dataclass(frozen=True, slots=True)
class Question:
    """Which results. An empty tenant or experiment is every one; config version 0 is all of them together.

    ``as_of_ms`` asks for what was known at that moment; None is now.
    """

    tenant_id: str = ""
    experiment_id: str = ""
    view: str = View.ALL
    policy: str = "first_seen"
    segment: str = ""
    config_version: int = 0
    as_of_ms: int | None = None

    @property
    def name(self) -> str:
        """Of the experiment or the tenant that is asked about, for people; empty for everything."""
        return "/".join(part for part in (self.tenant_id, self.experiment_id) if part)

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
            "as_of_ms": self.as_of_ms or 0,
        }


def read_results(settings: Settings, question: Question) -> list[Row]:
    """One row per experiment, metric and treatment.

    Raises:
        HistoryError: What was known at a moment is asked for, and history does not reach back to it.
        DatabaseError: ClickHouse does not answer.
    """
    if question.as_of_ms is None:
        return read(settings, RESULTS, question.parameters)
    rows = read(settings, RESULTS_THEN, question.parameters)
    if not rows:
        _refuse_before_history(settings, question, question.as_of_ms)
    return rows


def read_sample_ratios(settings: Settings, question: Question) -> list[Row]:
    """One row per experiment: its units by variant, bots left out, and whether they are spread as declared.

    Raises:
        DatabaseError: ClickHouse does not answer.
    """
    query = SAMPLE_RATIO if question.as_of_ms is None else SAMPLE_RATIO_THEN
    return read(settings, query, question.parameters)


def _refuse_before_history(settings: Settings, question: Question, as_of_ms: int) -> None:
    """Say since when there is history, unless it reached back and only these rows were not there."""
    name = question.name or "any experiment"
    [row] = read(settings, HISTORY_BEGINS, question.parameters)
    if row["begins"] is None:
        raise HistoryError(f"there is no history of {name} yet")
    then = plain(datetime.fromtimestamp(as_of_ms / 1000, UTC))
    if row["begins"] > then:
        raise HistoryError(f"the history of {name} begins at {row['begins']}, after {then}")


def result_columns(settings: Settings) -> Sequence[str]:
    """The names of what ``read_results`` reads, in their order.

    Raises:
        DatabaseError: ClickHouse does not answer.
    """
    with one_line_errors(settings):
        names: Sequence[str] = (
            connect(settings).query("SELECT * EXCEPT (version) FROM results LIMIT 0").column_names
        )
    return names


def read(settings: Settings, query: str, parameters: Mapping[str, Any]) -> list[Row]:
    """The rows of a query.

    Raises:
        DatabaseError: ClickHouse does not answer.
    """
    with one_line_errors(settings):
        answer = connect(settings).query(query, parameters=dict(parameters))
        return [{name: plain(value) for name, value in row.items()} for row in answer.named_results()]


def plain(value: Any) -> Any:
    """A value as machines read it."""
    if not isinstance(value, datetime):
        return value
    moment = value if value.tzinfo else value.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
