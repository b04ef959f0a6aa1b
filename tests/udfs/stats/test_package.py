"""What holds for the package as a whole: its imports, its documentation, its words."""

import ast
import re
import sys
from pathlib import Path

import pytest

import udfs.stats
from udfs.stats import Reason

PACKAGE = Path(udfs.stats.__file__).parent
GUIDE = PACKAGE.parents[1] / "docs" / "statistics.md"


@pytest.mark.parametrize("module", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_a_module_imports_numpy_scipy_and_this_package_only(module):
    for node in ast.walk(ast.parse(module.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            root = name.split(".")[0]
            allowed = (
                root in {"numpy", "scipy"} or name.startswith("udfs.stats") or root in sys.stdlib_module_names
            )
            assert allowed, f"{module.name} imports {name}"


@pytest.mark.parametrize("module", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_everything_public_has_a_docstring(module):
    tree = ast.parse(module.read_text())
    assert ast.get_docstring(tree), f"{module.name} has no docstring"
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{module.name}: {node.name} has no docstring"


def test_the_guides_example_runs():
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    exec(compile(code, str(GUIDE), "exec"), {})


def test_the_guides_pictures_are_there():
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", GUIDE.read_text())
    assert len(pictures) >= 7
    missing = [picture for picture in pictures if not (GUIDE.parent / picture).is_file()]
    assert missing == []


def test_the_guide_explains_every_reason_that_results_can_show():
    text = GUIDE.read_text()
    not_in_results = {Reason.NO_UNITS, Reason.NO_ALLOCATION, Reason.NO_ARRIVALS}
    assert [reason for reason in Reason if f"`{reason}`" not in text and reason not in not_in_results] == []


def test_all_that_is_exported_exists_and_is_sorted_into_the_list():
    assert all(hasattr(udfs.stats, name) for name in udfs.stats.__all__)
    assert len(set(udfs.stats.__all__)) == len(udfs.stats.__all__)
