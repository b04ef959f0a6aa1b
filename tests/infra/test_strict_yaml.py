"""YAML without surprises, and with lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.strict_yaml import YamlError, parse_documents, read_documents, spelled


def content(text: str) -> object:
    (document,) = parse_documents(text, "file.yaml")
    return document.content


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("on", "on"),
        ("'1'", "1"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("12", 12),
        ("-3", -3),
        ("1:30", "1:30"),
        ("0x1F", "0x1F"),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("7.", 7.0),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("2026-01-01", "2026-01-01"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_scalars_mean_what_they_look_like(text: str, value: object) -> None:
    found = content(f"key: {text}")
    assert found == {"key": value}
    assert isinstance(found, dict)
    assert type(found["key"]) is type(value)


def test_every_value_knows_its_line_and_a_missing_one_that_of_its_place() -> None:
    (document,) = parse_documents("name: a\nmetrics:\n  - id: x\n    kind: mean\n  - {id: y}\n", "file.yaml")
    assert document.where(("metrics", 0, "kind")) == "file.yaml:4: metrics[0].kind"
    assert document.where(("metrics", 1, "kind")) == "file.yaml:5: metrics[1].kind"
    assert document.where(()) == "file.yaml:1"
    assert document.part(("metrics", 1)).where(("id",)) == "file.yaml:5: id"


def test_a_key_given_twice_is_an_error_with_its_line() -> None:
    with pytest.raises(YamlError, match=r"^file\.yaml:3: a\.b is given twice$"):
        parse_documents("a:\n  b: 1\n  b: 2\n", "file.yaml")


def test_what_is_no_yaml_is_an_error_with_its_line() -> None:
    with pytest.raises(YamlError, match=r"^file\.yaml:2: not YAML: "):
        parse_documents("a: [1,\nb: }", "file.yaml")


def test_a_key_that_is_no_text_is_an_error() -> None:
    with pytest.raises(YamlError, match="a key must be text"):
        parse_documents("? [1, 2]\n: 3\n", "file.yaml")


def test_several_documents_are_read_and_empty_ones_left_out() -> None:
    documents = parse_documents("---\na: 1\n---\n---\nb: 2\n", "file.yaml")
    assert [document.content for document in documents] == [{"a": 1}, {"b": 2}]
    assert documents[1].where(("b",)) == "file.yaml:5: b"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(YamlError, match=r"absent\.yaml: No such file"):
        read_documents(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe9\n")
    with pytest.raises(YamlError, match=r"latin\.yaml: not UTF-8 text"):
        read_documents(tmp_path / "latin.yaml")


def test_a_path_is_spelled_as_people_write_it() -> None:
    assert spelled(("metrics", 2, "cap")) == "metrics[2].cap"
    assert spelled((0, "cap")) == "[0].cap"


@pytest.mark.parametrize("text", ['a:\n  b: "\\ud800"\n', 'a:\n  "\\udc00": 1\n'])
def test_half_a_surrogate_pair_is_no_text(text: str) -> None:
    with pytest.raises(YamlError, match=r"^file\.yaml:2: '\\ud[8c]00' is not Unicode text$"):
        parse_documents(text, "file.yaml")
