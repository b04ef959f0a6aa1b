"""What is asked of an experiment, whoever counts: decided once, and answered again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple, Self

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


class Subject(NamedTuple):
    """What is compared, whoever counts: a metric and a treatment over the versions that have both."""

    config_versions: tuple[int, ...]
    """Under which the rows are filed."""
    parts: tuple[tuple[Definition, Metric], ...]
    """Oldest version first."""
    treatment: str
    versions: tuple[int, ...]
    """Whose users are compared."""
    arms: tuple[tuple[Metric, Arm, Arm], ...]
    """Of each version the metric, the control and the treatment."""
    is_current: bool
    """Whether the newest version has both."""
    reason: Reason | None
    """Why it is not answered at all."""

    @classmethod
    def of(
        cls,
        config_versions: tuple[int, ...],
        parts: tuple[tuple[Definition, Metric], ...],
        treatment: str,
        newest: Definition,
    ) -> Self:
        """What follows from the first three and the experiment's newest version."""
        meanings = {definition.meaning_of(metric) for definition, metric in parts}
        return cls(
            config_versions,
            parts,
            treatment,
            tuple(part.config_version for part, _ in parts),
            tuple(
                (metric, Arm(part.config_version, part.control), Arm(part.config_version, treatment))
                for part, metric in parts
            ),
            parts[-1][0] is newest,
            Reason.METRIC_CHANGED if len(meanings) > 1 else None,
        )

    @property
    def newest(self) -> tuple[Definition, Metric]:
        """The definition whose names the rows bear."""
        return self.parts[-1]


class Question(NamedTuple):
    """A subject, and who counts."""

    subject: Subject
    view: str
    segment: str
    policy: str
    is_asked_once: bool
    """Beside the main ones: without sequential columns, family and decisions."""
    reason: Reason | None
    """Why it is not answered at all."""
    family: int | None
    """The goals of the newest version, over all versions, are adjusted together, for each view."""

    @classmethod
    def of(cls, subject: Subject, view: str, segment: str, policy: str) -> Self:
        """What follows from these."""
        metric = subject.newest[1]
        is_main = segment == "" and policy == "first_seen"
        is_asked_once = not is_main or view not in ASKED_AGAIN_AND_AGAIN
        never = view == MATURED and metric.window_ms is None
        reason = subject.reason or (Reason.NEVER_MATURES if never else None)
        is_goal = metric.role == "goal" and COMBINED in subject.config_versions
        has_family = is_goal and subject.is_current and not is_asked_once
        family = ASKED_AGAIN_AND_AGAIN.index(view) if has_family else None
        return cls(subject, view, segment, policy, is_asked_once, reason, family)

    def key(self, config_version: int) -> Key:
        """What its sequential test goes by, under one of its config versions."""
        subject = self.subject
        return "difference", self.view, config_version, subject.newest[1].metric_id, subject.treatment

    @property
    def cells(self) -> dict[str, Any]:
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
    """The questions of some views; they hold while versions, segments and what tests were begun with do."""

    ground: Ground
    places: Sequence[tuple[Subject, str]]
    """Subjects and views."""
    frozen: Sequence[Frozen]
    """What the sequential test of each place was begun with, or would be."""
    questions: Sequence[Question]
    comparisons: Sequence[Comparison]
    """The questions as yet of nobody."""
    asked: Questions
    """The same as arrays."""
    kinds: Sequence[Kind]
    """Of the metric, for each question and version."""
    counts: NDArray[np.intp]
    """Versions of each question."""

    @classmethod
    def of(cls, ground: Ground, views: Sequence[str], begun: Begun) -> Self:
        """All questions: each subject in each segment by each policy."""
        subjects = list(_subjects(ground.definitions))
        places = [(subject, view) for view in views for subject in subjects]
        frozen = [_frozen(ground, *place, begun) for place in places]
        asked = [
            (Question.of(*place, segment, policy), start)
            for (place, start), segment, policy in product(
                zip(places, frozen, strict=True), ground.segments, POLICIES
            )
        ]
        comparisons = [question.comparison(start) for question, start in asked]
        return cls(
            ground,
            places,
            frozen,
            [question for question, _ in asked],
            comparisons,
            Questions.of(comparisons),
            [each.kind for each in comparisons for _ in each.strata],
            np.array([len(each.strata) for each in comparisons], dtype=np.intp),
        )

    def holds(self, ground: Ground, begun: Begun) -> bool:
        """Whether it would be the same now."""
        return self.ground == ground and self.frozen == [
            _frozen(ground, *place, begun) for place in self.places
        ]


def _frozen(ground: Ground, subject: Subject, view: str, begun: Begun) -> Frozen:
    known = begun(view, subject.config_versions[-1], subject.newest[1].metric_id, subject.treatment)
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
            yield Subject.of(alone, (part,), treatment, definitions[-1])
        if len(found) > 1:
            yield Subject.of((COMBINED,), tuple(found), treatment, definitions[-1])
