"""Rules are sound, fire when they must and only then, and each alert says what to do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from config.settings import ROOT, Exporter, Local, port_of
from infra.observability.panels import DASHBOARDS
from jobs.wiring.metric_names import CATALOGUE
from tests.infra.observability.rules_kept import (
    RULE_TESTS,
    RULES,
    RUNBOOKS,
    alerts,
    names_in,
    read,
    recorded,
    rules,
)

PROMETHEUS = ROOT / "infra" / "observability" / "prometheus.yaml"
HEADINGS = ("## What it means", "## What to look at", "## What to do", "## How to know it is over")


def promtool(*arguments: str) -> None:
    """Run promtool; what it finds wrong is the failure."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    program = shutil.which("promtool", path=path)
    assert program, "promtool is not there: `make test` gets it"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.processes
def test_promtool_finds_no_fault_in_the_rules_and_in_the_configuration() -> None:
    promtool("check", "rules", *map(str, RULES))
    promtool("check", "config", str(PROMETHEUS))


@pytest.mark.processes
@pytest.mark.parametrize("file", RULE_TESTS, ids=lambda file: file.stem)
def test_alerts_fire_when_they_must_and_only_then(file: Path) -> None:
    promtool("test", "rules", str(file))


@pytest.mark.processes
def test_promtool_finds_an_alert_that_does_not_fire(tmp_path: Path) -> None:
    (rule_file,) = (file for file in RULES if file.stem == "alerts")
    sick = rule_file.read_text(encoding="utf-8").replace("livelift_up) == 0", "livelift_up) == 2")
    (tmp_path / "alerts.yaml").write_text(sick, encoding="utf-8")
    (test,) = (file for file in RULE_TESTS if file.stem == "parts")
    content = read(test) | {"rule_files": [str(tmp_path / "alerts.yaml")]}
    (tmp_path / "parts.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(AssertionError, match="alertname: PartDown"):
        promtool("test", "rules", str(tmp_path / "parts.yaml"))


def test_every_alert_is_seen_firing_and_seen_silent() -> None:
    seen = defaultdict(set)
    for file in RULE_TESTS:
        for story in read(file)["tests"]:
            for each in story["alert_rule_test"]:
                seen[each["alertname"]].add(bool(each["exp_alerts"]))
    silent_or_firing_only = {name for name, found in seen.items() if found != {True, False}}
    assert set(seen) == set(alerts())
    assert silent_or_firing_only == set()


def test_every_alert_names_its_runbook_and_every_runbook_its_alert() -> None:
    named = {name: rule["annotations"]["runbook"] for name, rule in alerts().items()}
    assert named == {name: f"docs/runbooks/{name}.md" for name in named}
    assert set(named) == {file.stem for file in RUNBOOKS.glob("*.md")}


@pytest.mark.parametrize("name", sorted(alerts()))
def test_a_runbook_says_what_it_means_what_to_look_at_what_to_do_and_when_it_is_over(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n")
    assert tuple(re.findall(r"^## .*$", text, re.MULTILINE)) == HEADINGS
    parts = re.split(r"^## .*\n", text, flags=re.MULTILINE)
    assert all(part.strip() for part in parts)


def test_every_alert_is_a_page_or_a_ticket_and_is_in_the_page_of_objectives() -> None:
    page = (ROOT / "docs" / "slo.md").read_text(encoding="utf-8")
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert f"[{name}](runbooks/{name}.md) | {rule['labels']['severity']}" in page


def test_the_catalogue_names_only_runbooks_that_exist() -> None:
    named = {name for each in CATALOGUE.values() for name in re.findall(r"runbook (\w+)", each.act)}
    assert named <= set(alerts())


def test_rules_and_panels_name_only_what_the_catalogue_or_a_recording_rule_has() -> None:
    exprs = {rule.get("alert") or rule["record"]: rule["expr"] for rule in rules()}
    exprs |= {panel.title: " + ".join(panel.exprs) for each in DASHBOARDS for panel in each.panels}
    known = set(CATALOGUE) | recorded()
    unknown = {title: names_in(expr) - known for title, expr in exprs.items() if names_in(expr) - known}
    assert unknown == {}


def test_an_unknown_name_is_found_in_an_expression() -> None:
    expr = (
        'sum by (livelift_label) (rate(livelift_typo_total{tenant="livelift_x"}[5m])) / livelift:fresh:share'
    )
    assert names_in(f"{expr} / livelift:fresh:share") == {"livelift_typo_total", "livelift:fresh:share"}


def test_prometheus_looks_where_the_stack_of_one_machine_listens() -> None:
    configured = {
        each["job_name"]: each["static_configs"][0]["targets"] for each in read(PROMETHEUS)["scrape_configs"]
    }
    ports = {
        "livelift-jobmanager": Local().jobmanager_metrics_port,
        "livelift-taskmanager": Local().taskmanager_metrics_port,
        "livelift-exporter": port_of(Exporter().url),
    }
    assert configured == {name: [f"127.0.0.1:{port}"] for name, port in ports.items()}
