"""Golden examples of definitions, slots, refused records and heartbeats through their Python consumers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import schemas
from infra.definitions import DefinitionError, Limits, draft_of, to_json
from infra.heartbeat import heartbeat
from infra.rejected import Position, note_of
from infra.strict_yaml import parse_documents
from infra.topics import topic_files
from jobs.scorecard import book as scorecard
from schemas import Example, examples, json_schema
from schemas.events import UnreadableError, decode, decode_rejected, encode, own_schema
from tests.builders import BEGINNING, DAY
from udfs.attribution import sums
from udfs.attribution.reference import Definition

LIMITS = Limits(horizon_ms=7 * DAY, retention_ms=28 * DAY)


def is_valid(schema: str, content: Any) -> bool:
    return bool(Draft202012Validator(json_schema(schema)).is_valid(content))


@pytest.mark.parametrize(
    "folder", sorted((schemas.FOLDER / "examples").iterdir()), ids=lambda each: each.name
)
def test_every_schema_has_good_and_bad_examples_that_say_what_they_show(folder: Any) -> None:
    found = list(examples(folder.name))
    assert {example.is_good for example in found} == {True, False}
    assert all(example.content["about"] for example in found)


def test_every_topic_file_names_examples_that_exist() -> None:
    folders = {folder.name for folder in (schemas.FOLDER / "examples").iterdir()}
    assert {topic.examples for topic in topic_files()} == folders - {"definition"}


def test_an_example_that_is_neither_good_nor_bad_is_named(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "examples" / "assignment" / "v1"
    folder.mkdir(parents=True)
    (folder / "fine.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr(schemas, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"fine\.json"):
        list(examples("assignment"))


# ------------------------------------------------------------------------------------------ definitions


def draft(example: Example) -> Any:
    """The example's definition by way of YAML, as a file would hold it (JSON is YAML)."""
    text = json.dumps(example.content["definition"], indent=2)
    (document,) = parse_documents(text, "experiment.yaml")
    return draft_of(document, LIMITS)


@pytest.mark.parametrize("example", [each for each in examples("definition") if each.is_good], ids=str)
def test_a_good_definition_is_published_with_every_default(example: Example) -> None:
    published = json.loads(to_json(draft(example).content))
    assert published == example.content["published"]
    assert is_valid("published", published)


@pytest.mark.parametrize("example", [each for each in examples("definition") if not each.is_good], ids=str)
def test_a_bad_definition_is_refused_with_file_line_field_and_rule(example: Example) -> None:
    with pytest.raises(DefinitionError) as refusal:
        draft(example)
    place, _, complaint = str(refusal.value).partition(" ")
    assert place.startswith("experiment.yaml:")
    assert complaint.startswith(example.content["because"])


@pytest.mark.parametrize("example", examples("published"), ids=str)
def test_readers_of_the_topic_agree_on_published_definitions(example: Example) -> None:
    content = example.content["definition"]
    assert is_valid("published", content) == example.is_good
    if example.is_good:
        assert Definition.from_json(content, BEGINNING).variants == set(content["variants"])
    else:
        with pytest.raises(KeyError):
            Definition.from_json(content, BEGINNING)


@pytest.mark.parametrize("example", examples("published"), ids=str)
def test_the_scorecard_reads_good_definitions_and_refuses_to_guess(example: Example) -> None:
    content = example.content["definition"]
    if example.is_good or "scorecard" in example.content.get("not_read_by", ()):
        read = scorecard.Definition.from_json(json.dumps(content))
        assert list(read.weights) == list(content["variants"])
        assert [metric.metric_id for metric in read.metrics] == [
            metric["id"] for metric in content["metrics"]
        ]
    else:
        with pytest.raises(KeyError):
            scorecard.Definition.from_json(json.dumps(content))


# ------------------------------------------------------------------------------------- internal records


def from_hex(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return fields | {name: bytes.fromhex(fields[name]) for name in names if isinstance(fields[name], str)}


SUMS = [*examples("slot"), *examples("counts")]


@pytest.mark.parametrize("example", [each for each in SUMS if each.is_good], ids=str)
def test_a_slot_is_the_same_after_the_wire(example: Example) -> None:
    fields = from_hex(example.content["value"], "sums")
    read = decode("Slot", encode("Slot", fields, 3), lambda _: own_schema("Slot"))
    assert read == fields
    assert sums.decode(read["sums"]) == tuple(example.content["sums"])
    assert sums.encode(example.content["sums"]) == read["sums"]


@pytest.mark.parametrize("example", [each for each in SUMS if not each.is_good], ids=str)
def test_a_bad_slot_is_refused(example: Example) -> None:
    fields = from_hex(example.content["value"], "sums")
    with pytest.raises(ValueError):
        sums.decode(decode("Slot", encode("Slot", fields, 3), lambda _: own_schema("Slot"))["sums"])


@pytest.mark.parametrize("example", [each for each in examples("rejected") if each.is_good], ids=str)
def test_a_refused_record_keeps_its_bytes(example: Example) -> None:
    fields = from_hex(example.content["value"], "record_key", "record_value")
    read = decode_rejected(encode("Rejected", fields, 4), lambda _: own_schema("Rejected"))
    assert {name: getattr(read, name) for name in fields} == fields


@pytest.mark.parametrize("example", [each for each in examples("rejected") if not each.is_good], ids=str)
def test_a_bad_refused_record_cannot_be_written(example: Example) -> None:
    fields = example.content["value"]
    with pytest.raises(ValueError):
        encode("Rejected", from_hex(fields, "record_value"), 4)


def test_bytes_that_are_no_refused_record_are_unreadable() -> None:
    with pytest.raises(UnreadableError):
        decode_rejected(b"\0\0\0\0\4\2", lambda _: own_schema("Rejected"))


@pytest.mark.parametrize("example", examples("heartbeat"), ids=str)
def test_a_heartbeat_has_region_and_time(example: Example) -> None:
    assert is_valid("heartbeat", example.content["heartbeat"]) == example.is_good


def test_the_heartbeat_that_is_sent_is_valid() -> None:
    assert is_valid("heartbeat", json.loads(heartbeat("local", BEGINNING)))


@pytest.mark.parametrize("example", examples("decision"), ids=str)
def test_a_decision_says_what_is_decided_and_because_of_which_numbers(example: Example) -> None:
    assert is_valid("decision", example.content["decision"]) == example.is_good


@pytest.mark.parametrize("example", examples("replay"), ids=str)
def test_a_replay_says_which_record_was_sent_again_and_as_what(example: Example) -> None:
    assert is_valid("replay", example.content["replay"]) == example.is_good


def test_the_note_of_a_replay_is_valid() -> None:
    refused = Position("livelift.acme.outcomes", 0, 5)
    assert is_valid("replay", json.loads(note_of(refused, refused._replace(offset=9))))
