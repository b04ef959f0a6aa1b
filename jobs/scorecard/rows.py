"""From everything known of an experiment to the rows that say it: a pure function.

Users come from the exposure slots (metric ``''``), sums from the metric slots; slots are disjoint, so
every row is made of sums of groups. The statistics are ``udfs.stats``'; here is decided only what is
compared with what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple, Self

from jobs.scorecard.book import Book
from jobs.scorecard.cuts import ROLLING, Cuts, matured
from jobs.scorecard.definitions import DAY_MS, HOUR_MS, Definition, Metric
from jobs.scorecard.looks import Frozen
from jobs.scorecard.slots import Cohort
from jobs.scorecard.sums import Arm, Sums
from udfs.stats import (
    Allocation,
    Comparison,
    Moments,
    Reason,
    Undetermined,
    compare,
    crossed_balance,
    sample_ratio,
)

COMBINED = 0
"""The ``config_version`` of rows over all versions together."""

POLICIES: Mapping[str, tuple[str, ...]] = {
    "first_seen": ("clean", "crossed"),
    "exclude_crossed": ("clean",),
}
"""Which classes of users count, by policy."""

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

CROSSED_ALPHA = 0.001
"""Below it crossed users are unbalanced: the sample ratio's limit, which also asks if data can be trusted."""

ALL, MATURED = "all", "matured"
BESIDE_ALL = (MATURED, *ROLLING)
VIEWS = (ALL, *BESIDE_ALL)
ASKED_AGAIN_AND_AGAIN = (ALL, MATURED)
"""Views with sequential columns: their users do not leave."""
SLICE = "slice"
"""Everyone of a book that holds some cohorts only, on somebody's demand."""

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
class Subject:
    """What is compared, whoever counts: a metric and a treatment over the versions that have both."""

    config_versions: tuple[int, ...]
    """Under which the rows are filed."""
    parts: tuple[tuple[Definition, Metric], ...]
    """Oldest version first."""
    treatment: str

    @property
    def newest(self) -> tuple[Definition, Metric]:
        """The definition whose names the rows bear."""
        return self.parts[-1]

    @property
    def versions(self) -> tuple[int, ...]:
        """Whose users are compared."""
        return tuple(definition.config_version for definition, _ in self.parts)

    @cached_property
    def reason(self) -> Reason | None:
        """Why it is not answered at all."""
        meanings = {
            (metric.meaning, definition.pre_period_days, definition.control)
            for definition, metric in self.parts
        }
        return Reason.METRIC_CHANGED if len(meanings) > 1 else None


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


class Question(NamedTuple):
    """A subject, and who counts."""

    subject: Subject
    view: View
    segment: str
    policy: str

    @property
    def is_asked_once(self) -> bool:
        """A question beside the main ones: without sequential columns, family and decisions."""
        is_main = self.segment == "" and self.policy == "first_seen"
        return not is_main or self.view.name not in ASKED_AGAIN_AND_AGAIN

    @property
    def reason(self) -> Reason | None:
        """Why it is not answered at all."""
        never = self.view.name == MATURED and self.subject.newest[1].window_ms is None
        return self.subject.reason or (Reason.NEVER_MATURES if never else None)

    @property
    def parts(self) -> Iterator[tuple[Definition, Sums]]:
        """The versions, and the users of each who count."""
        return ((definition, self.view.sums(metric)) for definition, metric in self.subject.parts)

    @property
    def family(self) -> int | None:
        """The goals of the experiment as a whole are adjusted together."""
        is_goal = self.subject.newest[1].role == "goal" and COMBINED in self.subject.config_versions
        return COMBINED if is_goal and not self.is_asked_once and not self.subject.reason else None


