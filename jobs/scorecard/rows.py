"""From everything known of an experiment to the rows that say it: a pure function.

Users come from the exposure slots (metric ``''``), sums from the metric slots; slots are disjoint, so
every row is made of sums of groups. What is asked is in ``agenda.py``, the statistics are ``udfs.stats``'.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, product
from typing import Any, NamedTuple, Self

import numpy as np

from jobs.scorecard.agenda import (
    ALL,
    BESIDE_ALL,
    MATURED,
    POLICIES,
    SLICE,
    Agenda,
    Begun,
    Ground,
    Question,
)
from jobs.scorecard.book import Book
from jobs.scorecard.cuts import ROLLING, Cuts, matured
from jobs.scorecard.definitions import DAY_MS, HOUR_MS, Definition, Metric
from jobs.scorecard.looks import Key
from jobs.scorecard.sums import Sums
from udfs.stats import (
    Allocation,
    Comparison,
    Moments,
    Pairs,
    Reason,
    Undetermined,
    compare_pairs,
    crossed_balance,
    sample_ratio,
)

BOTS: Mapping[str, tuple[str, ...]] = {
    "excluded": ("clean", "crossed"),
    "included": ("clean", "crossed", "bot"),
}

STATISTICS = (
    *("mean_control", "mean_treatment", "abs_diff", "abs_ci_lower", "abs_ci_upper"),
    *("rel_diff", "rel_ci_lower", "rel_ci_upper", "p_value", "small_ci_lower", "small_ci_upper"),
    *("seq_ci_lower", "seq_ci_upper", "seq_rel_diff", "seq_rel_ci_lower", "seq_rel_ci_upper"),
    *("seq_p_value", "seq_log_e", "p_adjusted"),
    *("chance_to_win", "expected_loss", "mde", "days_left"),
    *(
        "cuped_abs_diff",
        "cuped_ci_lower",
        "cuped_ci_upper",
        "cuped_p_value",
        "cuped_theta",
        "variance_reduction",
    ),
)
"""Columns of ``result_rows`` that ``udfs.stats`` fills; those not written are absent (NULL)."""

BESIDE_ROWS = ("harm_log_e", "noninferior_log_e", "distance", "distance_upper")
"""What decisions need to know, too."""

CROSSED_ALPHA = 0.001
"""Below it crossed users are unbalanced: the sample ratio's limit, which also asks if data can be trusted."""

EMISSION_BITS = 52
"""Of a version, below the epoch: microseconds since 1970, enough until the year 2112."""

Row = dict[str, Any]


class Moment(NamedTuple):
    """When an answer is given."""

    now_ms: int
    version: int
    """Greater than that of every earlier answer."""
    as_of_ms: int
    """Append time up to which events are counted in view ``all``; the book knows of the others."""


@dataclass(frozen=True)
class View:
    """Which users count, by the time of their exposure."""

    name: str
    sums: Callable[[Metric], Sums]
    """Those who count for a metric."""

    @classmethod
    def of(cls, name: str, book: Book, everyone: Sums) -> Self:
        """A view of a book whose cuts hold at the moment of the answer."""
        if name in (ALL, SLICE):
            return cls(name, lambda _: everyone)
        cuts = book.cuts or Cuts.of(())
        if name in ROLLING:
            rolling = Sums(book, cuts.by_rule[ROLLING[name]].sums)
            return cls(name, lambda _: rolling)
        windows = {metric.window_ms for each in everyone.definitions for metric in each.metrics}
        by_window = {
            window_ms: Sums(book, {} if window_ms is None else cuts.by_rule[matured(window_ms)].sums)
            for window_ms in windows
        }
        return cls(name, lambda metric: by_window[metric.window_ms])


class Answered(NamedTuple):
    """One row of results, and what it was made of."""

    row: Row
    question: Question
    asked: Comparison
    """As yet of nobody."""
    strata: tuple[tuple[Moments, Moments], ...]
    found: Mapping[str, Any]
    """What the statistics say ``BESIDE_ROWS``."""

    @property
    def comparison(self) -> Comparison:
        """What was asked, of whom."""
        return replace(self.asked, strata=self.strata)

    @property
    def key(self) -> Key:
        """What its sequential test goes by."""
        return self.question.key(self.row["config_version"])


class Allocated(NamedTuple):
    """One row of the sample ratio, and what it was made of."""

    row: Row
    allocations: Sequence[Allocation]
    log_e: float | None


