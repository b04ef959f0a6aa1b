"""The files that are made from the catalogue and the panels; a test compares them with what is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from config.settings import ROOT
from infra.observability.panels import DASHBOARDS, as_grafana
from jobs.wiring.metric_names import EXPORTER, FLINK, MOST_TENANTS, Metric

DASHBOARDS_DIR = ROOT / "infra" / "observability" / "dashboards"

HEAD = f"""\
# Metrics

Made by `python -m infra.observability` from [the catalogue](../jobs/wiring/metric_names.py); a test finds
every name in a scrape of the running stack. `livelift status` names the three addresses. Only {MOST_TENANTS}
tenants have series of their own. What is promised, and when somebody is called, is in [slo.md](slo.md).
"""


def files() -> dict[Path, str]:
    """Every such file and what it must contain."""
    pages = {ROOT / "docs" / "metrics.md": metrics_page()}
    for dashboard in DASHBOARDS:
        text = json.dumps(as_grafana(dashboard), indent=2)
        pages[DASHBOARDS_DIR / f"{dashboard.uid.removeprefix('livelift-')}.json"] = f"{text}\n"
    return pages


def metrics_page() -> str:
    """Every metric with its unit, its labels, what it says and what to do about it."""
    return "\n".join(
        [
            HEAD,
            "## The exporter's: what Flink does not know\n",
            *_table(EXPORTER),
            "",
            "## Flink's: all that its reporter hands out\n",
            *_table(FLINK),
            "",
        ]
    )


def _table(metrics: Sequence[Metric]) -> Iterator[str]:
    yield "| name | kind | unit | labels | says | what to do |"
    yield "|---|---|---|---|---|---|"
    for metric in metrics:
        labels = ", ".join(metric.labels)
        yield f"| `{metric.name}` | {metric.kind} | {metric.unit} | {labels} | {metric.says} | {metric.act} |"