class Answered(NamedTuple):
    """One row of results, and what it was made of."""

    row: Row
    question: Question
    comparison: Comparison
    found: Mapping[str, Any]
    """The row of ``udfs.stats.Scorecard``, which has more columns than ``results``."""


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

    @property
    def tables(self) -> dict[str, list[Row]]:
        """The rows by ClickHouse table."""
        return {
            "result_rows": [each.row for each in self.results],
            "sample_ratio_rows": [each.row for each in self.ratios],
        }


Begun = Callable[[str, int, str, str], Frozen | None]
"""What the sequential test of (view, config version, metric, treatment) was begun with, if it was."""


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
    told = {name: some if name in BESIDE_ALL else everyone for name in views}
    results = [
        each._replace(row={**common, **covered, **told[each.row["view"]], **each.row})
        for each in _views(book, sums, {name: told[name]["as_of"] for name in views}, begun)
    ]
    ratios = (
        [each._replace(row={**common, **everyone, **each.row}) for each in _ratios(sums)]
        if {ALL, SLICE} & set(views)
        else []
    )
    return Card(book, sums.definitions[-1], moment, views, results, ratios)


def _views(book: Book, sums: Sums, as_of_ms: Mapping[str, int], begun: Begun) -> Iterator[Answered]:
    """The rows of each view as of its moment, computed once for two rolling views of the same users."""
    rolling: dict[frozenset[Cohort], list[Answered]] = {}
    for name, moment_ms in as_of_ms.items():
        view = View.of(name, book, sums)
        if name not in ROLLING or book.cuts is None:
            yield from _results(sums, view, moment_ms, begun)
            continue
        users = frozenset(book.cuts.by_rule[ROLLING[name]].inside)
        if users not in rolling:
            rolling[users] = list(_results(sums, view, moment_ms, begun))
        yield from (each._replace(row={**each.row, "view": name}) for each in rolling[users])


def _results(sums: Sums, view: View, as_of_ms: int, begun: Begun) -> Iterator[Answered]:
    subjects = list(_subjects(sums.definitions))
    questions = [Question(*each) for each in product(subjects, [view], sums.segments, POLICIES)]
    comparisons = [_comparison(sums, question, as_of_ms, begun) for question in questions]
    crossed: dict[tuple[object, ...], float | None] = {}
    for question, comparison, answer in zip(questions, comparisons, compare(comparisons).rows(), strict=True):
        place = *((part.config_version, users) for part, users in question.parts), question.segment
        if place not in crossed:
            crossed[place] = _crossed_p_value(question)
        row = _result(question, answer, crossed[place]) | {"seq_basis": _basis(question, answer, as_of_ms)}
        for config_version in question.subject.config_versions:
            yield Answered({"config_version": config_version, **row}, question, comparison, answer)


def _basis(question: Question, answer: Mapping[str, Any], as_of_ms: int) -> str | None:
    """Whether outcomes of the users in a sequential answer may still come."""
    if question.reason or answer["seq_p_value"] is None:
        return None
    is_settled = all(
        question.view.sums(metric).is_settled(definition, metric, as_of_ms)
        for definition, metric in question.subject.parts
    )
    return "matured" if is_settled or question.view.name == MATURED else "accruing"


def _crossed_p_value(question: Question) -> float | None:
    """p of: all variants of a version have equal shares of crossed users; none if nobody crossed, or all."""

    def users(classes: Sequence[str]) -> list[Mapping[str, int]]:
        return [sums.variants(each, question.segment, classes) for each, sums in question.parts]

    found = crossed_balance(users(["crossed"]), users(POLICIES["first_seen"]))
    return None if isinstance(found, Undetermined) else found


