"""Any slice on demand: the slots of some cohorts, summed and judged by the code that judges all of them.

A slot belongs to one cohort, and slots are disjoint, so a slice of days is a sum of slots and needs no event.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from config.settings import Settings
from infra.clickhouse import connect, one_line_errors
from infra.cohorts import DAY_HOURS, Cohorts, SliceError
from infra.definitions import Content, to_json
from infra.questions import check_segment, defined
from infra.results import Question, Row, plain, result_columns
from jobs.scorecard.agenda import ALL, SLICE
from jobs.scorecard.book import Book, Spread
from jobs.scorecard.definitions import Definition
from jobs.scorecard.rows import Moment, answers
from jobs.scorecard.slots import Amount, Group, Slot
from udfs.attribution.reference import SUM_NAMES

LOOKED_AT = ("seq_p_min", "crossed_at", "p_adjusted")
"""What depends on the looks the job has taken: only its own rows have it."""
TIMES = ("as_of", "computed_at", "covers_from")
OPEN_S = 2**62 // 1000
"""Beyond every cohort."""

GROUPS = f"""
SELECT {", ".join(Group._fields)},
  sum(n), {", ".join(f"sum(sum_{name})" for name in SUM_NAMES)}, sum(updates),
  toUnixTimestamp64Milli((
    SELECT if(
      max(as_of) > (SELECT max(as_of) FROM totals
        WHERE tenant_id = {{tenant:String}} AND experiment_id = {{experiment:String}}),
      max(as_of),
      (SELECT max(as_of) FROM slots
        WHERE tenant_id = {{tenant:String}} AND experiment_id = {{experiment:String}}))
    FROM results
    WHERE tenant_id = {{tenant:String}} AND experiment_id = {{experiment:String}} AND view = 'all')),
  toUnixTimestamp(minOrNullIf(cohort, n > 0)) * 1000,
  toUnixTimestamp(maxOrNullIf(cohort, n > 0)) * 1000,
  max(epoch)
FROM slots
WHERE tenant_id = {{tenant:String}} AND experiment_id = {{experiment:String}}
  AND segment IN ('', {{segment:String}})
  AND toUnixTimestamp(cohort) >= {{begin_s:Int64}} AND toUnixTimestamp(cohort) < {{end_s:Int64}}
GROUP BY {", ".join(Group._fields)}
"""
"""What ``jobs/scorecard/book.py`` keeps of groups, over some cohorts.

As of when is told of the whole experiment. While nothing comes, time goes on in ``results`` alone; else slots
are some seconds older than the totals that ``results`` are made of.
"""


def read_slice(settings: Settings, question: Question, cohorts: Cohorts) -> tuple[list[Row], list[Row]]:
    """Results and sample ratio of those of one experiment who were first exposed in these cohorts.

    The rows are as those of the views ``results`` and ``sample_ratio``, without what earlier looks decide. A
    bounded slice has no sequential columns at all, because it is a question asked once.

    Raises:
        UndefinedError: There is no such experiment, segment or config version.
        SliceError: A bound lies inside a cohort, or nobody is in the slice.
        BrokerError, DatabaseError: Kafka, where the definitions are, or ClickHouse does not answer.
    """
    contents = defined(settings, question)
    check_segment(question, contents)
    _check_bounds(question, cohorts, contents)
    book = _book(settings, question, cohorts)
    if not any(group.segment == question.segment for group in book.totals):
        segment = f" with {question.segment}" if question.segment else ""
        raise SliceError(f"nobody in {question.name}{segment} was first exposed in cohorts {cohorts.text}")
    for content in contents:
        book.definitions[content["config_version"]] = Definition.from_json(to_json(content).decode())
    moment = Moment(int(time.time() * 1000), 0, book.as_of_ms)
    answered = answers(book, moment, [ALL if cohorts.is_whole else SLICE])
    results = [_shown(row) for row in answered["result_rows"] if is_asked(row, question)]
    if not results:
        version = question.config_version
        raise SliceError(f"nobody in {question.name}/{version} was first exposed in cohorts {cohorts.text}")
    results.sort(key=lambda row: (row["metric_id"], row["treatment_variant"]))
    columns = result_columns(settings)
    ratios = [_shown(row) for row in answered["sample_ratio_rows"] if row["bots"] == "excluded"]
    return (
        [_of_slots(row, columns) | {"cohorts": cohorts.text} for row in results],
        [row for row in ratios if row["segment"] == question.segment],
    )


def _check_bounds(question: Question, cohorts: Cohorts, contents: Sequence[Content]) -> None:
    if question.segment:
        cohorts.check_between(DAY_HOURS, "every segment")
        return
    for content in contents:
        cohorts.check_between(content["cohort_hours"], f"{question.name}/{content['config_version']}")


def _book(settings: Settings, question: Question, cohorts: Cohorts) -> Book:
    """The sums of the slice, and of everyone in these cohorts; without definitions yet."""
    bounds = {
        "begin_s": -OPEN_S if cohorts.begin_ms is None else cohorts.begin_ms // 1000,
        "end_s": OPEN_S if cohorts.end_ms is None else cohorts.end_ms // 1000,
    }
    with one_line_errors(settings):
        rows = connect(settings).query(GROUPS, parameters=question.parameters | bounds).result_rows
    width, sums = len(Group._fields), len(SUM_NAMES)
    book = Book(epoch=max((row[-1] for row in rows), default=0))
    for row in rows:
        group, n, values = Group(*row[:width]), row[width], row[width + 1 : width + 1 + sums]
        updates, as_of_ms, *ends_ms = row[width + 1 + sums : -1]
        book.totals[group] = Slot.of(Amount(n, tuple(values), updates), as_of_ms)
        book.spreads[group] = Spread(updates, as_of_ms, *ends_ms)
    return book


def is_asked(row: Mapping[str, Any], question: Question) -> bool:
    """Whether a row of the job answers the question, whatever its cohorts."""
    return (row["policy"], row["segment"], row["config_version"]) == (
        question.policy,
        question.segment,
        question.config_version,
    )


def _of_slots(row: Row, columns: Sequence[str]) -> Row:
    """A row in the view's columns, of which the slots alone do not tell all."""
    return {name: None if name in LOOKED_AT else row.get(name) for name in columns}


def _shown(row: Row) -> Row:
    """A row of the job with its times as the views' readers see them."""
    times = {name: row[name] for name in TIMES if row.get(name) is not None}
    return row | {name: plain(datetime.fromtimestamp(ms / 1000, UTC)) for name, ms in times.items()}
