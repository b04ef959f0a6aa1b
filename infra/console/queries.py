"""The closed set of questions the console may ask; each is a file of SQL with typed parameters.

Nothing a visitor sends becomes part of a statement: values travel beside it and ClickHouse binds them. Every
question about a tenant's data names the tenant; a moment of 0 is now.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "queries"

_PARAMETER = re.compile(r"\{(\w+):(\w+)\}")


class Query(StrEnum):
    """The questions; the value is the name of the file."""

    TENANTS = "tenants"
    HEADLINES = "headlines"
    RESULTS = "results"
    RESULTS_AS_OF = "results_as_of"
    HISTORY = "history"
    SAMPLE_RATIO = "sample_ratio"
    SAMPLE_RATIO_AS_OF = "sample_ratio_as_of"
    TOTALS = "totals"
    USERS = "users"
    LEDGER = "ledger"
    COVERAGE = "coverage"
    DECISIONS = "decisions"

    @property
    def text(self) -> str:
        """The statement."""
        return _text(self)

    @property
    def parameters(self) -> frozenset[str]:
        """Names of what it must be given, no more and no less."""
        return frozenset(name for name, _ in _PARAMETER.findall(self.text))


@cache
def _text(query: Query) -> str:
    return (FOLDER / f"{query}.sql").read_text(encoding="utf-8")
