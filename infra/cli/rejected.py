"""``livelift rejected``: the records that take no part in results."""

from __future__ import annotations

import base64
from collections import Counter
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from config.settings import load
from infra.cli.output import Column, Format, note, print_json, print_table
from infra.cli.progress import bar
from infra.cli.refusals import refusals
from infra.rejected import read_rejected
from schemas.events import RejectedRecord
from udfs.attribution.reference import Reason

group = typer.Typer(help="Records that take no part in results, and why.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(group, name="rejected")


@group.command(name="list")
def list_rejected(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    reason: Annotated[Reason | None, typer.Option(help="Only those refused for this reason.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
    output: Annotated[Format, typer.Option("--format", help="For people or for machines.")] = Format.TABLE,
) -> None:
    """List refused records with their reason and place in the log; as JSON with their bytes in base64 too."""
    settings = load()
    with refusals(), bar("reading") as reading:
        records = read_rejected(settings, tenant_id=tenant, reason=reason, progress=reading)
    shown = records[-limit:]
    if output is Format.JSON:
        print_json([_as_json(record) for record in shown])
        return
    columns = (
        Column("append time"),
        Column("reason"),
        Column("topic", may_fold=True),
        Column("partition:offset", "right"),
        Column("detail", may_fold=True),
    )
    print_table(
        columns,
        [
            (
                _time(record.append_time),
                record.reason,
                record.topic,
                f"{record.partition}:{record.offset}",
                record.detail,
            )
            for record in shown
        ],
    )
    by_reason = Counter(record.reason for record in records)
    counted = ", ".join(f"{count} {name}" for name, count in by_reason.most_common())
    note(f"{len(records)} refused{f' ({counted})' if counted else ''}; {len(shown)} shown")


def _as_json(record: RejectedRecord) -> dict[str, Any]:
    fields = {name: getattr(record, name) for name in RejectedRecord.__dataclass_fields__}
    return {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in fields.items()
    }


def _time(epoch_ms: int | None) -> str:
    if epoch_ms is None:
        return ""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
