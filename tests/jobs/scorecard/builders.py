"""Experiments, users and sums in the few words a test of the scorecard needs."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from functools import reduce
from typing import Any

from jobs.scorecard.book import Book, Spread
from jobs.scorecard.definitions import Definition
from jobs.scorecard.rows import Moment
from jobs.scorecard.slots import SLOT, TOTAL, Amount, Change, Group, Slot
from jobs.scorecard.tables import Record
from udfs.attribution.sums import encode
from udfs.stats import Moments

NOON_MS = 1_767_268_800_000
ONE_HOUR_MS = 3_600_000
NOW = Moment(now_ms=NOON_MS + 1000, version=77, as_of_ms=NOON_MS)


def a_metric(**changes: Any) -> dict[str, Any]:
    """Revenue per user, a goal without cap and windows."""
    ordinary = {"id": "revenue", "source": "revenue", "kind": "mean", "cap": None, "role": "goal"}
    windows = {"window_start_days": 0, "window_days": None}
    guard = {"direction": "increase", "margin": None, "margin_abs": None, "stop": False}
    return {**ordinary, **windows, **guard, **changes}


def published(**changes: Any) -> str:
    """The first version of a fifty-fifty experiment with one metric, as on the definitions topic."""
    ordinary = {
        "tenant_id": "acme",
        "experiment_id": "checkout",
        "config_version": 1,
        "control": "control",
        "variants": {"control": 0.5, "treatment": 0.5},
        "cohort_hours": 1,
        "segments": {},
        "pre_period_days": 0,
        "alpha": 0.05,
        "planned_units": 1000,
        "stop_alpha": 0.05,
        "min_days": 7,
        "ended_at": None,
        "metrics": [a_metric()],
    }
    return json.dumps({**ordinary, **changes})


def a_definition(**changes: Any) -> Definition:
    return Definition.from_json(published(**changes))


def a_book(*definitions: Definition) -> Book:
    """An experiment of which nothing has come yet but these definitions."""
    return Book(definitions={each.config_version: each for each in definitions or (a_definition(),)})


def add(
    book: Book,
    variant_id: str,
    values: Sequence[float],
    before: Sequence[float] | None = None,
    **place: Any,
) -> None:
    """Users of a variant, each with one outcome of this value; ``place`` says which users they are.

    ``since_ms`` is their earliest cohort, an hour ago unless told.
    """
    where = {"config_version": 1, "segment": "", "unit_class": "clean", "region": "local", **place}
    metric_id = where.pop("metric_id", "revenue")
    since_ms = where.pop("since_ms", NOON_MS - ONE_HOUR_MS)
    moments = Moments.from_units(values, [1.0] * len(values), before)
    exposure = Group(variant_id=variant_id, metric_id="", **where)
    book.totals[exposure] = Slot.of(Amount(len(values), (0,) * 14, len(values)), NOON_MS)
    book.spreads[exposure] = Spread(len(values), NOON_MS, since_ms, since_ms)
    sums = Group(variant_id=variant_id, metric_id=metric_id, **where)
    book.totals[sums] = Slot.of(Amount(0, moments.sums, len(values)), NOON_MS)
    book.spreads[sums] = Spread(len(values), NOON_MS)


def a_change(variant_id: str, values: Sequence[float], metric_id: str = "revenue", **changes: Any) -> Change:
    """The row of a slot of users with one outcome each of this value, in the cohort at 1970."""
    sums = Moments().sums if metric_id == "" else Moments.from_units(values).sums
    ordinary = {
        "kind": SLOT,
        "epoch": 0,
        "config_version": 1,
        "variant_id": variant_id,
        "metric_id": metric_id,
        "segment": "",
        "cohort_ms": 0,
        "unit_class": "clean",
        "region": "local",
        "n": 0 if metric_id else len(values),
        "sums": base64.b64encode(encode(sums)).decode(),
        "as_of_ms": 5,
        "updates": len(values),
        "version": 1,
    }
    return Change(**{**ordinary, **changes})


class Told:
    """What the attribution job tells of the slots of one experiment: them, and the totals they add up to."""

    def __init__(self) -> None:
        self._slots: dict[tuple[int | str, ...], Change] = {}

    def changes(self, *slots: Change) -> list[Change]:
        """These slots, each newer or older than before, and the totals of their groups."""
        for slot in slots:
            known = self._slots.get(slot.key)
            if known is None or known.version < slot.version:
                self._slots[slot.key] = slot
        places = dict.fromkeys((slot.epoch, slot.group) for slot in slots)
        return [*slots, *(self._total(*place) for place in places)]

    def _total(self, epoch: int, group: Group) -> Change:
        slots = [each for each in self._slots.values() if (each.epoch, each.group) == (epoch, group)]
        amount = reduce(Amount.plus, (each.slot.amount for each in slots))
        return slots[0]._replace(
            kind=TOTAL,
            cohort_ms=0,
            n=amount.n,
            sums=base64.b64encode(encode(amount.sums)).decode(),
            as_of_ms=max(each.as_of_ms for each in slots),
            updates=amount.updates,
            version=sum(each.version for each in slots),
        )


def a_count(kind: str = "ledger", sums: Sequence[int] = (), **changes: Any) -> Record:
    """A record of the counts topic: three outcomes received and counted in the first minute, unless told."""
    ordinary: dict[str, Any] = {"epoch": 0, "tenant_id": "acme", "cohort": NOON_MS, "n": 3}
    if kind == "ledger":
        place = {"metric_id": "livelift.acme.outcomes", "config_version": 0}
        ordinary |= place | dict.fromkeys(("experiment_id", "variant_id", "region"), "")
    else:
        place = {"metric_id": "", "config_version": 1, "experiment_id": "checkout"}
        ordinary |= place | {"variant_id": "control", "region": "local"}
    log = {"as_of": NOON_MS + 7, "updates": 3, "version": 9, "source_partition": 0, "source_offset": 5}
    carried = base64.b64encode(encode([*sums, *[0] * 14][:14])).decode()
    return Record(
        **{"kind": kind, "segment": "", "unit_class": "", **ordinary, **log, "sums": carried, **changes}
    )


def only(rows: Sequence[dict[str, Any]], **where: Any) -> dict[str, Any]:
    """The one row that has these values."""
    found = [row for row in rows if all(row[name] == value for name, value in where.items())]
    assert len(found) == 1, f"{len(found)} rows have {where}"
    return found[0]
