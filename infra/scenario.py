"""Scenarios of the simulator, read from YAML and checked: who sends what, with which true effects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from config.settings import ROOT
from infra.definitions import DefinitionError, Draft, Limits, draft_of
from infra.schema_check import SchemaError, check_schema
from infra.strict_yaml import Document, YamlError, YamlPath, read_documents

DEMO = ROOT / "config" / "scenarios" / "demo.yaml"


class ScenarioError(ValueError):
    """A scenario that cannot be run; one line with file, line, field and rule."""


@dataclass(frozen=True, slots=True)
class Oddities:
    """How often units and producers misbehave; shares as ``config/scenarios/demo.yaml`` explains them."""

    duplicates: float = 0.0
    crossed: float = 0.0
    bots: float = 0.0
    early_outcomes: float = 0.0
    late_units: float = 0.0
    too_late: float = 0.0
    from_future: float = 0.0
    bad_values: float = 0.0
    unreadable: float = 0.0
    unknown_variants: float = 0.0


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of outcome: how many a unit has after and before its exposure, and how large they are."""

    name: str
    per_unit: float
    value: float
    before: float = 0.0
    spread: float = 0.0
    taste: float = 0.0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Effect:
    """Relative change of the number and of the value of a source's outcomes."""

    count: float = 0.0
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment of a tenant; ``effects`` by variant and source.

    ``ended_after_share`` of the scenario's time it ends, and units go on being assigned; None is never.
    """

    draft: Draft
    effects: Mapping[tuple[str, str], Effect]
    traffic: float = 1.0
    defined_after_seconds: float = 0.0
    ended_after_share: float | None = None

    @property
    def experiment_id(self) -> str:
        return self.draft.key.experiment_id

    @property
    def variants(self) -> Mapping[str, float]:
        """Weights by variant."""
        weights: Mapping[str, float] = self.draft.content["variants"]
        return weights

    def begun_at(self, start_ms: int) -> Experiment:
        """The experiment as one run has it: what ends cannot begin again, so it is named after its begin."""
        if self.ended_after_share is None:
            return self
        begun = datetime.fromtimestamp(start_ms / 1000, UTC)
        return self._with(experiment_id=f"{self.experiment_id}-{begun:%Y%m%d-%H%M%S}")

    def ending(self, ended_at: int) -> Draft:
        """The version that ends the experiment; ``ended_at`` in epoch milliseconds."""
        return self._with(config_version=self.draft.key.config_version + 1, ended_at=ended_at).draft

    def _with(self, **changes: Any) -> Experiment:
        return replace(self, draft=replace(self.draft, content=self.draft.content | changes))


class Target(NamedTuple):
    """What has an effect on what."""

    tenant_id: str
    experiment_id: str
    variant: str
    source: str

    @property
    def experiment(self) -> str:
        """As people name it."""
        return f"{self.tenant_id}/{self.experiment_id}"


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant: its share of all units, and what these are like and do."""

    tenant_id: str
    share: float
    attributes: Mapping[str, Mapping[str, float]]
    sources: tuple[Source, ...]
    experiments: tuple[Experiment, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is sent: ``rate`` events a second for ``seconds``, the same for the same ``seed``."""

    rate: float
    seconds: float
    seed: int
    oddities: Oddities
    tenants: tuple[Tenant, ...]

    @property
    def experiments(self) -> Iterator[Experiment]:
        """The experiments of all tenants."""
        return (experiment for tenant in self.tenants for experiment in tenant.experiments)

    def with_effect(self, of: Target, effect: Effect) -> Scenario:
        """The same with another true effect of one variant on one source."""

        def changed(each: Experiment) -> Experiment:
            if each.draft.key[:2] != (of.tenant_id, of.experiment_id):
                return each
            return replace(each, effects={**each.effects, (of.variant, of.source): effect})

        return self._each(changed)

    def begun_at(self, start_ms: int) -> Scenario:
        """The scenario as one run has it (``Experiment.begun_at``)."""
        return self._each(lambda experiment: experiment.begun_at(start_ms))

    def _each(self, change: Callable[[Experiment], Experiment]) -> Scenario:
        return replace(
            self,
            tenants=tuple(
                replace(tenant, experiments=tuple(map(change, tenant.experiments))) for tenant in self.tenants
            ),
        )


def read_scenario(path: Path, limits: Limits) -> Scenario:
    """The scenario of a file.

    Raises:
        ScenarioError: The file cannot be read, or something in it is wrong.
    """
    try:
        documents = read_documents(path)
        if len(documents) != 1:
            raise ScenarioError(f"{path}: must hold one scenario (it holds {len(documents)})")
        check_schema(documents[0], "scenario")
        return _scenario(documents[0], limits)
    except (YamlError, SchemaError, DefinitionError) as error:
        raise ScenarioError(str(error)) from error


def _scenario(document: Document, limits: Limits) -> Scenario:
    content = document.content
    return Scenario(
        rate=content["rate"],
        seconds=content["seconds"],
        seed=content["seed"],
        oddities=Oddities(**content.get("oddities", {})),
        tenants=tuple(
            _tenant(document, ("tenants", index), limits) for index in range(len(content["tenants"]))
        ),
    )


def _tenant(document: Document, path: YamlPath, limits: Limits) -> Tenant:
    content = document.part(path).content
    sources = tuple(Source(name, **source) for name, source in content["sources"].items())
    return Tenant(
        tenant_id=content["tenant_id"],
        share=content["share"],
        attributes=content.get("attributes", {}),
        sources=sources,
        experiments=tuple(
            _experiment(document, (*path, "experiments", index), content["tenant_id"], sources, limits)
            for index in range(len(content["experiments"]))
        ),
    )


def _experiment(
    document: Document, path: YamlPath, tenant_id: str, sources: tuple[Source, ...], limits: Limits
) -> Experiment:
    content = document.part(path).content
    definition = document.part((*path, "definition"))
    draft = draft_of(replace(definition, content={"tenant_id": tenant_id, **definition.content}), limits)
    return Experiment(
        draft=draft,
        effects=dict(_effects(document, (*path, "effects"), draft, {source.name for source in sources})),
        **{name: content[name] for name in OPTIONAL if name in content},
    )


def _effects(
    document: Document, path: YamlPath, draft: Draft, sources: set[str]
) -> Iterator[tuple[tuple[str, str], Effect]]:
    by_variant: dict[str, Any] = document.part(path).content
    for variant, by_source in by_variant.items():
        if variant not in draft.content["variants"]:
            raise ScenarioError(f"{document.where((*path, variant))}: is no variant of {draft.key}")
        for source, effect in by_source.items():
            if source not in sources:
                raise ScenarioError(f"{document.where((*path, variant, source))}: is no source of the tenant")
            yield (variant, source), Effect(**effect)


OPTIONAL = ("traffic", "defined_after_seconds", "ended_after_share")

ODDITIES = tuple(each.name for each in fields(Oddities))
"""The names of all oddities, in the order in which they are reported."""
