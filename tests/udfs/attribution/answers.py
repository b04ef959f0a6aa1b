"""The reference's answers, asked and read as tests want them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from tests.builders import BEGINNING, DAY, HOUR, MINUTE, RULES, Published, a_definition
from udfs.attribution.reference import (
    SUM_NAMES,
    Activity,
    ActivityKey,
    Attribution,
    LedgerEntry,
    LedgerKey,
    Received,
    Rejected,
    Rules,
    Slot,
    SlotKey,
    attribute,
)

ONE = 1_000_000
"""One unit of a value, or one outcome, in micros."""

IN_THE_END = BEGINNING + 10_000 * DAY
"""Nobody waits any more."""


def attributed(
    records: Iterable[Received],
    *definitions: dict[str, Any] | Published,
    rules: Rules = RULES,
    now: int = IN_THE_END,
) -> Attribution:
    """The reference's answer; a definition given as JSON was published a day before the beginning."""
    published = [given if isinstance(given, Published) else Published(given) for given in definitions]
    read = [each.read() for each in published or [Published(a_definition())]]
    return attribute(records, read, rules, now)


def together(parts: Iterable[Attribution]) -> Attribution:
    """What parts of the units come to."""
    slots: defaultdict[SlotKey, Slot] = defaultdict(Slot)
    rejected: list[Rejected] = []
    ledger: defaultdict[LedgerKey, LedgerEntry] = defaultdict(LedgerEntry)
    activity: defaultdict[ActivityKey, Activity] = defaultdict(Activity)
    for part in parts:
        rejected += part.rejected
        for slot_key, slot in part.slots.items():
            slots[slot_key] += slot
        for ledger_key, entry in part.ledger.items():
            ledger[ledger_key] += entry
        for activity_key, happened in part.activity.items():
            activity[activity_key] += happened
    return Attribution(
        dict(slots), sorted(rejected, key=lambda refusal: refusal[1:]), dict(ledger), dict(activity)
    )


def places_of(result: Attribution) -> dict[tuple[str, int, str, int], int]:
    """The exposure slots of everyone: (variant, version, class, cohort in hours since the beginning) -> n."""
    return {
        (key.variant_id, key.config_version, key.unit_class, hours_since_beginning(key.cohort_ms)): slot.n
        for key, slot in result.slots.items()
        if key.metric_id == "" and key.segment == ""
    }


def hours_since_beginning(time_ms: int) -> int:
    hours, rest = divmod(time_ms - BEGINNING, HOUR)
    assert rest == 0
    return hours


def sums_of(result: Attribution, metric_id: str = "revenue", segment: str = "") -> dict[str, int]:
    """The sums of the only slot of a metric and segment, those that are not zero; empty without a slot."""
    found = [
        slot for key, slot in result.slots.items() if (key.metric_id, key.segment) == (metric_id, segment)
    ]
    assert len(found) <= 1, found
    return {name: total for slot in found for name, total in zip(SUM_NAMES, slot.sums, strict=True) if total}


def reasons_of(result: Attribution) -> list[str]:
    """Why records were refused, in the order of their places in the log."""
    return [refusal.reason.value for refusal in result.rejected]


def ledger_of(result: Attribution, topic: str = "") -> dict[str, int]:
    """The ledger of all minutes, or of those of a topic that ends so; without zeros and without ``received``.

    That ``received`` is the sum of the others but ``late`` is checked on the way.
    """
    whole = sum(
        (entry for key, entry in result.ledger.items() if key.topic.endswith(topic)), start=LedgerEntry()
    )
    assert whole.received == sum(whole[1:]) - whole.late
    return {name: count for name, count in whole._asdict().items() if count and name != "received"}


def activity_of(result: Attribution, metric_id: str) -> dict[tuple[str, int], tuple[int, int]]:
    """Of a metric, '' for exposures: (variant, minutes since the beginning) -> (n, value in micros)."""
    return {
        (key.variant_id, (key.minute_ms - BEGINNING) // MINUTE): (happened.n, happened.value_micros)
        for key, happened in result.activity.items()
        if key.metric_id == metric_id
    }
