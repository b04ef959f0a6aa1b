"""Which definitions are new, there already, or refused; the rules for one: tests/schemas/test_examples.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.definitions import (
    DefinitionError,
    DefinitionKey,
    Draft,
    Limits,
    Published,
    draft_of,
    plan,
    read_definitions,
    to_json,
)
from infra.strict_yaml import parse_documents
from tests.builders import BEGINNING, DAY

LIMITS = Limits(horizon_ms=7 * DAY, retention_ms=28 * DAY)

DEFINITION: dict[str, Any] = {
    "tenant_id": "acme",
    "experiment_id": "checkout-button",
    "variants": {"control": 1, "treatment": 1},
    "metrics": [{"id": "revenue", "kind": "mean"}],
}


def draft(**changes: Any) -> Draft:
    (document,) = parse_documents(json.dumps(DEFINITION | changes), "experiment.yaml")
    return draft_of(document, LIMITS)


def published(*drafts: Draft) -> dict[DefinitionKey, Published]:
    return {each.key: Published(json.loads(to_json(each.content)), BEGINNING) for each in drafts}


def test_a_definition_is_new_once() -> None:
    assert [each.key for each in plan([draft()], {})] == [DefinitionKey("acme", "checkout-button", 1)]
    assert plan([draft()], published(draft())) == []
    assert len(plan([draft(), draft()], {})) == 1


def test_the_same_content_written_in_another_way_is_the_same() -> None:
    assert plan([draft(alpha=0.05, config_version=1.0, segments={})], published(draft())) == []


def test_other_content_of_a_published_version_is_refused_and_the_next_version_named() -> None:
    changed = draft(metrics=[{"id": "revenue", "kind": "mean", "cap": 100}])
    with pytest.raises(DefinitionError) as refusal:
        plan([changed], published(draft(), draft(config_version=4)))
    assert str(refusal.value) == (
        "experiment.yaml:1: acme/checkout-button/1 is published with other content (metrics[0].cap differs); "
        "a change is a new version: config_version: 5"
    )


def test_two_drafts_of_one_version_with_different_content_are_refused() -> None:
    with pytest.raises(DefinitionError, match="other content"):
        plan([draft(), draft(cohort_hours=2)], {})


@pytest.mark.parametrize(("name", "value"), [("alpha", 0.01), ("planned_units", 5)])
def test_a_later_version_must_not_change_what_the_sequential_test_was_frozen_with(
    name: str, value: object
) -> None:
    with pytest.raises(DefinitionError, match=rf"{name}: must stay .* as in acme/checkout-button/1"):
        plan([draft(config_version=2, **{name: value})], published(draft()))


def test_a_later_version_takes_over_what_is_frozen() -> None:
    first = draft(alpha=0.01, planned_units=500, stop_alpha=0.02)
    (second,) = plan([draft(config_version=2)], published(first))
    frozen = {name: second.content[name] for name in ("alpha", "planned_units", "stop_alpha")}
    assert frozen == {"alpha": 0.01, "planned_units": 500, "stop_alpha": 0.02}
    assert plan([draft(config_version=2)], published(first, second)) == []


def test_a_version_frozen_in_the_same_call_counts() -> None:
    with pytest.raises(DefinitionError, match=r"alpha: must stay 0\.05"):
        plan([draft(), draft(config_version=2, alpha=0.1)], {})


@pytest.mark.parametrize("later", [None, BEGINNING + 1])
def test_an_end_cannot_be_taken_back_or_put_off(later: int | None) -> None:
    ended = published(draft(), draft(config_version=2, ended_at=BEGINNING))
    with pytest.raises(DefinitionError) as refusal:
        plan([draft(config_version=3, ended_at=later)], ended)
    assert str(refusal.value) == (
        "experiment.yaml:1: ended_at: must be 2026-01-01T00:00:00.000+00:00 or earlier, because the "
        f"experiment ended then by acme/checkout-button/2 (it is {later or 'null'})"
    )


def test_an_end_may_come_earlier_and_versions_before_it_stay_as_they_are() -> None:
    ended = published(draft(), draft(config_version=2, ended_at=BEGINNING))
    earlier = draft(config_version=3, ended_at="2025-12-31T00:00:00Z")
    assert plan([draft(), earlier], ended) == [earlier]


def test_an_end_given_in_the_same_call_counts() -> None:
    with pytest.raises(DefinitionError, match="ended then by acme/checkout-button/1"):
        plan([draft(ended_at=BEGINNING), draft(config_version=2)], {})


def test_the_longest_pre_period_is_what_the_outcomes_are_kept_for_without_the_horizon() -> None:
    assert draft(pre_period_days=21).content["pre_period_days"] == 21
    with pytest.raises(DefinitionError, match=r"pre_period_days: must be at most 21 \(it is 21\.001\)"):
        draft(pre_period_days=21.001)


def test_without_a_pre_period_outcomes_need_not_be_kept_as_long_as_the_horizon() -> None:
    (document,) = parse_documents(json.dumps(DEFINITION), "experiment.yaml")
    assert draft_of(document, Limits(horizon_ms=7 * DAY, retention_ms=DAY)).content["pre_period_days"] == 0


def test_other_experiments_and_tenants_are_free() -> None:
    others = published(draft(alpha=0.01))
    assert len(plan([draft(experiment_id="other"), draft(tenant_id="globex")], others)) == 2


def test_the_kafka_key_is_tenant_experiment_and_version() -> None:
    assert str(draft(config_version=3).key) == "acme/checkout-button/3"


def test_variants_are_published_in_the_order_people_gave_them() -> None:
    content = json.loads(to_json(draft(variants={"old": 1, "new": 1, "lab": 0}).content))
    assert content["control"] == "old"
    assert list(content["variants"]) == ["old", "new", "lab"]


def test_a_file_may_hold_several_definitions(tmp_path: Path) -> None:
    file = tmp_path / "experiments.yaml"
    file.write_text(
        "\n---\n".join(json.dumps(DEFINITION | {"experiment_id": name}) for name in ("one", "two")),
        encoding="utf-8",
    )
    assert [each.key.experiment_id for each in read_definitions([file], LIMITS)] == ["one", "two"]


def test_a_file_without_a_definition_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "empty.yaml"
    file.write_text("# nothing yet\n", encoding="utf-8")
    with pytest.raises(DefinitionError, match=r"empty\.yaml: holds no definition"):
        read_definitions([file], LIMITS)


def test_a_file_that_is_a_list_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "list.yaml"
    file.write_text("- tenant_id: acme\n", encoding="utf-8")
    with pytest.raises(DefinitionError, match=r"list\.yaml:1: must be a mapping"):
        read_definitions([file], LIMITS)


def test_a_tenant_with_a_line_break_is_refused() -> None:
    with pytest.raises(DefinitionError, match="tenant_id: must end without a line break"):
        draft(tenant_id="acme\n")


def test_a_country_that_yaml_takes_for_no_is_text() -> None:
    text = json.dumps(DEFINITION)[:-1] + ", segments: {country: [NO, SE]}}"
    (document,) = parse_documents(text, "experiment.yaml")
    assert draft_of(document, LIMITS).content["segments"] == {"country": ["NO", "SE"]}
