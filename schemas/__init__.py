"""The contracts between producers, jobs and readers, as files; this module finds and reads them.

``avro/`` events and internal records, ``definitions/`` JSON Schemas, ``topics/`` one file per topic or
pattern of topics, ``examples/<name>/v1/`` golden examples of each, good and bad.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

AVRO_RECORDS = ("Assignment", "Outcome", "Slot", "Rejected")
"""Names of the Avro records; each is its own subject in the registry."""


@cache
def avro_text(record: str) -> str:
    """The Avro schema of a record as its file has it."""
    return (FOLDER / "avro" / f"{record}.avsc").read_text(encoding="utf-8")


def registered_text(text: str) -> str:
    """A schema as the registry is told it: without white space, which is also how Avro for Java writes it.

    Flink registers what it writes by, in that form; told another, the registry would make it another version.
    """
    return json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)


@cache
def json_schema(name: str) -> dict[str, Any]:
    """A JSON Schema of ``definitions/``, by its name: ``definition``, ``published``, ``decision``, …"""
    schema: dict[str, Any] = json.loads(
        (FOLDER / "definitions" / f"{name}.schema.json").read_text(encoding="utf-8")
    )
    return schema


@dataclass(frozen=True, slots=True)
class Example:
    """A golden example: ``content`` as its file has it, ``is_good`` if every consumer must take it."""

    schema: str
    name: str
    is_good: bool
    content: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.schema}/{self.name}"


def examples(schema: str) -> list[Example]:
    """The golden examples of a schema in the order of their names; ``good-*`` and ``bad-*`` files.

    Raises:
        ValueError: A file is named neither way, so nobody could say what it must show.
    """
    return [_example(schema, path) for path in sorted((FOLDER / "examples" / schema / "v1").glob("*.json"))]


def _example(schema: str, path: Path) -> Example:
    if not path.stem.startswith(("good-", "bad-")):
        raise ValueError(f"{path}: the name of an example begins with good- or bad-")
    content = json.loads(path.read_text(encoding="utf-8"))
    return Example(schema, path.stem, path.stem.startswith("good-"), content)
