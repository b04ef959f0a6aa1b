"""Whether a scrape has what rules and panels ask for is told from its samples, not from what it declares."""

from __future__ import annotations

from prometheus_client.exposition import generate_latest
from prometheus_client.registry import CollectorRegistry

from infra.observability.exporter.page import Page
from infra.observability.exporter.sample import Sample
from jobs.wiring.metric_names import EXPORTER, FLINK
from tests.infra.observability.scraped import Lacking, read_scrape

OF_FLINK = "".join(f"# TYPE {metric.name} gauge\n{metric.name} 0.0\n" for metric in FLINK)


def exported(without: str = "") -> str:
    """What the exporter's page says after a look that saw everything but one metric."""
    page, registry = Page(), CollectorRegistry(auto_describe=False)
    registry.register(page)
    page.show(Sample(each.name, ("",) * len(each.labels), 0) for each in EXPORTER if each.name != without)
    return generate_latest(registry).decode()


def test_nothing_is_lacking_where_every_metric_has_a_sample() -> None:
    assert Lacking.of(read_scrape(OF_FLINK, exported()))


def test_a_metric_that_is_declared_and_has_no_sample_is_lacking() -> None:
    for name in ("livelift_decision_delay_seconds", "livelift_log_records_total"):
        lacking = Lacking.of(read_scrape(OF_FLINK, exported(without=name)))
        assert set(lacking.names) == {name}
        assert f"{name} (declared, no sample): " in repr(lacking)


def test_a_metric_that_nobody_hands_out_is_lacking_with_all_who_ask_for_it() -> None:
    lacking = Lacking.of(read_scrape(exported()))
    assert set(lacking.names) == {metric.name for metric in FLINK}
    restarts = (
        "flink_jobmanager_job_numRestarts (absent): rule JobRestartsOften, panel livelift-jobs/Restarts"
    )
    assert f"\n  {restarts}\n" in repr(lacking)
