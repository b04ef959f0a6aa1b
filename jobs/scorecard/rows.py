"""From everything known of an experiment to the rows that say it: a pure function.

Users come from the exposure slots (metric ``''``), sums from the metric slots; slots are disjoint, so
every row is made of sums of groups. The statistics are ``udfs.stats``'; here is decided only what is
compared with what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

from jobs.scorecard.book import Book, Definition, Metric
from udfs.stats import SUM_NAMES, Allocation, Comparison, Moments, Reason, Undetermined, compare, sample_ratio

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
    *("seq_ci_lower", "seq_ci_upper", "seq_p_value", "seq_log_e", "p_adjusted"),
    *("chance_to_win", "expected_loss", "mde"),
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

LEAK = "leak"
"""Reason of a sample ratio: there are users in a variant of weight 0."""

NO_SUMS = (0,) * len(SUM_NAMES)

Row = dict[str, Any]


class Moment(NamedTuple):
    """When an answer is given."""

    now_ms: int
    version: int
    """Greater than that of every earlier answer."""


class Arm(NamedTuple):
    """The users of one version and variant."""

    config_version: int
    variant_id: str


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

    @cached_property
    def reason(self) -> Reason | None:
        """Why it is not answered at all."""
        meanings = {
            (metric.meaning, definition.pre_period_days, definition.control)
            for definition, metric in self.parts
        }
        return Reason.METRIC_CHANGED if len(meanings) > 1 else None


class Question(NamedTuple):
    """A subject, and who counts."""

    subject: Subject
    segment: str
    policy: str

    @property
    def is_asked_once(self) -> bool:
        """A question beside the main one: without sequential columns, family and decisions."""
        return self.segment != "" or self.policy != "first_seen"

    @property
    def family(self) -> int | None:
        """The goals of the experiment as a whole are adjusted together."""
        is_goal = self.subject.newest[1].role == "goal" and COMBINED in self.subject.config_versions
        return COMBINED if is_goal and not self.is_asked_once and not self.subject.reason else None


def answers(book: Book, moment: Moment) -> dict[str, list[Row]]:
    """All rows of an experiment, by ClickHouse table; none before a definition and a slot of it are known."""
    sums = Sums(book)
    if not sums.definitions:
        return {}
    common = {
        "tenant_id": sums.definitions[0].tenant_id,
        "experiment_id": sums.definitions[0].experiment_id,
        "as_of": max(totals.as_of_ms for totals in book.totals.values()),
        "computed_at": moment.now_ms,
        "slot_updates": sum(totals.updates for totals in book.totals.values()),
        "version": moment.version,
    }
    regions = sorted({group.region for group in book.totals})
    results = [{**common, "regions": regions, **row} for row in _results(sums)]
    return {"result_rows": results, "sample_ratio_rows": [{**common, **row} for row in _ratios(sums)]}


class Sums:
    """The book's groups added over regions, and what they are groups of."""

    def __init__(self, book: Book) -> None:
        seen = {group.config_version for group in book.totals}
        ordered = sorted(book.definitions.items())
        self.definitions: tuple[Definition, ...] = tuple(each for version, each in ordered if version in seen)
        """Of the versions that have slots, oldest first."""
        if ordered:
            self.first = ordered[0][1]
            """Alpha and planned units are the first version's, which later ones cannot change."""
        self.segments = sorted({group.segment for group in book.totals} | {""})
        self._users: dict[tuple[Arm, str, str], int] = {}
        self._sums: dict[tuple[Arm, str, str, str], tuple[int, ...]] = {}
        for group, totals in book.totals.items():
            arm = Arm(group.config_version, group.variant_id)
            if group.metric_id:
                place = (arm, group.segment, group.unit_class, group.metric_id)
                self._sums[place] = _added(self._sums.get(place, NO_SUMS), totals.sums)
            else:
                users = (arm, group.segment, group.unit_class)
                self._users[users] = self._users.get(users, 0) + totals.n

    def users(self, arm: Arm, segment: str, classes: Iterable[str]) -> int:
        """Users of these classes."""
        return sum(self._users.get((arm, segment, unit_class), 0) for unit_class in classes)

    def moments(self, arm: Arm, metric_id: str, segment: str, classes: Iterable[str]) -> Moments:
        """Sums of a metric over the users of these classes, those without outcomes too."""
        sums = NO_SUMS
        for unit_class in classes:
            found = self._sums.get((arm, segment, unit_class, metric_id))
            if found:
                sums = _added(sums, found)
        return Moments(self.users(arm, segment, classes), sums)

    def variants(self, definition: Definition, segment: str, classes: Iterable[str]) -> dict[str, int]:
        """Users of each variant of a version, the control's first."""
        named = (definition.control, *definition.treatments)
        version = definition.config_version
        return {variant: self.users(Arm(version, variant), segment, classes) for variant in named}