@dataclass(frozen=True)
class Card:
    """Everything there is to say of a book at one moment."""

    book: Book
    newest: Definition
    """Of the versions that have slots."""
    moment: Moment
    views: Sequence[str]
    results: list[Answered]
    ratios: list[Allocated]
    """None without view ``all``."""

    @cached_property
    def main(self) -> list[Answered]:
        """The rows that are looked at again and again."""
        return [each for each in self.results if not each.question.is_asked_once]

    @property
    def tables(self) -> dict[str, list[Row]]:
        """The rows by ClickHouse table."""
        return {
            "result_rows": [each.row for each in self.results],
            "sample_ratio_rows": [each.row for each in self.ratios],
        }


def answers(book: Book, moment: Moment, views: Sequence[str] = (ALL,)) -> dict[str, list[Row]]:
    """The rows of ``fill`` by ClickHouse table, without what only several looks can tell."""
    card = fill(book, moment, views)
    return card.tables if card else {}


def fill(
    book: Book, moment: Moment, views: Sequence[str] = (ALL,), begun: Begun = lambda *place: None
) -> Card | None:
    """The card of these views; none before a definition and a slot of it are known.

    The sample ratio goes with views ``all`` and ``slice``; the other views are what the book's cuts say.
    """
    sums = Sums(book)
    if not sums.definitions:
        return None
    common = {
        "tenant_id": sums.definitions[0].tenant_id,
        "experiment_id": sums.definitions[0].experiment_id,
        "epoch": book.epoch,
        "computed_at": moment.now_ms,
        "version": moment.version,
    }
    regions = sorted({group.region for group in book.totals})
    covered = {"covers_from": sums.first_cohort_ms(), "regions": regions}
    everyone = {"as_of": moment.as_of_ms, "slot_updates": book.updates}
    some = {"as_of": book.moved_to_ms, "slot_updates": book.slot_updates}
    told = {name: common | covered | (some if name in BESIDE_ALL else everyone) for name in views}
    results = list(_views(book, sums, told, begun))
    ratios = (
        [each._replace(row={**common, **everyone, **each.row}) for each in _ratios(sums)]
        if {ALL, SLICE} & set(views)
        else []
    )
    return Card(book, sums.definitions[-1], moment, views, results, ratios)


def _views(book: Book, sums: Sums, told: Mapping[str, Row], begun: Begun) -> Iterator[Answered]:
    """The rows of each view, with what is told of it; of two rolling views of the same users made once."""
    twins = [name for name in ROLLING if name in told and book.cuts is not None]
    users = {frozenset(book.cuts.by_rule[ROLLING[name]].inside) for name in twins} if book.cuts else set()
    twin = twins.pop() if len(users) < len(twins) else None
    for each in _results(book, sums, {name: cells for name, cells in told.items() if name != twin}, begun):
        yield each
        if twin and each.question.view in twins:
            yield Answered({**each.row, "view": twin}, *each[1:])


def _agenda(book: Book, sums: Sums, views: tuple[str, ...], begun: Begun) -> Agenda:
    """The book's agenda of these views, made anew where it no longer holds."""
    ground, agenda = Ground.of(sums), book.agendas.get(views)
    if agenda is None or not agenda.holds(ground, begun):
        agenda = book.agendas[views] = Agenda.of(ground, views, begun)
    return agenda


def _results(book: Book, sums: Sums, told: Mapping[str, Row], begun: Begun) -> Iterator[Answered]:
    agenda = _agenda(book, sums, tuple(told), begun)
    views = {name: View.of(name, book, sums) for name in told}
    asked = [(views[question.view], question, told[question.view]) for question in agenda.questions]
    strata = [_strata(view, question) for view, question, _ in asked]
    users_per_day = [_users_per_day(sums, view, question, cells["as_of"]) for view, question, cells in asked]
    found = compare_pairs(
        Pairs.from_moments(list(chain.from_iterable(strata)), agenda.kinds),
        replace(agenda.asked, users_per_day=np.array(users_per_day, dtype=np.float64)),
        counts=agenda.counts,
    )
    names = ("n_control", "n_treatment", "status", "reason", *STATISTICS, *BESIDE_ROWS)
    crossed: dict[tuple[object, ...], float | None] = {}
    for (view, question, common), comparison, pairs, *cells in zip(
        asked, agenda.comparisons, strata, *found.cells(names), strict=True
    ):
        who = (view.sums(metric) for _, metric in question.subject.parts)
        place = question.subject.versions, question.segment, *who
        if place not in crossed:
            crossed[place] = _crossed_p_value(view, question)
        answer = dict(zip(names, cells, strict=True))
        beside = {name: answer.pop(name) for name in BESIDE_ROWS}
        basis = _basis(view, question, answer["seq_p_value"], common["as_of"])
        row = {**common, **question.cells, **answer, **_limits(question, answer, crossed[place])}
        for config_version in question.subject.config_versions:
            of_version = {**row, "config_version": config_version, "seq_basis": basis}
            yield Answered(of_version, question, comparison, pairs, beside)


