"""Every metric of a rule or a panel has samples in a scrape of the running stack, which agree with it."""

from __future__ import annotations

import json
from collections.abc import Iterable

import httpx
import pytest

from config.settings import Settings
from infra.cluster import Cluster
from infra.lanes import running_lanes
from infra.local.status import metrics_addresses
from infra.reconciliation import reconcile
from jobs.attribution.lane import Lane
from jobs.wiring.kafka import SCORECARD_GROUP
from jobs.wiring.metric_names import CATALOGUE
from tests.harm import stop_decision
from tests.infra.observability.scraped import Lacking, Scraped, read_scrape
from tests.running_stack import RunningStack
from tests.waiting import eventually

pytestmark = pytest.mark.stack

LOOKED_AGAIN_WITHIN_S = 60.0

TENANTS = ("acme", "globex", "initech")
"""Of the demo's scenario."""


@pytest.fixture(scope="module")
def busy(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> RunningStack:
    """The stack after a decision, and after events of three tenants, all of them counted."""
    stop_decision(stack, "stopped", tmp_path_factory.mktemp("scrape"))
    for arguments in (("simulate", "--rate", "300", "--seconds", "4", "--seed", "11"), ("wait",)):
        done = stack.livelift(*arguments)
        assert done.returncode == 0, done.stderr
    return stack


def scrape(settings: Settings) -> Scraped:
    addresses = metrics_addresses(settings)
    return read_scrape(
        *(httpx.get(each, trust_env=False, timeout=30.0).raise_for_status().text for each in addresses)
    )


def values(settings: Settings, name: str, label: str) -> dict[str, float]:
    return {sample.labels[label]: sample.value for sample in scrape(settings)[name]}


def test_every_metric_of_a_rule_or_a_panel_has_a_sample_in_a_scrape(busy: RunningStack) -> None:
    eventually(
        lambda: Lacking.of(scrape(busy.settings)),
        "a sample of every metric that is asked for",
        deadline_s=LOOKED_AGAIN_WITHIN_S,
    )


def test_flink_hands_out_nothing_that_the_catalogue_does_not_have(busy: RunningStack) -> None:
    ours = {name for name in scrape(busy.settings) if name.startswith(("flink_", "livelift_"))}
    assert ours == set(CATALOGUE)


def test_labels_are_those_of_the_catalogue_and_tenants_keep_their_names(busy: RunningStack) -> None:
    for name, samples in scrape(busy.settings).items():
        for sample in samples if name in CATALOGUE else ():
            assert set(CATALOGUE[name].labels) <= set(sample.labels), name
    shares = scrape(busy.settings)["flink_taskmanager_job_task_operator_livelift_tenant_rejected_share"]
    assert {sample.labels["tenant"] for sample in shares} >= set(TENANTS)
    assert {sample.labels["job_name"] for sample in shares} <= {each.name for each in lanes(busy)}


def test_what_is_counted_is_told_as_sent_whole_and_not_waiting(busy: RunningStack) -> None:
    sent = {
        tenant_id: sum(balance.in_kafka for balance in reconcile(busy.settings, tenant_id))
        for tenant_id in TENANTS
    }

    def agree() -> bool:
        found = scrape(busy.settings)
        told = dict.fromkeys(TENANTS, 0.0)
        for sample in found["livelift_log_records_total"]:
            if sample.labels["tenant"] in told:
                told[sample.labels["tenant"]] += sample.value
        quiet = ("livelift_count_delay_seconds", "livelift_results_behind_seconds")
        waiting = {sample.labels["tenant"]: sample.value for name in quiet for sample in found[name]}
        return told == sent and not any(waiting[tenant_id] for tenant_id in TENANTS)

    eventually(agree, "records are told as sent and counted", deadline_s=LOOKED_AGAIN_WITHIN_S)
    residues = values(busy.settings, "livelift_ledger_residue_records", "tenant")
    assert {residues[tenant_id] for tenant_id in TENANTS} == {0}


def test_jobs_and_parts_are_told_as_they_are(busy: RunningStack) -> None:
    jobs = {SCORECARD_GROUP, *(lane.name for lane in lanes(busy))}

    def agree() -> bool:
        running = values(busy.settings, "livelift_job_running", "job_name")
        return set(running) <= jobs and set(running.values()) == {1}

    eventually(agree, "every job that must run is told as running", deadline_s=LOOKED_AGAIN_WITHIN_S)
    assert set(values(busy.settings, "livelift_up", "part").values()) == {1}
    ages = values(busy.settings, "livelift_checkpoint_age_seconds", "job_name")
    assert jobs <= set(ages)
    lags = values(busy.settings, "livelift_lag_records", "job_name")
    assert SCORECARD_GROUP in lags
    (heartbeat,) = scrape(busy.settings)["livelift_heartbeat_age_seconds"]
    assert heartbeat.value < 60
    rows = values(busy.settings, "livelift_table_rows", "table")
    assert rows["slot_rows"] > 0
    assert rows["result_rows"] > 0


def test_the_status_names_where_metrics_are(busy: RunningStack) -> None:
    addresses = metrics_addresses(busy.settings)
    assert json.loads(busy.livelift("status", "--format", "json").stdout)["metrics"] == list(addresses)
    assert f"metrics: {'  '.join(addresses)}\n" in busy.livelift("status").stdout


def lanes(stack: RunningStack) -> Iterable[Lane]:
    """The lanes that run, others of other tests included."""
    return running_lanes(Cluster(stack.settings))
