"""The ledger against a real log: every residue is found, and told where it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from config.settings import Settings
from infra import reconciliation
from infra.broker import client_settings
from infra.cli import reconcile as command
from infra.cli.errors import CliError
from infra.cli.main import app
from infra.cli.reconcile import print_balances, print_verdict, refuse_residues
from infra.migrations import apply
from infra.reconciliation import Balance, Residue, accounted_for, reconcile, rejected
from infra.views import Ledger
from tests.builders import HOUR, MINUTE
from tests.infra.clickhouse_process import clickhouse, connect
from tests.infra.kafka_process import append, create, now_minute, running_broker
from udfs.attribution.reference import LEDGER_NAMES, LedgerEntry

BEGINNING = now_minute() - 4 * HOUR
HEARTBEAT = "livelift-internal.heartbeat"


def test_what_became_of_records_adds_up_without_the_note_that_some_were_late() -> None:
    entry = LedgerEntry(91, **{name: number for number, name in enumerate(LEDGER_NAMES, start=1)})
    assert accounted_for(entry) == sum(range(1, 13))
    assert rejected(entry) == sum(range(5, 13))


# --------------------------------------------------------------------------- with a broker and ClickHouse


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("reconcile")
    with running_broker(folder / "kafka") as broker, clickhouse(folder / "clickhouse") as database:
        apply(database)
        create(broker, HEARTBEAT)
        yield replace(database, kafka=broker.kafka)


@pytest.fixture
def tenant(settings: Settings, numbers: Iterator[int] = count()) -> str:
    """A tenant of its own, with a topic of outcomes in two partitions."""
    tenant = f"tenant-{next(numbers)}"
    create(settings, topic_of(tenant), partitions=2)
    return tenant


def topic_of(tenant: str) -> str:
    return f"livelift.{tenant}.outcomes"


def enter(settings: Settings, tenant: str, minutes: dict[int, LedgerEntry], version: int = 1) -> None:
    """Writes what the job says of minutes after the beginning."""
    names = ["tenant_id", "topic", "minute", "received", *LEDGER_NAMES, "version"]
    rows = [
        [
            tenant,
            topic_of(tenant),
            datetime.fromtimestamp(BEGINNING / 1000 + 60 * minute, UTC),
            *entry,
            version,
        ]
        for minute, entry in minutes.items()
    ]
    with connect(settings) as client:
        client.insert("ledger_rows", rows, names, settings={"async_insert": 0})


def at(*minutes: float) -> list[int]:
    return [BEGINNING + int(minute * MINUTE) for minute in minutes]


@pytest.mark.jvm
@pytest.mark.clickhouse
def test_a_topic_whose_records_are_all_received_is_even(settings: Settings, tenant: str) -> None:
    append(settings, topic_of(tenant), at(0, 0.5, 2.99))
    append(settings, topic_of(tenant), at(0.1, 2), partition=1)
    enter(settings, tenant, {0: LedgerEntry(3, 1, 1, 1, late=1), 2: LedgerEntry(2, unreadable=2)})
    (balance,) = reconcile(settings, tenant)
    total = LedgerEntry(5, 1, 1, 1, unreadable=2, late=1)
    assert balance == Balance(tenant, topic_of(tenant), 5, total, ())
    assert balance.is_even


@pytest.mark.jvm
@pytest.mark.clickhouse
def test_a_topic_without_records_is_even(settings: Settings, tenant: str) -> None:
    assert reconcile(settings, tenant) == [Balance(tenant, topic_of(tenant), 0, LedgerEntry(), ())]


@pytest.mark.jvm
@pytest.mark.clickhouse
def test_records_that_were_not_received_are_missed_in_their_minutes(settings: Settings, tenant: str) -> None:
    append(settings, topic_of(tenant), at(0, 1, 1, 5, 9))
    enter(settings, tenant, {0: LedgerEntry(1, 1), 1: LedgerEntry(1, 1), 5: LedgerEntry(1, 1)})
    (balance,) = reconcile(settings, tenant)
    assert balance.residues == (
        Residue(*at(1, 2), in_kafka=2, received=1, accounted_for=1),
        Residue(*at(9, 10), in_kafka=1, received=0, accounted_for=0),
    )
    assert not balance.is_even


@pytest.mark.jvm
@pytest.mark.clickhouse
def test_what_is_missing_in_one_minute_and_too_much_in_another_does_not_cancel_out(
    settings: Settings, tenant: str
) -> None:
    append(settings, topic_of(tenant), at(0, 0, 3))
    enter(settings, tenant, {0: LedgerEntry(1, 1), 3: LedgerEntry(2, 2)})
    (balance,) = reconcile(settings, tenant)
    assert [(each.begin_ms, each.in_kafka, each.received) for each in balance.residues] == [
        (*at(0), 2, 1),
        (*at(3), 1, 2),
    ]
    assert balance.in_kafka == balance.ledger.received
    assert not balance.is_even


@pytest.mark.jvm
@pytest.mark.clickhouse
def test_received_records_of_which_nothing_has_become_are_a_residue(settings: Settings, tenant: str) -> None:
    append(settings, topic_of(tenant), at(0, 0, 3))
    enter(settings, tenant, {0: LedgerEntry(2, 1), 3: LedgerEntry(1, 1, 1)})
    (balance,) = reconcile(settings, tenant)
    assert balance.residues == (
        Residue(*at(0, 1), in_kafka=2, received=2, accounted_for=1),
        Residue(*at(3, 4), in_kafka=1, received=1, accounted_for=2),
    )


@pytest.mark.jvm
@pytest.mark.clickhouse
def test_a_ledger_of_a_topic_that_is_gone_is_a_residue(settings: Settings) -> None:
    enter(settings, "gone", {0: LedgerEntry(2, 2)})
    (balance,) = reconcile(settings, "gone")
    assert balance.residues == (Residue(*at(0, 1), in_kafka=0, received=2, accounted_for=2),)


@pytest.mark.jvm
@pytest.mark.clickhouse
def test_a_minute_of_a_long_log_is_found_too(
    settings: Settings, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "LOOKS", 7)
    minutes = range(200)
    append(settings, topic_of(tenant), at(*minutes))
    enter(settings, tenant, {minute: LedgerEntry(1, 1) for minute in minutes if minute != 113})
    (balance,) = reconcile(settings, tenant)
    assert balance.residues == (Residue(*at(113, 114), in_kafka=1, received=0, accounted_for=0),)
    monkeypatch.setattr(reconciliation, "STRETCHES", 0)
    (balance,) = reconcile(settings, tenant)
    assert balance.residues == (Residue(*at(112, 140), in_kafka=28, received=27, accounted_for=27),)


def keep_coming(monkeypatch: pytest.MonkeyPatch, tenant: str, more: Callable[[], None]) -> None:
    """Records arrive while the ledger is read."""
    read = reconciliation.ledger_in_view

    def reading(settings: Settings, tenant_id: str) -> Ledger:
        ledger = read(settings, tenant_id)
        more()
        return ledger

    monkeypatch.setattr(reconciliation, "ledger_in_view", reading)


@pytest.mark.jvm
@pytest.mark.clickhouse
@pytest.mark.parametrize(
    ("heard", "until"), [(7 + 9 / 60, 6), (7 + 11 / 60, 7)], ids=["just over", "over for eleven seconds"]
)
def test_while_records_keep_coming_only_minutes_that_are_over_are_compared(
    settings: Settings, tenant: str, monkeypatch: pytest.MonkeyPatch, heard: float, until: int
) -> None:
    append(settings, topic_of(tenant), at(0, 5, 6, 6.5))
    append(settings, topic_of(tenant), at(heard), partition=1)
    whole = {0: LedgerEntry(1, 1), 5: LedgerEntry(1, 1)} | ({6: LedgerEntry(2, 2)} if until == 7 else {})
    behind = {6: LedgerEntry(1, 1)} if until == 6 else {}
    enter(settings, tenant, whole | behind)
    keep_coming(monkeypatch, tenant, lambda: append(settings, topic_of(tenant), at(heard), partition=1))
    (balance,) = reconcile(settings, tenant)
    assert balance.is_even
    assert balance.in_kafka == sum(entry.received for entry in whole.values())
    assert (balance.since_ms, balance.until_ms) == (None, *at(until))


@pytest.mark.jvm
@pytest.mark.clickhouse
def test_where_old_records_are_gone_only_whole_minutes_are_compared(settings: Settings, tenant: str) -> None:
    append(settings, topic_of(tenant), at(0, 0, 1, 1, 1, 2, 3))
    append(settings, topic_of(tenant), at(0, 1, 2), partition=1)
    enter(
        settings,
        tenant,
        {0: LedgerEntry(3, 3), 1: LedgerEntry(4, 4), 2: LedgerEntry(2, 2), 3: LedgerEntry(1, 1)},
    )
    delete(settings, tenant, partition=0, before=3)
    (balance,) = reconcile(settings, tenant)
    assert (balance.since_ms, balance.until_ms) == (*at(2), None)
    assert (balance.in_kafka, balance.is_even) == (3, True)


@pytest.mark.jvm
@pytest.mark.clickhouse
def test_a_partition_emptied_by_retention_misses_nothing_younger(settings: Settings) -> None:
    tenant = "emptied"
    create(settings, topic_of(tenant), partitions=2, **{"retention.ms": str(3 * HOUR)})
    append(settings, topic_of(tenant), at(0))
    append(settings, topic_of(tenant), at(61, 235), partition=1)
    append(settings, HEARTBEAT, at(240))
    enter(settings, tenant, {0: LedgerEntry(1, 1), 61: LedgerEntry(1, 1), 235: LedgerEntry(1, 1)})
    delete(settings, tenant, partition=0, before=1)
    (balance,) = reconcile(settings, tenant)
    assert (balance.since_ms, balance.in_kafka, balance.is_even) == (*at(61), 2, True)


def delete(settings: Settings, tenant: str, *, partition: int, before: int) -> None:
    """What retention does, now."""
    admin = AdminClient(client_settings(settings))
    for future in admin.delete_records([TopicPartition(topic_of(tenant), partition, before)]).values():
        future.result(timeout=20)


@pytest.mark.jvm
@pytest.mark.clickhouse
def test_the_command_tells_machines_everything_and_refuses_a_residue(
    settings: Settings, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(settings, topic_of(tenant), at(0, 0))
    enter(settings, tenant, {0: LedgerEntry(2, 1, too_late=1)})
    monkeypatch.setattr(command, "load", lambda: settings)
    even = CliRunner().invoke(app, ["reconcile", tenant, "--format", "json"])
    (told,) = json.loads(even.stdout)
    assert even.exit_code == 0
    assert told | {"in_kafka": 2, "received": 2, "counted": 1, "too_late": 1, "rejected": 1} == told
    assert (told["not_received"], told["not_accounted_for"], told["residues"]) == (0, 0, [])

    enter(settings, tenant, {0: LedgerEntry(1, 1)}, version=2)
    uneven = CliRunner().invoke(app, ["reconcile", tenant])
    assert isinstance(uneven.exception, CliError)
    assert str(uneven.exception) == "a residue in 1 of 1 topics (if records are on their way: livelift wait)"
    assert "reconcile: 1 of 2 records accounted for" in uneven.stdout

    nobody = CliRunner().invoke(app, ["reconcile", "nobody"])
    assert str(nobody.exception) == "there are no topics of nobody"


# -------------------------------------------------------------------------------------------- the report


def balance(**changes: Any) -> Balance:
    ordinary = Balance("acme", topic_of("acme"), 12_345, LedgerEntry(12_345, 12_000, 300, 40, 5, late=7), ())
    return replace(ordinary, **changes)


def test_the_report_of_even_topics_is_a_table_and_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_balances([balance()])
    print_verdict([balance()])
    refuse_residues([balance()])
    header, row, verdict = capsys.readouterr().out.splitlines()
    names = r"topic +in Kafka +received +counted +\(late\) +duplicate +waiting +expired +rejected +residue"
    assert re.fullmatch(names, header)
    assert re.fullmatch(r"acme outcomes +12,345 +12,345 +12,000 +7 +300 +40 +5 +0 +0", row)
    assert verdict == "reconcile: 12345 of 12345 records accounted for"


def test_the_report_names_reasons_limits_and_places(capsys: pytest.CaptureFixture[str]) -> None:
    uneven = balance(
        ledger=LedgerEntry(12_340, 12_336, ended=3),
        residues=(Residue(BEGINNING, BEGINNING + MINUTE, 9, 4, 3),),
        since_ms=BEGINNING,
    )
    print_balances([balance(), uneven])
    out = capsys.readouterr().out
    minute = datetime.fromtimestamp(BEGINNING / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")
    assert f"from {minute}" in out
    assert [line.split() for line in out.splitlines()[4:6]] == [
        ["rejected", "ended"],
        ["acme", "outcomes", "3"],
    ]
    assert out.splitlines()[-1].split()[3:] == [
        datetime.fromtimestamp((BEGINNING + MINUTE) / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ"),
        "9",
        "4",
        "3",
    ]
    with pytest.raises(CliError, match="a residue in 1 of 2 topics"):
        refuse_residues([balance(), uneven])
