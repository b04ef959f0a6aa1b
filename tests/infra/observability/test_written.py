"""What is made from the catalogue and the panels is what is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from config.settings import ROOT
from infra.observability.exporter.tables import FEWEST
from infra.observability.panels import COLUMNS, DASHBOARDS, HEIGHT, WIDTH, Dashboard, as_grafana
from infra.observability.written import DASHBOARDS_DIR, files, metrics_page
from jobs.wiring.metric_names import CATALOGUE, FLINK, MOST_TENANTS, flink_filter


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_what_is_kept_is_what_would_be_made(path: Path) -> None:
    made = files()[path]
    assert path.read_text(encoding="utf-8") == made, "make it anew: python -m infra.observability"


def test_there_is_no_dashboard_that_nobody_makes() -> None:
    assert {file for file in files() if file.parent == DASHBOARDS_DIR} == set(DASHBOARDS_DIR.glob("*"))


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: each.uid)
def test_panels_lie_side_by_side_and_ask_the_data_source_a_reader_picks(dashboard: Dashboard) -> None:
    made = json.loads(json.dumps(as_grafana(dashboard)))
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in made["panels"]]
    assert len(set(places)) == len(places)
    assert all(x % WIDTH == 0 and x < COLUMNS * WIDTH and y % HEIGHT == 0 for x, y in places)
    assert len({panel["id"] for panel in made["panels"]}) == len(places)
    assert {variable["name"] for variable in made["templating"]["list"]} >= {"datasource"}
    for panel in made["panels"]:
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
        assert panel["description"]


def test_a_panel_with_a_limit_has_a_line_there() -> None:
    panels = {panel["title"]: panel for panel in as_grafana(DASHBOARDS[0])["panels"]}
    defaults = panels["How old are results?"]["fieldConfig"]["defaults"]
    assert defaults["thresholds"]["steps"][-1] == {"color": "red", "value": 10}


def test_the_page_has_every_metric_once() -> None:
    lines = metrics_page().splitlines()
    assert {sum(f"| `{name}` |" in line for line in lines) for name in CATALOGUE} == {1}


def test_the_java_function_and_the_exporter_agree_on_how_many_tenants_and_records_are_enough() -> None:
    java = ROOT / "udfs/attribution/src/main/java/io/livelift/attribution/flink/RejectedShares.java"
    text = java.read_text(encoding="utf-8")
    assert f"MOST_TENANTS = {MOST_TENANTS};" in text
    assert f"FEWEST = {FEWEST};" in text


def test_flinks_reporter_hands_out_what_the_catalogue_has_of_it() -> None:
    handed_out = [
        f"flink_{scope.replace('.', '_')}_{name}"
        for each in flink_filter().split(";")
        for scope, names in [each.split(":")]
        for name in names.split(",")
    ]
    assert sorted(handed_out) == sorted(metric.name for metric in FLINK)
