"""``livelift rejected``: the records that take no part in results, looked at and sent again."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from config.settings import load
from infra.cli.errors import CliError
from infra.cli.moments import moment
from infra.cli.output import Column, Format, note, print_json, print_table
from infra.cli.progress import bar
from infra.cli.refusals import refusals
from infra.rejected import (
    REPLAYED_UNASKED,
    Plan,
    Position,
    Replays,
    Selection,
    plan_replay,
    read_rejected,
    read_replays,
    replay,
)
from schemas.events import RejectedRecord
from udfs.attribution.reference import Reason

group = typer.Typer(help="Records that take no part in results, and why.", no_args_is_help=True)

NAMED = 20
"""So many records that cannot be sent again are named one by one."""


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(group, name="rejected")


Tenant = Annotated[str, typer.Argument(help="Only this tenant's.", show_default=False)]
TenantOption = Annotated[str, typer.Option("--tenant", help="The same as TENANT.", hidden=True)]
Reasons = Annotated[
    list[Reason] | None, typer.Option("--reason", help="Only those refused for this reason; may be repeated.")
]
Since = Annotated[
    int | None,
    typer.Option(
        parser=moment,
        metavar="TIME",
        help="Only those appended then or later: ISO 8601 or epoch milliseconds.",
    ),
]
Until = Annotated[int | None, typer.Option(parser=moment, metavar="TIME", help="Only those appended before.")]


@group.command(name="list")
def list_rejected(
    tenant: Tenant = "",
    tenant_option: TenantOption = "",
    reason: Reasons = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
    output: Annotated[Format, typer.Option("--format", help="For people or for machines.")] = Format.TABLE,
) -> None:
    """List refused records with their reason and place in the log; as JSON with their bytes in base64 too.

    A record that was sent again names its copy, and a copy that was refused names what it is a copy of.
    """
    records, replays = _read(Selection(_tenant(tenant, tenant_option), reason or (), since, until))
    shown = records[-limit:]
    if output is Format.JSON:
        print_json([_as_json(record, replays) for record in shown])
        return
    columns = (
        Column("append time"),
        Column("reason"),
        Column("topic", may_fold=True),
        Column("partition:offset", "right"),
        Column("detail", may_fold=True),
        Column("replay"),
    )
    print_table(columns, [_row(record, replays) for record in shown])
    counted = _by_reason(records)
    note(f"{len(records)} refused{f' ({counted})' if counted else ''}; {len(shown)} shown")


@group.command(name="replay")
def replay_rejected(
    tenant: Tenant = "",
    tenant_option: TenantOption = "",
    reason: Reasons = None,
    since: Since = None,
    until: Until = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also send copies that were refused in their turn, once more.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
) -> None:
    """Send refused records again, key and bytes as they were, to the topics they came from.

    A copy is a new record with an append time of its own: what was from the future, or of a schema unknown
    then, may count now; what was too late stays too late. Each refused record is sent again once, however
    often this is called. Without --reason all are sent but duplicates, whose first record stands.

    A record of which only the beginning was kept (more than 900,000 bytes) cannot be sent: the others are,
    and the exit status is 1.
    """
    reasons: Collection[str] = reason or REPLAYED_UNASKED
    records, replays = _read(Selection(_tenant(tenant, tenant_option), reasons, since, until))
    plan = plan_replay(records, replays, again=again)
    if not dry_run:
        with refusals(), bar("sending") as sending:
            replay(load(), plan.sent, sending)
    _report(plan, dry_run=dry_run)


def _read(selection: Selection) -> tuple[list[RejectedRecord], Replays]:
    settings = load()
    with refusals(), bar("reading") as reading:
        replays = read_replays(settings)
        records = read_rejected(settings, tenant_id=selection.tenant_id or None, progress=reading)
    return [record for record in records if record in selection], replays


def _report(plan: Plan, *, dry_run: bool) -> None:
    """Say what was sent, what was not, and why.

    Raises:
        CliError: Some cannot be sent.
    """
    counted = _by_reason(plan.sent)
    print(f"{len(plan.sent)} {'would be ' if dry_run else ''}sent again{f': {counted}' if counted else ''}")
    if plan.sent_before:
        note(f"{len(plan.sent_before)} were sent again before")
    if plan.refused_again:
        note(f"{len(plan.refused_again)} are copies that were refused again: --again sends them once more")
    if plan.cut:
        named = ", ".join(str(Position.of(record)) for record in plan.cut[:NAMED])
        more = f" and {len(plan.cut) - NAMED} more" if len(plan.cut) > NAMED else ""
        raise CliError(
            f"{len(plan.cut)} cannot be sent again, because only the beginning of their bytes was kept: "
            f"{named}{more}"
        )


def _tenant(argument: str, option: str) -> str:
    if argument and option and argument != option:
        raise CliError(f"two tenants are named: {argument} and {option}")
    return argument or option


def _by_reason(records: Sequence[RejectedRecord]) -> str:
    by_reason = Counter(record.reason for record in records)
    return ", ".join(f"{count} {name}" for name, count in by_reason.most_common())


def _row(record: RejectedRecord, replays: Replays) -> tuple[object, ...]:
    position = Position.of(record)
    copy, original = replays.copies.get(position), replays.originals.get(position)
    said = [f"of {_short(original)}"] if original else []
    said += [f"sent again as {_short(copy)}"] if copy else []
    return (
        _time(record.append_time),
        record.reason,
        record.topic,
        _short(position),
        record.detail,
        ", ".join(said),
    )


def _short(position: Position) -> str:
    return f"{position.partition}:{position.offset}"


def _as_json(record: RejectedRecord, replays: Replays) -> dict[str, Any]:
    fields = {name: getattr(record, name) for name in RejectedRecord.__dataclass_fields__}
    position = Position.of(record)
    copy, original = replays.copies.get(position), replays.originals.get(position)
    fields |= {"copy_of": original and str(original), "sent_again_as": copy and str(copy)}
    return {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in fields.items()
    }


def _time(epoch_ms: int | None) -> str:
    if epoch_ms is None:
        return ""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