def _results(sums: Sums) -> Iterator[Row]:
    subjects = list(_subjects(sums.definitions))
    questions = [Question(*each) for each in product(subjects, sums.segments, POLICIES)]
    answered = compare([_comparison(sums, question) for question in questions]).rows()
    for question, answer in zip(questions, answered, strict=True):
        for config_version in question.subject.config_versions:
            yield {"config_version": config_version, **_result(question, answer)}


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


def _comparison(sums: Sums, question: Question) -> Comparison:
    definition, metric = question.subject.newest
    classes = POLICIES[question.policy]

    def arm(part: Definition, variant_id: str) -> Moments:
        return sums.moments(Arm(part.config_version, variant_id), metric.metric_id, question.segment, classes)

    return Comparison(
        kind=metric.kind,
        strata=tuple(
            (arm(part, part.control), arm(part, question.subject.treatment))
            for part, _ in question.subject.parts
        ),
        has_covariate=definition.pre_period_days > 0,
        alpha=sums.first.alpha,
        direction=metric.direction,
        planned_units=sums.first.planned_units,
        shares=question.subject.parts[0][0].shares(question.subject.treatment),
        one_look=question.is_asked_once,
        family=question.family,
        margin=metric.margin or 0.0,
        margin_abs=metric.margin_abs or 0.0,
    )


def _result(question: Question, answer: Mapping[str, Any]) -> Row:
    definition, metric = question.subject.newest
    reason = question.subject.reason
    return {
        "view": "all",
        "policy": question.policy,
        "segment": question.segment,
        "metric_id": metric.metric_id,
        "treatment_variant": question.subject.treatment,
        "control_variant": definition.control,
        "n_control": answer["n_control"],
        "n_treatment": answer["n_treatment"],
        **{name: None if reason else answer[name] for name in STATISTICS},
        # Outcomes of users in this view may still come.
        "seq_basis": None if reason or answer["seq_p_value"] is None else "accruing",
        "status": "undetermined" if reason else answer["status"],
        "reason": reason or answer["reason"] or "",
    }


def _ratios(sums: Sums) -> Iterator[Row]:
    for segment, (bots, classes) in product(sums.segments, BOTS.items()):
        yield {"segment": segment, "bots": bots, **_ratio(sums, segment, classes)}


def _ratio(sums: Sums, segment: str, classes: Sequence[str]) -> Row:
    allocations = [
        Allocation(sums.variants(definition, segment, classes), definition.weights)
        for definition in sums.definitions
    ]
    found = sample_ratio(allocations)
    counts: Counter[str] = Counter()
    for allocation in allocations:
        counts.update(allocation.counts)
    expected: Mapping[str, float] = {}
    p_value, status, reason = None, "undetermined", ""
    if isinstance(found, Undetermined):
        reason = found.reason
    else:
        expected, p_value, status = found.expected, found.p_value, "ok"
    if any(allocation.leaked for allocation in allocations):
        reason = LEAK
    sequential = None if isinstance(found, Undetermined) else found.sequential_p_value
    return {
        "variants": list(counts),
        "counts": list(counts.values()),
        "expected": [float(expected.get(variant, 0.0)) for variant in counts],
        "chi2_p_value": p_value,
        "seq_p_value": sequential,
        "status": status,
        "reason": reason,
    }


def _added(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(int.__add__, left, right))
