"""The guide for notebooks is run line by line against a counted experiment."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from config.settings import ROOT
from infra.export import View, export_view
from infra.migrations import apply
from tests import counted
from tests.infra.clickhouse_process import clickhouse

pytestmark = pytest.mark.clickhouse

GUIDE = ROOT / "docs" / "notebooks.md"


def test_the_guide_does_what_it_says(tmp_path: Path) -> None:
    with clickhouse(tmp_path / "clickhouse") as settings:
        apply(settings)
        counted.write(settings)
        exported = tmp_path / "slots.parquet"
        export_view(settings, View.SLOTS, counted.TENANT, counted.EXPERIMENT, exported)
        known = {
            "url": settings.clickhouse.url,
            "user": settings.clickhouse.user,
            "password": settings.clickhouse.password,
            "database": settings.clickhouse.database,
            "exported": exported,
        }
        failed, tried = doctest.testfile(str(GUIDE), module_relative=False, globs=known, encoding="utf-8")
    assert tried > 10
    assert failed == 0
