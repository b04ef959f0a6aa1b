"""The rules, their tests and what expressions name, as the tests of this folder read them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from config.settings import ROOT

RULES = sorted((ROOT / "infra" / "observability" / "rules").glob("*.yaml"))
RULE_TESTS = sorted((ROOT / "tests" / "infra" / "observability" / "rules").glob("*.yaml"))
RUNBOOKS = ROOT / "docs" / "runbooks"

NAME = re.compile(r"(?<![\w:])(?:flink|livelift)[_:][\w:]+")


def rules() -> Iterator[dict[str, Any]]:
    """Every rule of every group of every file."""
    for file in RULES:
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


def alerts() -> dict[str, dict[str, Any]]:
    """The alerting rules by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recorded() -> set[str]:
    """The names that recording rules make."""
    return {rule["record"] for rule in rules() if "record" in rule}


def names_in(expr: str) -> set[str]:
    """The metrics an expression names, ours and Flink's; names of labels and functions are none."""
    without_selectors = re.sub(r"\{[^}]*\}|\b(?:by|on|without|ignoring)\s*\([^)]*\)", "", expr)
    return set(NAME.findall(without_selectors))


def read(file: Path) -> dict[str, Any]:
    """A test file of promtool."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content
