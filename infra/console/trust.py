"""Whether the numbers may be trusted: users and their split, freshness, ledger, decisions, in words."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from infra.console import figures
from infra.console.definitions import Definition
from infra.console.freshness import Freshness, Liveness
from infra.console.source import Answer, Row
from infra.console.verdict import Decision, Split

SPLIT_LIMIT = 0.001
"""Below it the sequential test says that users are not spread as planned."""


class Tile(NamedTuple):
    """One thing to know before trusting a number; ``place`` is the part of the page behind it."""

    name: str
    value: str
    small: str
    place: str = ""
    is_trouble: bool = False


def tiles(
    users_by_class: Sequence[Row],
    split: Split,
    ratios: Sequence[Row],
    fresh: Freshness,
    ledger: Row | None,
    days_left: float | None,
) -> tuple[Tile, ...]:
    """At a glance, each a link to the part of the page that tells more."""
    users = {row["unit_class"]: row for row in users_by_class}
    counted = [row for name, row in users.items() if name != "bot"]
    total = sum(row["users"] for row in counted)
    of_a_day = sum(row["users_of_a_day"] for row in counted)
    crossed = users.get("crossed", {}).get("users", 0)
    bots = users.get("bot", {}).get("users", 0)
    return (
        _users(total, f"{figures.whole(of_a_day)} in the last day", days_left),
        _split_tile(split, ratios),
        Tile("Fresh", fresh.short, _fresh_small(fresh), "#ledger", not fresh.is_well),
        _late_and_refused(ledger),
        Tile(
            "Crossed users",
            figures.percent(crossed / total) if total else figures.NOTHING,
            f"counted where first seen; {figures.whole(bots)} bots left out",
            "#look",
        ),
        Tile(
            "Regions",
            " · ".join(fresh.regions) or figures.NOTHING,
            f"missing: {', '.join(map(figures.apart, fresh.behind))}"
            if fresh.behind
            else ("all counted" if fresh.regions else "not told"),
            "#ledger",
            bool(fresh.behind),
        ),
    )


def tiles_then(
    rows: Sequence[Row], split: Split, ratios: Sequence[Row], fresh: Freshness, days_left: float | None
) -> tuple[Tile, ...]:
    """The same as of a moment, from what is kept of it.

    Who crossed, who is a bot and what became of each record is known as of now only, and is left out.
    """
    users = sum(ratios[0]["counts"]) if ratios else None
    regions = sorted({region for row in rows for region in row.get("regions", ())})
    return (
        _users(users, "counted by then" if ratios else "not kept of this moment", days_left),
        _split_tile(split, ratios),
        Tile("Fresh", fresh.short, _fresh_small(fresh), "#as-of", fresh.liveness is Liveness.STOPPED),
        Tile("Regions", " · ".join(regions) or figures.NOTHING, "counted then" if regions else "not told"),
    )


def _users(users: int | None, small: str, days_left: float | None) -> Tile:
    """How many, and the one time until all that are planned have come."""
    plan = ""
    if days_left is not None:
        plan = f" · planned users in {figures.days(days_left)}" if days_left else " · all planned users came"
    shown = figures.NOTHING if users is None else figures.whole(users)
    return Tile("Users", shown, f"{small}{plan}", "#sample-ratio")


def _split_tile(split: Split, ratios: Sequence[Row]) -> Tile:
    is_trouble = split is Split.NOT_AS_PLANNED
    return Tile("Sample ratio", split, _observed(ratios), "#sample-ratio", is_trouble)


def _fresh_small(fresh: Freshness) -> str:
    return {
        Liveness.LIVE: "asked again every few seconds",
        Liveness.QUIET: "nothing was sent, or something stopped",
        Liveness.BEHIND: "newer events are counted, not yet in these numbers",
        Liveness.PARTIAL: "part of the users",
        Liveness.STOPPED: "not updated",
        Liveness.PAST: "not updated, as asked",
    }[fresh.liveness]


def _late_and_refused(ledger: Row | None) -> Tile:
    if ledger is None or not ledger["received"]:
        return Tile("Late and refused", figures.NOTHING, "all experiments: nothing received", "#ledger")
    share = (ledger["late"] + ledger["rejected"]) / ledger["received"]
    late, refused = figures.whole(ledger["late"]), figures.whole(ledger["rejected"])
    small = f"all experiments: {late} late, counted · {refused} refused"
    return Tile("Late and refused", figures.percent(share), small, "#ledger")


def split_of(ratios: Sequence[Row]) -> Split:
    """What the sequential test says now, or ever said."""
    if not ratios:
        return Split.UNKNOWN
    row = ratios[0]
    if row["reason"] == "leak":
        return Split.NOT_AS_PLANNED
    if row["status"] != "ok" or row["seq_p_value"] is None:
        return Split.UNKNOWN
    lowest = min(row["seq_p_value"], 1.0 if row["seq_p_min"] is None else row["seq_p_min"])
    return Split.NOT_AS_PLANNED if lowest < SPLIT_LIMIT else Split.AS_PLANNED


def _observed(ratios: Sequence[Row]) -> str:
    if not ratios or not sum(ratios[0]["counts"]):
        return ""
    counts = ratios[0]["counts"]
    return " / ".join(figures.percent(count / sum(counts), 2) for count in counts)


def split_rows(ratios: Sequence[Row]) -> tuple[tuple[str, str, str], ...]:
    """Each variant, its users, and those expected."""
    if not ratios:
        return ()
    row = ratios[0]
    return tuple(
        (variant, figures.whole(count), figures.whole(expected))
        for variant, count, expected in zip(row["variants"], row["counts"], row["expected"], strict=True)
    )


def split_words(split: Split, ratios: Sequence[Row]) -> str:
    """What the split means, in a sentence or two."""
    if split is Split.NOT_KEPT:
        return "Nothing is kept of the sample ratio at this moment."
    if not ratios:
        return "No user has been counted yet."
    row = ratios[0]
    if row["reason"] == "leak":
        return "Users were found in a variant that should receive nobody."
    if row["seq_p_value"] is None:
        return "Too few users to tell whether they were split as planned."
    if split is Split.NOT_AS_PLANNED:
        lowest = min(row["seq_p_value"], 1.0 if row["seq_p_min"] is None else row["seq_p_min"])
        return (
            f"Were users split as planned, {figures.one_in(lowest)} would ever be this far from it. "
            "The groups may differ for other reasons than the change."
        )
    return "The split is as one expects from chance, however often it was looked at."


def in_force(rows: Sequence[Row], definition: Definition | None) -> list[Decision]:
    """Decisions about the newest version; what an earlier version was stopped for may be mended by now."""
    newest = definition.newest.config_version if definition else 0
    return [decision_of(row) for row in rows if not 0 < row["config_version"] < newest]


def decision_of(row: Row) -> Decision:
    """A row of ``decisions``, its inputs laid out to be read."""
    return Decision(
        decision_id=row["decision_id"],
        kind=row["kind"],
        metric_id=row["metric_id"],
        treatment=row["treatment_variant"],
        decided_at=row["decided_at"],
        message=_set_apart(row),
        config_version=row["config_version"],
        inputs=_pretty(row["inputs"]),
    )


def _set_apart(row: Row) -> str:
    """The message as it was recorded, the decision's own ids set apart where each first stands by itself."""
    names = ("experiment_id", "metric_id", "treatment_variant", "control_variant")
    ids = sorted({row[name] for name in names} - {""}, key=len, reverse=True)
    seen: set[str] = set()

    def first(found: re.Match[str]) -> str:
        is_first = found["id"] not in seen
        seen.add(found["id"])
        return figures.apart(found[0]) if is_first else found[0]

    any_of_them = "|".join(map(re.escape, ids))
    return re.sub(rf"(?<![\w/-])(?:[a-z0-9-]+/)?(?P<id>{any_of_them})(?![\w/-])", first, row["message"])


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def decisions_note(decisions: Answer) -> str:
    """Why there is no decision; empty where there is one."""
    if decisions.is_missing:
        return "This database keeps no decisions yet."
    if decisions.failure and not decisions.was_read:
        return "The decisions cannot be read now."
    return "" if decisions.rows else "Nothing had to be decided: no boundary has been crossed."


_LEDGER_WORDS = {
    "received": "received",
    "counted": "counted",
    "duplicate": "duplicate",
    "waiting": "waiting for an exposure or a definition",
    "expired_unmatched": "never matched",
    "rejected": "refused",
    "residue": "difference",
}
_REFUSED = (
    *("unreadable", "mismatch", "bad_value", "from_future", "too_late"),
    *("unknown_definition", "unknown_variant", "ended"),
)


def ledger_lines(ledger: Row | None) -> tuple[tuple[str, str], ...]:
    """What became of everything received, in words and numbers; nothing where nothing came."""
    if ledger is None or not ledger["received"]:
        return ()
    return tuple((words, figures.whole(ledger[name])) for name, words in _LEDGER_WORDS.items())


def refused_lines(ledger: Row | None) -> tuple[tuple[str, str], ...]:
    """The reasons for which records were refused, those that occurred."""
    if ledger is None:
        return ()
    return tuple((figures.words(name), figures.whole(ledger[name])) for name in _REFUSED if ledger[name])
