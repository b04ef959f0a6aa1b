"""``livelift reconcile``: is every record that Kafka has accounted for in the ledger?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from config.settings import load
from infra import reconciliation
from infra.cli.errors import CliError
from infra.cli.output import Column, Format, print_json, print_table
from infra.cli.refusals import refusals
from infra.reconciliation import REASONS, Balance, Residue, rejected

RESIDUES_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(reconcile)


def reconcile(
    tenant: Annotated[str, typer.Argument(help="Only this tenant.", show_default=False)] = "",
    output: Annotated[Format, typer.Option("--format", help="For people or for machines.")] = Format.TABLE,
) -> None:
    """Compare the ledger with Kafka: every record is received once, and something has become of each.

    For each topic, the offsets Kafka gave out must be the records received, and these the sum of counted,
    duplicate, waiting, expired (an outcome no exposure came for) and rejected. Any residue is shown with the
    minutes it is in, and the exit status is 1. It does not wait: records on their way through the jobs are a
    residue too, so run `livelift wait` first. While records keep coming, a topic is compared up to the last
    minute that is over; where old records were deleted, from the first whole minute on.

    Assumed of the topics: append times grow (LogAppendTime), and every offset is a record, so there are no
    transactions (their ends take offsets) and no compaction.
    """
    settings = load()
    with refusals():
        balances = reconciliation.reconcile(settings, tenant)
    if tenant and not balances:
        raise CliError(f"there are no topics of {tenant}")
    if output is Format.JSON:
        print_json([as_json(balance) for balance in balances])
    else:
        print_balances(balances)
        print_verdict(balances)
    refuse_residues(balances)


def print_balances(balances: Sequence[Balance]) -> None:
    """The ledger of each topic, the rejected by reason, and where there is a residue."""
    limits = [_limits(balance) for balance in balances]
    columns = [Column("topic", may_fold=True), *(Column(name, "right") for name in NUMBERS)]
    rows = [(_short(balance), *(f"{number:,}" for number in _numbers(balance))) for balance in balances]
    if any(limits):
        columns.append(Column("compared", may_fold=True))
        rows = [(*row, limit) for row, limit in zip(rows, limits, strict=True)]
    print_table(columns, rows)
    _print_reasons(balances)
    _print_residues(balances)


def print_verdict(balances: Sequence[Balance]) -> None:
    """One line: how many of how many."""
    in_kafka = sum(balance.in_kafka for balance in balances)
    accounted_for = sum(balance.accounted_for for balance in balances)
    print(f"reconcile: {accounted_for} of {in_kafka} records accounted for")


def refuse_residues(balances: Sequence[Balance]) -> None:
    """Any residue is an error.

    Raises:
        CliError: In how many topics there is one.
    """
    uneven = sum(not balance.is_even for balance in balances)
    if uneven:
        raise CliError(
            f"a residue in {uneven} of {len(balances)} topics (if records are on their way: livelift wait)"
        )


def as_json(balance: Balance) -> dict[str, Any]:
    """Everything that is known of a topic, times in ISO 8601."""
    return {
        "tenant_id": balance.tenant_id,
        "topic": balance.topic,
        "since": _iso(balance.since_ms),
        "until": _iso(balance.until_ms),
        "in_kafka": balance.in_kafka,
        **balance.ledger._asdict(),
        "rejected": rejected(balance.ledger),
        "not_received": balance.in_kafka - balance.ledger.received,
        "not_accounted_for": balance.ledger.received - balance.accounted_for,
        "residues": [
            residue._asdict() | {"begin_ms": _iso(residue.begin_ms), "end_ms": _iso(residue.end_ms)}
            for residue in balance.residues
        ],
    }


NUMBERS = (
    "in Kafka",
    "received",
    "counted",
    "(late)",
    "duplicate",
    "waiting",
    "expired",
    "rejected",
    "residue",
)


def _numbers(balance: Balance) -> tuple[int, ...]:
    entry = balance.ledger
    return (
        balance.in_kafka,
        entry.received,
        entry.counted,
        entry.late,
        entry.duplicate,
        entry.waiting,
        entry.expired_unmatched,
        rejected(entry),
        sum(map(_size, balance.residues)),
    )


def _size(residue: Residue) -> int:
    """How many records are missing or too many, at least."""
    return abs(residue.in_kafka - residue.received) + abs(residue.received - residue.accounted_for)


def _print_reasons(balances: Sequence[Balance]) -> None:
    """Only reasons and topics that have any."""
    reasons = [reason for reason in REASONS if any(getattr(balance.ledger, reason) for balance in balances)]
    if reasons:
        print()
        print_table(
            [Column("rejected", may_fold=True), *(Column(reason, "right") for reason in reasons)],
            [
                (_short(balance), *(f"{getattr(balance.ledger, reason):,}" for reason in reasons))
                for balance in balances
                if rejected(balance.ledger)
            ],
        )


def _print_residues(balances: Sequence[Balance]) -> None:
    found = [(balance, residue) for balance in balances for residue in balance.residues]
    if found:
        print()
        columns = (
            Column("residue in", may_fold=True),
            Column("from"),
            Column("to"),
            *(Column(name, "right") for name in ("in Kafka", "received", "accounted for")),
        )
        rows = [
            (_short(balance), _iso(residue.begin_ms), _iso(residue.end_ms), *(f"{n:,}" for n in residue[2:]))
            for balance, residue in found[:RESIDUES_SHOWN]
        ]
        print_table(columns, rows)
        if len(found) > RESIDUES_SHOWN:
            print(f"and {len(found) - RESIDUES_SHOWN} more places")


def _limits(balance: Balance) -> str:
    limits = {"from": _iso(balance.since_ms), "until": _iso(balance.until_ms)}
    return " ".join(f"{word} {moment}" for word, moment in limits.items() if moment)


def _short(balance: Balance) -> str:
    """Tenant and kind; these are the parts of a topic's name that differ."""
    return f"{balance.tenant_id} {balance.topic.rpartition('.')[2]}"


def _iso(epoch_ms: int | None) -> str | None:
    if epoch_ms is None:
        return None
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")
