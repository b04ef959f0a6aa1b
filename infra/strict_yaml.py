"""YAML without surprises: a country NO stays text, a key given twice is an error, every value has a line.

Scalars follow the core schema of YAML 1.2 (true, false, null, numbers; the rest is text), not PyYAML's
1.1, in which ``NO`` is false, ``1:30`` is 90 and ``1e-3`` is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

YamlPath = tuple[str | int, ...]
"""Where a value is in a document: ``('metrics', 2, 'cap')``."""


class YamlError(ValueError):
    """A text that is not (this) YAML; the message has file and line."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file: its content, and the line each value begins at."""

    source: str
    content: Any
    lines: dict[YamlPath, int]

    def line(self, path: YamlPath) -> int:
        """The line a value begins at; for a missing one, the line of what it is missing in."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def where(self, path: YamlPath) -> str:
        """``file:line: path`` of a value, or ``file:line`` of the document."""
        place = f"{self.source}:{self.line(path)}"
        return f"{place}: {spelled(path)}" if path else place

    def part(self, path: YamlPath) -> Document:
        """What lies at the path as a document of its own, its lines still those of the file."""
        content = self.content
        for step in path:
            content = content[step]
        depth = len(path)
        lines = {key[depth:]: line for key, line in self.lines.items() if key[:depth] == path}
        return Document(self.source, content, lines)


def spelled(path: YamlPath) -> str:
    """The path as people write it: ``metrics[2].cap``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def read_documents(path: Path) -> list[Document]:
    """All documents of a file, empty ones left out.

    Raises:
        YamlError: The file cannot be read, or is no YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise YamlError(f"{path}: {reason}") from error
    return parse_documents(text, str(path))


def parse_documents(text: str, source: str) -> list[Document]:
    """All documents of a text, empty ones left out; ``source`` names it in errors.

    Raises:
        YamlError: It is no YAML, or a mapping has a key twice.
    """
    try:
        nodes = [node for node in yaml.compose_all(text, Loader=yaml.BaseLoader) if node is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise YamlError(f"{source}:{mark.line + 1 if mark else 1}: not YAML: {problem}") from error
    return [document for node in nodes if (document := _document(node, source)).content is not None]


def _document(root: yaml.Node, source: str) -> Document:
    lines: dict[YamlPath, int] = {}
    return Document(source, _value(root, (), lines, source), lines)


def _value(node: yaml.Node, path: YamlPath, lines: dict[YamlPath, int], source: str) -> Any:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        return _text(node, source) if node.style else _plain_scalar(_text(node, source))
    if isinstance(node, yaml.SequenceNode):
        return [_value(child, (*path, index), lines, source) for index, child in enumerate(node.value)]
    return dict(_pairs(node, path, lines, source))


def _pairs(
    node: yaml.Node, path: YamlPath, lines: dict[YamlPath, int], source: str
) -> Iterator[tuple[str, Any]]:
    seen: set[str] = set()
    for key, child in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise YamlError(f"{source}:{line}: a key must be text")
        name = _text(key, source)
        if name in seen:
            raise YamlError(f"{source}:{line}: {spelled((*path, name))} is given twice")
        seen.add(name)
        yield name, _value(child, (*path, name), lines, source)
        lines[(*path, name)] = line


def _text(node: yaml.ScalarNode, source: str) -> str:
    """What the scalar says; half of a surrogate pair, written as an escape, has no bytes in UTF-8."""
    text: str = node.value
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise YamlError(f"{source}:{node.start_mark.line + 1}: {text!r} is not Unicode text")
    return text


_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS = {"": None, "null": None, "~": None, "true": True, "false": False}


def _plain_scalar(text: str) -> Any:
    """What an unquoted scalar means. Infinities and NaN stay text: no setting of ours may be one."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
