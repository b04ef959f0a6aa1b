"""Whether what somebody asks about exists: the definitions behind a question."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from config.settings import Settings
from infra.definitions import Content, read_published
from infra.results import Question
from udfs.attribution.reference import OTHER


class UndefinedError(Exception):
    """No definition has what is asked about; one line that says what there is."""


def check_asked(settings: Settings, question: Question) -> None:
    """Raises unless the question's tenant, experiment, segment and config version are defined.

    Raises:
        UndefinedError: One of them is not.
        BrokerError: Kafka, where the definitions are, does not answer.
    """
    if question.experiment_id:
        check_segment(question, defined(settings, question))
    elif question.tenant_id:
        tenants = sorted({key.tenant_id for key in read_published(settings)})
        if question.tenant_id not in tenants:
            there = _listed(tenants) or "none"
            raise UndefinedError(f"no experiment of {question.tenant_id} is defined: the tenants are {there}")


def defined(settings: Settings, question: Question) -> list[Content]:
    """The experiment's definitions as published, oldest version first.

    Raises:
        UndefinedError: There is none, or not of the config version.
        BrokerError: Kafka does not answer.
    """
    found, others = dict[int, Content](), set[str]()
    for key, each in read_published(settings).items():
        if key.tenant_id == question.tenant_id:
            others.add(key.experiment_id)
            if key.experiment_id == question.experiment_id:
                found[key.config_version] = each.content
    if not found:
        there = _listed(sorted(others)) or "none"
        raise UndefinedError(f"no experiment {question.name} is defined: {question.tenant_id} has {there}")
    if question.config_version and question.config_version not in found:
        version = question.config_version
        raise UndefinedError(
            f"{question.name} has no config version {version}: it has {_listed(sorted(found))}"
        )
    return [content for _, content in sorted(found.items())]


def check_segment(question: Question, contents: Sequence[Content]) -> None:
    """Raises UndefinedError if no version of the experiment has the segment."""
    known = {
        f"{dimension}={value}": None  # a set that keeps its order
        for content in contents
        for dimension, values in content["segments"].items()
        for value in (*values, OTHER)
    }
    if question.segment and question.segment not in known:
        raise UndefinedError(
            f"{question.name} has no segment {question.segment}: it has {_listed(known) or 'none'}"
        )


def _listed(names: Iterable[object]) -> str:
    return ", ".join(map(str, names))
