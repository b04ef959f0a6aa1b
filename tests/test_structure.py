"""Imports flow one way: what may be used alone stays free of what would tie it to a place."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import ROOT

STANDARD = frozenset(sys.stdlib_module_names)

MAY_IMPORT = {
    # Usable alone on any sums.
    "udfs/stats": {"udfs.stats", "numpy", "scipy"},
    # Read by newcomers, run against any implementation.
    "udfs/attribution/reference.py": set(),
    "udfs/attribution/sums.py": {"udfs.attribution.reference"},
    "config": {"config", "yaml"},
}
"""Path to what its files may import besides the standard library; longer names below these are meant too."""

MUST_NOT_IMPORT = {
    "schemas": {"infra", "jobs", "tests", "pyflink"},
    "jobs/attribution": {"jobs.scorecard", "infra", "tests"},
    "jobs/scorecard": {"jobs.attribution", "infra", "tests"},
    "jobs/wiring": {"jobs.attribution", "jobs.scorecard", "infra", "tests"},
    "infra": {"pyflink", "tests"},
}

JOBS_ELSEWHERE = ("infra/bench/contenders/",)
"""What is compared with the jobs are jobs too, submitted as processes of their own."""

READS_THE_ENVIRONMENT = {"os.environ", "os.getenv"}


def files_of(place: str) -> Iterator[Path]:
    path = ROOT / place
    files = [path] if path.suffix else sorted(path.rglob("*.py"))
    assert files, f"{place}: no Python there"
    yield from (file for file in files if not file.relative_to(ROOT).as_posix().startswith(JOBS_ELSEWHERE))


def imports_of(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def is_under(module: str, names: set[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in names)


@pytest.mark.parametrize("place", MAY_IMPORT)
def test_what_stands_alone_imports_only_what_it_may(place: str) -> None:
    found = {
        (file.relative_to(ROOT).as_posix(), module)
        for file in files_of(place)
        for module in imports_of(file)
        if module.partition(".")[0] not in STANDARD and not is_under(module, MAY_IMPORT[place])
    }
    assert found == set()


@pytest.mark.parametrize("place", MUST_NOT_IMPORT)
def test_imports_never_flow_back(place: str) -> None:
    found = {
        (file.relative_to(ROOT).as_posix(), module)
        for file in files_of(place)
        for module in imports_of(file)
        if is_under(module, MUST_NOT_IMPORT[place])
    }
    assert found == set()


def test_only_a_jobs_entry_knows_the_environment() -> None:
    found = {
        file.relative_to(ROOT).as_posix()
        for file in files_of("jobs")
        if file.name != "__main__.py"
        and any(word in file.read_text(encoding="utf-8") for word in READS_THE_ENVIRONMENT)
    }
    assert found == set()


def test_a_forbidden_import_is_found(tmp_path: Path) -> None:
    file = tmp_path / "culprit.py"
    file.write_text("def late():\n    from pyflink.table import Table\n    return Table\n", encoding="utf-8")
    assert [module for module in imports_of(file) if is_under(module, {"pyflink"})] == ["pyflink.table"]
