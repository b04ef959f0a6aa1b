"""An experiment that does harm: stopped once, told to a receiver, computed again, and not again stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from config.settings import Webhook
from infra.broker import Broker
from infra.cli.output import note
from infra.console import console_url
from infra.decisions import read_decisions
from infra.upgrade import upgrade_scorecard
from infra.webhook import notify
from jobs.wiring.kafka import DECISIONS_TOPIC
from tests.harm import SLOWER, UNITS, publish, stop_decision
from tests.infra.test_webhook import Receiver, receiving
from tests.running_stack import RunningStack
from tests.waiting import eventually

pytestmark = pytest.mark.stack

TENANT = "harmed"


@pytest.fixture(scope="module")
def stopped(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The decision about the harmful experiment; a harmless one runs beside it."""
    return stop_decision(stack, TENANT, tmp_path_factory.mktemp("stop"))


def test_the_harmful_experiment_is_stopped(stopped: dict[str, Any]) -> None:
    assert (stopped["kind"], stopped["experiment_id"]) == ("stop", "harmful")
    assert stopped["bound"] < 0
    assert stopped["crossed_at"] <= stopped["decided_at"]


def test_the_console_shows_both_experiments_and_the_stop(
    stack: RunningStack, stopped: dict[str, Any]
) -> None:
    """Its definitions from Kafka, its rows from the job."""

    def said(experiment: str) -> str:
        address = f"{console_url(stack.settings)}/tenants/{TENANT}/experiment"
        return httpx.get(address, params={"id": experiment}, trust_env=False, timeout=30).text

    eventually(lambda: "Stop treatment: it harms latency" in said("harmful"), "the stop on the console")
    assert "stops the experiment" in said("harmless"), "as its definition says"
    assert "Stop treatment" not in said("harmless")


def test_the_row_that_shows_the_crossing_is_kept_for_good(
    stack: RunningStack, stopped: dict[str, Any]
) -> None:
    where = f"tenant_id = '{TENANT}' AND kept = 'decision'"
    query = f"SELECT count() AS rows FROM result_history_rows WHERE {where}"
    done = stack.livelift("sql", query, "--format", "JSONEachRow")
    assert int(json.loads(done.stdout)["rows"]) > 0, done.stderr


def test_it_is_computed_again_and_agrees(stack: RunningStack, stopped: dict[str, Any]) -> None:
    done = stack.livelift("decision", "replay", stopped["decision_id"])
    assert done.returncode == 0, done.stderr
    assert "the sums say the same" in done.stdout
    unknown = stack.livelift("decision", "replay", "stop-of-nothing")
    assert (unknown.returncode, unknown.stderr) == (1, "livelift: there is no decision stop-of-nothing\n")


def test_a_dry_run_says_what_would_be_sent_and_ends(stack: RunningStack, stopped: dict[str, Any]) -> None:
    said: list[str] = []
    settings = replace(stack.settings, webhook=Webhook("http://127.0.0.1:1"))
    notify(settings, Event(), said.append, dry_run=True)
    assert sum(f"{stopped['decision_id']} would be sent to http://127.0.0.1:1" in line for line in said) == 1


@pytest.fixture(scope="module")
def told(stack: RunningStack, stopped: dict[str, Any]) -> Iterator[Receiver]:
    """A receiver who fails first, and what he got of the decisions topic."""
    with receiving(503) as receiver:
        settings = replace(stack.settings, webhook=Webhook(receiver.url, "secret"))
        stop = Event()
        thread = Thread(target=notify, args=(settings, stop, note))
        thread.start()
        try:
            yield receiver
        finally:
            stop.set()
            thread.join()


def ids(receiver: Receiver) -> list[str]:
    return [headers["idempotency-key"] for headers, _ in receiver.got]


def test_a_receiver_is_told_though_he_failed_first(told: Receiver, stopped: dict[str, Any]) -> None:
    eventually(
        lambda: len(told.got) >= 2 and stopped["decision_id"] in ids(told), "the decision is delivered"
    )
    bodies = [json.loads(body) for _, body in told.got]
    record = next(body for body in bodies if body["decision_id"] == stopped["decision_id"])
    assert record["inputs"]["rule"] == "stop"


def test_after_a_restart_of_the_job_it_is_still_one_decision(
    stack: RunningStack, stopped: dict[str, Any]
) -> None:
    said: list[str] = []
    upgrade_scorecard(stack.settings, said.append)
    for experiment in SLOWER:
        publish(stack, TENANT, experiment, UNITS, UNITS // 4)
    assert stack.livelift("wait", timeout_s=300.0).returncode == 0
    query = f"SELECT n_control FROM results WHERE tenant_id = '{TENANT}' AND seq_p_min < 1 LIMIT 1"
    eventually(lambda: stack.livelift("sql", query).stdout.strip(), "looks count again", deadline_s=60.0)
    assert read_decisions(stack.settings, TENANT) == [stopped]
    records = Broker(stack.settings).read_to_end([DECISIONS_TOPIC])
    keys = [(message.key() or b"").decode() for message in records]
    assert keys.count(stopped["decision_id"]) == 1