def _users_per_day(sums: Sums, question: Question, as_of_ms: int) -> float | None:
    """New users a day in both arms since the earliest cohort; none where no more come or time is short.

    Users came at any time in a cohort's width, so the rate is up to that much too low, and less with every
    hour; before one hour beyond that width there is none. Users mature a window after they came.
    """
    subject = question.subject
    since_ms = sums.first_cohort_ms(subject.versions)
    if question.is_asked_once or since_ms is None or subject.newest[0] is not sums.definitions[-1]:
        return None
    delay_ms = (subject.newest[1].window_ms or 0) if question.view.name == MATURED else 0
    elapsed_ms = as_of_ms - since_ms - delay_ms
    if elapsed_ms < HOUR_MS * (1 + max(part.cohort_hours for part, _ in subject.parts)):
        return None
    classes = POLICIES[question.policy]
    users = sum(
        counted.users(Arm(part.config_version, variant), question.segment, classes)
        for part, counted in question.parts
        for variant in (part.control, subject.treatment)
    )
    return users * DAY_MS / elapsed_ms


def _subjects(definitions: Sequence[Definition]) -> Iterator[Subject]:
    """Every metric and treatment: each version alone, and all together. One version alone is both."""
    parts: dict[tuple[str, str], list[tuple[Definition, Metric]]] = {}
    for definition in definitions:
        for metric, treatment in product(definition.metrics, definition.treatments):
            parts.setdefault((metric.metric_id, treatment), []).append((definition, metric))
    for (_, treatment), found in parts.items():
        for part in found:
            alone = (part[0].config_version,) if len(found) > 1 else (part[0].config_version, COMBINED)
            yield Subject(alone, (part,), treatment)
        if len(found) > 1:
            yield Subject((COMBINED,), tuple(found), treatment)


def _comparison(sums: Sums, question: Question, as_of_ms: int, begun: Begun) -> Comparison:
    definition, metric = question.subject.newest
    frozen = begun(
        question.view.name,
        question.subject.config_versions[-1],
        metric.metric_id,
        question.subject.treatment,
    )
    if frozen is None:
        shares = question.subject.parts[0][0].shares(question.subject.treatment)
        frozen = Frozen(sums.first.alpha, sums.first.planned_units, *shares)
    classes = POLICIES[question.policy]

    def arm(part: Definition, users: Sums, variant_id: str) -> Moments:
        place = Arm(part.config_version, variant_id)
        return users.moments(place, metric.metric_id, question.segment, classes)

    return Comparison(
        kind=metric.kind,
        strata=tuple(
            (arm(part, users, part.control), arm(part, users, question.subject.treatment))
            for part, users in question.parts
        ),
        has_covariate=definition.pre_period_days > 0,
        alpha=frozen.alpha,
        direction=metric.direction,
        planned_units=frozen.planned_units,
        shares=(frozen.control_share, frozen.treatment_share),
        one_look=question.is_asked_once,
        family=question.family,
        margin=metric.margin or 0.0,
        margin_abs=metric.margin_abs or 0.0,
        stop_level=definition.stop_level if metric.stop and not question.is_asked_once else None,
        users_per_day=_users_per_day(sums, question, as_of_ms),
    )


def _result(question: Question, answer: Mapping[str, Any], crossed_p_value: float | None) -> Row:
    definition, metric = question.subject.newest
    reason = question.reason
    is_unbalanced = crossed_p_value is not None and crossed_p_value < CROSSED_ALPHA
    leaves_out = question.policy == "exclude_crossed" and answer["status"] == "ok"
    limit = Reason.CROSSED_UNBALANCED if is_unbalanced and leaves_out else answer["reason"]
    return {
        "view": question.view.name,
        "policy": question.policy,
        "segment": question.segment,
        "metric_id": metric.metric_id,
        "treatment_variant": question.subject.treatment,
        "control_variant": definition.control,
        "n_control": answer["n_control"],
        "n_treatment": answer["n_treatment"],
        **{name: None if reason else answer[name] for name in STATISTICS},
        # Of several looks; ``verdicts.py`` fills them in.
        "seq_p_min": None,
        "crossed_at": None,
        "crossed_p_value": crossed_p_value,
        "status": "undetermined" if reason else answer["status"],
        "reason": reason or limit or "",
    }


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
