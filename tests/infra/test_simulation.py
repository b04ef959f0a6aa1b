"""The simulator: the same for a seed, every oddity in it and counted, its true effects visible."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from infra.definitions import Limits, plan
from infra.scenario import DEMO, ODDITIES, Oddities, Scenario, ScenarioError, read_scenario
from infra.simulation import Counts, Sending, Simulation
from tests.builders import BEGINNING, DAY, RULES, Log
from udfs.attribution.reference import (
    EFFECT_MS,
    Assignment,
    Attribution,
    Definition,
    Outcome,
    attribute,
)

LIMITS = Limits(horizon_ms=7 * DAY, retention_ms=28 * DAY)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return replace(read_scenario(DEMO, LIMITS), rate=400.0, seconds=20.0)


def sent(scenario: Scenario, start_ms: int = BEGINNING) -> tuple[list[Sending], Counts]:
    simulation = Simulation(scenario, start_ms)
    return list(simulation.sendings()), simulation.counts


def test_the_same_seed_gives_the_same_events(scenario: Scenario) -> None:
    assert sent(scenario) == sent(scenario)


def test_another_seed_gives_others(scenario: Scenario) -> None:
    assert sent(scenario)[0] != sent(replace(scenario, seed=2))[0]


def test_another_start_moves_all_times_and_renames_all_units(scenario: Scenario) -> None:
    now, later = sent(scenario)[0], sent(scenario, BEGINNING + DAY)[0]
    assert {b.event.happened_at - a.event.happened_at for a, b in zip(now, later, strict=True)} == {DAY}
    assert not {each.event.unit_id for each in now} & {each.event.unit_id for each in later}


def test_as_many_events_are_sent_as_the_rate_says(scenario: Scenario) -> None:
    sendings, counts = sent(scenario)
    assert len(sendings) == counts.sent == counts.assignments + counts.outcomes == 8000


def test_every_tenant_and_experiment_of_the_demo_has_units(scenario: Scenario) -> None:
    sendings, _ = sent(scenario)
    assigned = {
        (event.tenant_id, event.experiment_id, event.variant_id)
        for event, _, oddities in sendings
        if isinstance(event, Assignment) and "unknown_variants" not in oddities
    }
    defined = {
        (*experiment.draft.key[:2], variant)
        for experiment in scenario.begun_at(BEGINNING).experiments
        for variant in experiment.variants
    }
    assert assigned == defined
    assert len({tenant for tenant, _, _ in assigned}) == 3


@pytest.mark.parametrize("oddity", ODDITIES)
def test_an_oddity_occurs_as_often_as_it_is_counted_and_never_unasked(
    scenario: Scenario, oddity: str
) -> None:
    normal, _ = sent(replace(scenario, oddities=Oddities()))
    assert not [each for each in normal if set(each.oddities) & set(ODDITIES)]
    odd, counts = sent(replace(scenario, oddities=Oddities(**{oddity: 0.2})))
    assert counts.oddities[oddity] > 50
    assert counts.oddities == Counter({oddity: counts.oddities[oddity]})
    assert sum(oddity in each.oddities for each in odd) == counts.oddities[oddity]


def attributed(scenario: Scenario) -> tuple[Attribution, Counts]:
    """What the reference makes of a run in which everything is sent and published when it is planned."""
    simulation = Simulation(scenario, BEGINNING)
    logs: dict[str, Log] = {}
    for index, (event, damaged, _) in enumerate(simulation.sendings()):
        log = logs.setdefault(event.tenant_id, Log(event.tenant_id))
        at = BEGINNING + int(index / scenario.rate * 1000)
        if damaged is None:
            log.append(event, at)
        else:
            log.append_bytes(type(event), damaged, at, key=event.unit_id.encode())
    definitions = [
        Definition.from_json(each.draft.content, BEGINNING + int(each.seconds * 1000) - EFFECT_MS)
        for each in simulation.publications()
    ]
    received = [written.received for log in logs.values() for written in log.records]
    return attribute(received, definitions, RULES), simulation.counts


def test_what_is_sent_after_an_end_is_refused_and_what_is_sent_before_its_definition_counts(
    scenario: Scenario,
) -> None:
    result, counts = attributed(replace(scenario, oddities=Oddities()))
    assert Counter(refusal.reason.value for refusal in result.rejected) == {"ended": counts.after_end}
    assert counts.after_end > 50
    assert counts.before_definition > 50
    first = {key: slot.n for key, slot in result.slots.items() if not key.metric_id and not key.segment}
    users = sum(n for key, n in first.items() if key.experiment_id == "report-wizard")
    assert users > counts.before_definition


def test_what_ends_is_named_after_the_run_so_that_the_next_run_can_begin_it(scenario: Scenario) -> None:
    simulation = Simulation(scenario, BEGINNING)
    last = simulation.publications()[-1]
    assert (last.seconds, str(last.draft.key)) == (12.0, "globex/double-coins-20260101-000000/2")
    assert last.draft.content["ended_at"] == BEGINNING + 12_000
    others = {each.draft.content["ended_at"] for each in simulation.publications()[:-1]}
    assert others == {None}
    assert plan([each.draft for each in simulation.publications()], {})


def test_an_experiment_ends_no_earlier_than_it_is_defined(scenario: Scenario) -> None:
    (tenant,) = (each for each in scenario.tenants if each.tenant_id == "initech")
    late = replace(tenant.experiments[1], defined_after_seconds=15.0, ended_after_share=0.5)
    simulation = Simulation(replace(scenario, tenants=(replace(tenant, experiments=(late,)),)), BEGINNING)
    assert [each.seconds for each in simulation.publications()] == [15.0, 15.0]
    versions = [each.draft.key.config_version for each in simulation.publications()]
    assert versions == [1, 2]


def test_the_reference_refuses_what_is_spoiled_and_classes_what_is_odd(scenario: Scenario) -> None:
    spoiling = Oddities(
        duplicates=0.05, crossed=0.1, bots=0.1, too_late=0.01, from_future=0.01, bad_values=0.01,
        unreadable=0.01, unknown_variants=0.01,
    )  # fmt: skip
    result, counts = attributed(replace(scenario, oddities=spoiling, seconds=10.0))
    reasons = Counter(refusal.reason.value for refusal in result.rejected)
    # A copy of a spoiled record is spoiled too, and a duplicate only if its first was accepted.
    assert reasons["too_late"] >= counts.oddities["too_late"] > 0
    assert reasons["from_future"] >= counts.oddities["from_future"] > 0
    assert reasons["bad_value"] >= counts.oddities["bad_values"] > 0
    assert reasons["unreadable"] >= counts.oddities["unreadable"] > 0
    assert reasons["unknown_variant"] >= counts.oddities["unknown_variants"] > 0
    assert 0 < reasons["duplicate"] <= counts.oddities["duplicates"]
    assert reasons["ended"] >= counts.after_end > 0
    assert {key.unit_class for key in result.slots} == {"clean", "crossed", "bot"}
    assert sum(reasons.values()) <= sum(counts.oddities.values()) + counts.after_end
    assert sum(entry.late for entry in result.ledger.values()) > 0


def test_a_true_effect_is_in_the_outcomes(scenario: Scenario) -> None:
    sendings, _ = sent(replace(scenario, rate=2000.0, seconds=60.0, oddities=Oddities()))
    arm_of = {
        event.unit_id: event.variant_id
        for event, _, _ in sendings
        if isinstance(event, Assignment) and event.experiment_id == "new-renderer"
    }
    frames: dict[str, list[float]] = {"present": [], "faster": []}
    for event, _, _ in sendings:
        if isinstance(event, Outcome) and event.metric_id == "frame_time" and event.unit_id in arm_of:
            frames[arm_of[event.unit_id]].append(event.value)
    means = {arm: sum(values) / len(values) for arm, values in frames.items()}
    assert means["faster"] / means["present"] == pytest.approx(1.3, abs=0.03)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("rate: 500", "rate: 0", "rate: must be greater than 0"),
        ("duplicates:", "duplicate:", "oddities.duplicate: is no field; did you mean duplicates?"),
        ("semantic: {session", "nobody: {session", "nobody: is no variant of acme/search-ranking/1"),
        ("semantic: {session_value", "semantic: {session", "session: is no source of the tenant"),
        ("kind: mean, cap: 500", "kind: man, cap: 500", "metrics[0].kind: must be one of"),
        ("seed: 3", "seed: 3\n---\nseed: 2", "must hold one scenario (it holds 2)"),
        ("rate: 500", "rate: [", "not YAML"),
    ],
)
def test_a_scenario_with_a_fault_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    text = DEMO.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "scenario.yaml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ScenarioError) as refusal:
        read_scenario(file, LIMITS)
    assert str(refusal.value).startswith(str(file))
    assert complaint in str(refusal.value)
