"""What is asked of an experiment, whoever counts: decided once, and answered again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from jobs.scorecard.cuts import ROLLING
from jobs.scorecard.definitions import Definition, Metric
from jobs.scorecard.looks import Frozen, Key
from jobs.scorecard.sums import Arm, Sums
from udfs.stats import Comparison, Kind, Moments, Questions, Reason

COMBINED = 0
"""The ``config_version`` of rows over all versions together."""

POLICIES: Mapping[str, tuple[str, ...]] = {
    "first_seen": ("clean", "crossed"),
    "exclude_crossed": ("clean",),
}
"""Which classes of users count, by policy."""

ALL, MATURED = "all", "matured"
BESIDE_ALL = (MATURED, *ROLLING)
VIEWS = (ALL, *BESIDE_ALL)
ASKED_AGAIN_AND_AGAIN = (ALL, MATURED)
"""Views with sequential columns: their users do not leave."""
SLICE = "slice"
"""Everyone of a book that holds some cohorts only, on somebody's demand."""


Begun = Callable[[str, int, str, str], Frozen | None]
"""What the sequential test of (view, config version, metric, treatment) was begun with, if it was."""


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
class Question:
    """A subject, and who counts."""

    subject: Subject
    view: str
    segment: str
    policy: str

    @cached_property
    def is_asked_once(self) -> bool:
        """A question beside the main ones: without sequential columns, family and decisions."""
        is_main = self.segment == "" and self.policy == "first_seen"
        return not is_main or self.view not in ASKED_AGAIN_AND_AGAIN

    @cached_property
    def reason(self) -> Reason | None:
        """Why it is not answered at all."""
        never = self.view == MATURED and self.subject.newest[1].window_ms is None
        return self.subject.reason or (Reason.NEVER_MATURES if never else None)

    @cached_property
    def family(self) -> int | None:
        """The goals of the experiment as a whole are adjusted together."""
        is_goal = self.subject.newest[1].role == "goal" and COMBINED in self.subject.config_versions
        return COMBINED if is_goal and not self.is_asked_once and not self.subject.reason else None

    @cached_property
    def arms(self) -> Sequence[tuple[Metric, Arm, Arm]]:
        """Of each version the metric, the control and the treatment."""
        treatment = self.subject.treatment
        return [
            (metric, Arm(part.config_version, part.control), Arm(part.config_version, treatment))
            for part, metric in self.subject.parts
        ]

    @cached_property
    def keys(self) -> Mapping[int, Key]:
        """What its sequential test goes by, for each config version of its rows."""
        metric_id, treatment = self.subject.newest[1].metric_id, self.subject.treatment
        return {
            version: ("difference", self.view, version, metric_id, treatment)
            for version in self.subject.config_versions
        }

    @cached_property
    def cells(self) -> Mapping[str, str]:
        """What its rows say of it."""
        definition, metric = self.subject.newest
        return {
            "view": self.view,
            "policy": self.policy,
            "segment": self.segment,
            "metric_id": metric.metric_id,
            "treatment_variant": self.subject.treatment,
            "control_variant": definition.control,
        }

    def comparison(self, frozen: Frozen) -> Comparison:
        """The question in the terms of statistics, as yet of nobody."""
        definition, metric = self.subject.newest
        return Comparison(
            kind=metric.kind,
            strata=((Moments(), Moments()),) * len(self.subject.parts),
            has_covariate=definition.pre_period_days > 0,
            alpha=frozen.alpha,
            direction=metric.direction,
            planned_units=frozen.planned_units,
            shares=(frozen.control_share, frozen.treatment_share),
            one_look=self.is_asked_once,
            family=self.family,
            margin=metric.margin or 0.0,
            margin_abs=metric.margin_abs or 0.0,
            stop_level=definition.stop_level if metric.stop and not self.is_asked_once else None,
        )


class Ground(NamedTuple):
    """What an agenda is made of."""

    definitions: tuple[Definition, ...]
    """Of the versions that have slots, oldest first."""
    first: Definition
    """Alpha and planned units are the first version's, which later ones cannot change."""
    segments: tuple[str, ...]

    @classmethod
    def of(cls, sums: Sums) -> Self:
        """The ground of everyone's sums."""
        return cls(sums.definitions, sums.first, tuple(sums.segments))


@dataclass(frozen=True)
class Agenda:
    """The questions of one view; they hold while versions, segments and what tests were begun with do."""

    ground: Ground
    subjects: Sequence[Subject]
    frozen: Sequence[Frozen]
    """By subject."""
    questions: Sequence[Question]
    comparisons: Sequence[Comparison]
    """The questions as yet of nobody."""

    @classmethod
    def of(cls, ground: Ground, view: str, begun: Begun) -> Self:
        """All questions: each subject in each segment by each policy."""
        subjects = list(_subjects(ground.definitions))
        frozen = [_frozen(ground, each, view, begun) for each in subjects]
        asked = [
            (Question(subject, view, segment, policy), start)
            for (subject, start), segment, policy in product(
                zip(subjects, frozen, strict=True), ground.segments, POLICIES
            )
        ]
        comparisons = [question.comparison(start) for question, start in asked]
        return cls(ground, subjects, frozen, [question for question, _ in asked], comparisons)

    def holds(self, ground: Ground, view: str, begun: Begun) -> bool:
        """Whether it would be the same now."""
        return self.ground == ground and self.frozen == [
            _frozen(ground, each, view, begun) for each in self.subjects
        ]

    @cached_property
    def asked(self) -> Questions:
        """The comparisons as arrays."""
        return Questions.of(self.comparisons)

    @cached_property
    def kinds(self) -> Sequence[Kind]:
        """Of each question and version."""
        return [each.kind for each in self.comparisons for _ in each.strata]

    @cached_property
    def counts(self) -> NDArray[np.intp]:
        """Versions of each question."""
        return np.array([len(each.strata) for each in self.comparisons], dtype=np.intp)


def _frozen(ground: Ground, subject: Subject, view: str, begun: Begun) -> Frozen:
    """What a sequential test was begun with, or would be."""
    metric = subject.newest[1]
    known = begun(view, subject.config_versions[-1], metric.metric_id, subject.treatment)
    if known is not None:
        return known
    shares = subject.parts[0][0].shares(subject.treatment)
    return Frozen(ground.first.alpha, ground.first.planned_units, *shares)


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