def _strata(view: View, question: Question) -> tuple[tuple[Moments, Moments], ...]:
    """Control and treatment of each version."""
    classes = POLICIES[question.policy]
    return tuple(
        (
            view.sums(metric).moments(control, metric.metric_id, question.segment, classes),
            view.sums(metric).moments(treatment, metric.metric_id, question.segment, classes),
        )
        for metric, control, treatment in question.subject.arms
    )


def _basis(view: View, question: Question, seq_p_value: float | None, as_of_ms: int) -> str | None:
    """Whether outcomes of the users in a sequential answer may still come."""
    if question.reason or seq_p_value is None:
        return None
    is_settled = all(
        view.sums(metric).is_settled(definition, metric, as_of_ms)
        for definition, metric in question.subject.parts
    )
    return "matured" if is_settled or view.name == MATURED else "accruing"


def _crossed_p_value(view: View, question: Question) -> float | None:
    """p of: all variants of a version have equal shares of crossed users; none if nobody crossed, or all."""

    def users(classes: Sequence[str]) -> list[Mapping[str, int]]:
        return [
            view.sums(metric).variants(definition, question.segment, classes)
            for definition, metric in question.subject.parts
        ]

    found = crossed_balance(users(["crossed"]), users(POLICIES["first_seen"]))
    return None if isinstance(found, Undetermined) else found


def _users_per_day(sums: Sums, view: View, question: Question, as_of_ms: int) -> float | None:
    """New users a day in both arms since the earliest cohort; none where their end is known or time is short.

    Users came at any time in a cohort's width, so the rate is up to that much too low, and less with every
    hour; before one hour beyond that width there is none. Users mature a window after they came.
    """
    subject = question.subject
    if question.is_asked_once or sums.has_an_end or not subject.is_current:
        return None
    since_ms = sums.first_cohort_ms(subject.versions)
    if since_ms is None:
        return None
    delay_ms = (subject.newest[1].window_ms or 0) if view.name == MATURED else 0
    elapsed_ms = as_of_ms - since_ms - delay_ms
    if elapsed_ms < HOUR_MS * (1 + max(part.cohort_hours for part, _ in subject.parts)):
        return None
    classes = POLICIES[question.policy]
    users = sum(
        view.sums(metric).users(arm, question.segment, classes)
        for metric, *arms in question.subject.arms
        for arm in arms
    )
    return users * DAY_MS / elapsed_ms


def _limits(question: Question, answer: Row, crossed_p_value: float | None) -> Row:
    """How far the answer goes, and the columns of several looks, which ``verdicts.py`` fills in."""
    is_unbalanced = crossed_p_value is not None and crossed_p_value < CROSSED_ALPHA
    leaves_out = question.policy == "exclude_crossed" and answer["status"] == "ok"
    limit = Reason.CROSSED_UNBALANCED if is_unbalanced and leaves_out else answer["reason"]
    limits = {
        "seq_p_min": None,
        "crossed_at": None,
        "crossed_p_value": crossed_p_value,
        "reason": question.reason or limit or "",
    }
    return limits | dict.fromkeys(STATISTICS) | {"status": "undetermined"} if question.reason else limits


def _ratios(sums: Sums) -> Iterator[Allocated]:
    for segment, (bots, classes) in product(sums.segments, BOTS.items()):
        ratio = _ratio(sums, segment, classes)
        yield ratio._replace(row={"segment": segment, "bots": bots, **ratio.row})


def _ratio(sums: Sums, segment: str, classes: Sequence[str]) -> Allocated:
    allocations = [
        Allocation(sums.variants(definition, segment, classes), definition.weights)
        for definition in sums.definitions
    ]
    found = sample_ratio(allocations)
    counts: Counter[str] = Counter()
    for allocation in allocations:
        counts.update(allocation.counts)
    expected: Mapping[str, float] = {}
    p_value, sequential, log_e, status = None, None, None, "undetermined"
    if not isinstance(found, Undetermined):
        expected, p_value, sequential, status = found.expected, found.p_value, found.sequential_p_value, "ok"
        log_e = found.log_e_value
    row = {
        "variants": list(counts),
        "counts": list(counts.values()),
        "expected": [float(expected.get(variant, 0.0)) for variant in counts],
        "chi2_p_value": p_value,
        "seq_p_value": sequential,
        "seq_p_min": None,
        "status": status,
        "reason": found.reason or "",
    }
    return Allocated(row, allocations, log_e)
