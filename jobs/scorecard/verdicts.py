"""What several looks together can say of a card: running minima, family correction, decisions.

``judge`` takes a card as one look, fills in the columns that need the looks before it, and returns the
decisions that became due, each once. The rules are ``udfs.stats.decisions``'; here is decided what they are
asked about.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jobs.scorecard.agenda import ALL, COMBINED, MATURED
from jobs.scorecard.definitions import DAY_MS
from jobs.scorecard.history import HISTORY, behind_a_decision
from jobs.scorecard.inputs import allocations_json, comparison_json
from jobs.scorecard.looks import Evidence, Frozen, Key, Looks, Minimum
from jobs.scorecard.rows import EMISSION_BITS, Allocated, Answered, Card, Row
from udfs.stats import Reason, holm, leaked_users
from udfs.stats.decisions import INVALID_ALPHA, Goal, Kind, borne_out, is_harm, is_invalid, may_ship

LEAK_LOG_P = -1000.0
"""A user where nobody should be is no matter of chance; it counts like this much evidence."""

RATIO: Key = ("ratio", ALL, "", "excluded")
LEAK: Key = ("leak", ALL)

DECISIONS = "decisions"
"""In place of a table's name: the record is for the decisions topic."""

MOST_TOLD = math.log(1e9)
"""Rarer than that is not told apart."""

BIASED = "An estimate at the moment of a decision is biased away from zero: expect less afterwards."


class Decision(NamedTuple):
    """A row of ``decision_rows`` in the making: what is decided, and because of what."""

    kind: Kind
    config_version: int
    metric_id: str
    treatment: str
    crossed_at_ms: int | None
    numbers: Row
    message: str
    inputs: Mapping[str, Any]


def judge(card: Card, looks: Looks, *, is_new: bool) -> list[Row]:
    """Take the card as one look; returns decisions as rows of ``decision_rows`` and remembers them.

    Args:
        is_new: The sums changed since the last look.
    """
    evidence = dict(_evidence(card))
    looks.look(
        evidence,
        views=card.views,
        as_of_ms=card.book.as_of_ms,
        now_ms=card.moment.now_ms,
        is_new=is_new,
    )
    adjusted = _fill_in(card, looks)
    made = []
    for decision in (*_invalid(card, looks), *_stops(card, looks), *_ships(card, looks, adjusted)):
        row = _row(card, decision)
        if row["decision_id"] not in looks.decided:
            looks.decided.append(row["decision_id"])
            made.append(row)
    return made


def _harm(answered: Answered) -> Key:
    return "harm", *answered.key[1:]


def _safe(answered: Answered) -> Key:
    return "noninferior", *answered.key[1:]


def _evidence(card: Card) -> Iterator[tuple[Key, Evidence]]:
    for each in card.main:
        if each.row["seq_log_e"] is not None:
            alpha = each.asked.alpha
            begun = Frozen(alpha, each.asked.planned_units or math.nan, *each.asked.shares)
            yield each.key, Evidence(_log_p(each.row["seq_log_e"]), math.log(alpha), begun)
    for each in _stopping(card):
        level = each.asked.stop_level
        if level is not None and each.found["harm_log_e"] is not None:
            yield _harm(each), Evidence(_log_p(each.found["harm_log_e"]), math.log(level))
    for each in _guarding(card):
        if each.found["noninferior_log_e"] is not None:
            limit = math.log(each.asked.alpha)
            yield _safe(each), Evidence(_log_p(each.found["noninferior_log_e"]), limit)
    for ratio in card.ratios:
        if ratio.log_e is not None:
            yield _ratio(ratio), Evidence(_log_p(ratio.log_e), math.log(INVALID_ALPHA))
    if ALL in card.views:
        leaked = _everyone(card).row["reason"] == Reason.LEAK
        yield LEAK, Evidence(LEAK_LOG_P if leaked else 0.0, math.log(INVALID_ALPHA))


def _log_p(log_e: float) -> float:
    return min(0.0, -log_e)


def _ratio(ratio: Allocated) -> Key:
    return "ratio", ALL, ratio.row["segment"], ratio.row["bots"]


def _everyone(card: Card) -> Allocated:
    return next(each for each in card.ratios if _ratio(each) == RATIO)


# ------------------------------------------------------------------------------------------ the columns


def _fill_in(card: Card, looks: Looks) -> dict[Key, float]:
    """``seq_p_min``, ``crossed_at`` and ``p_adjusted``; returns ln of the last, by question of a family."""
    for ratio in card.ratios:
        if ratio.row["seq_p_value"] is not None:
            ratio.row["seq_p_min"] = math.exp(_minimum(looks, _ratio(ratio)).log_p)
    adjusted = _adjusted(card, looks)
    for each in card.main:
        if each.question.reason:
            continue
        known = looks.minima.get(each.key)
        if known is not None or each.row["seq_p_value"] is not None:
            least = known or Minimum(0.0)
            each.row["seq_p_min"], each.row["crossed_at"] = math.exp(least.log_p), least.crossed_at_ms
        if each.row["p_adjusted"] is not None:
            each.row["p_adjusted"] = math.exp(adjusted[_in_family(each)])
    return adjusted


def _adjusted(card: Card, looks: Looks) -> dict[Key, float]:
    """ln p by Holm on the minima, a family for each view; without a confirmed look or an answer p is 1."""
    families: dict[str, dict[Key, float]] = {}
    for each in card.main:
        if each.question.family is not None and each.row["config_version"] == COMBINED:
            log_p = 0.0 if each.question.reason else _minimum(looks, each.key).log_p
            families.setdefault(each.row["view"], {})[each.key] = log_p
    return {
        key: log_p
        for family in families.values()
        for key, log_p in zip(family, holm(np.array([*family.values()])).tolist(), strict=True)
    }


def _in_family(answered: Answered) -> Key:
    """Rows of the only version are rows of the combination."""
    kind, view, _, *rest = answered.key
    return kind, view, COMBINED, *rest


def _minimum(looks: Looks, key: Key) -> Minimum:
    return looks.minima.get(key) or Minimum(0.0)


# ---------------------------------------------------------------------------------------- the decisions


def _main(card: Card, view: str) -> Iterator[Answered]:
    """The rows that decide: everyone, by first exposure, over all versions; where the metric means something
    else now, the newest version alone."""
    rows = [each for each in card.main if each.question.view == view]
    changed = {each.key[3:] for each in rows if each.question.subject.reason}
    for each in rows:
        newest = card.newest.config_version if each.key[3:] in changed else COMBINED
        if each.row["config_version"] == newest and each.question.subject.is_current:
            yield each


def _stopping(card: Card) -> Iterator[Answered]:
    return (each for each in _main(card, ALL) if each.asked.stop_level is not None)


def _guarding(card: Card) -> Iterator[Answered]:
    """Guardrails a treatment must pass before it is shipped, judged by users whose outcome is complete."""
    if card.newest.ship:
        for each in _main(card, MATURED):
            if each.question.subject.newest[1].role == "guardrail":
                yield each


def _invalid(card: Card, looks: Looks) -> Iterator[Decision]:
    if ALL not in card.views:
        return
    ratio = _everyone(card)
    shares, leak = _minimum(looks, RATIO), _minimum(looks, LEAK)
    leaked = leaked_users(ratio.allocations)
    is_leak = leak.crossed_at_ms is not None and leaked > 0
    if not is_leak and not is_invalid(borne_out(shares.log_p, ratio.log_e)):
        return
    counts = dict(zip(ratio.row["variants"], ratio.row["counts"], strict=True))
    control = counts.get(card.newest.control, 0)
    what = (
        f"{leaked} users are in variants that should receive nobody"
        if is_leak
        else f"users did not arrive in the shares intended ({_by_chance(shares.log_p)})"
    )
    yield Decision(
        "invalid",
        COMBINED,
        "",
        "",
        leak.crossed_at_ms if is_leak else shares.crossed_at_ms,
        {
            "n_control": control,
            "n_treatment": sum(counts.values()) - control,
            "level": INVALID_ALPHA,
            "log_e": ratio.log_e,
        },
        f"{_named(card)} is invalid: {what}. No other number of it can be trusted.",
        {
            "allocations": allocations_json(card, ratio.allocations),
            "leaked": leaked,
            "log_p_min": shares.log_p,
        },
    )


def _stops(card: Card, looks: Looks) -> Iterator[Decision]:
    for each in _stopping(card):
        least, level = _minimum(looks, _harm(each)), each.asked.stop_level
        if level is None or not is_harm(borne_out(least.log_p, each.found["harm_log_e"]), level):
            continue
        found, metric = each.found, each.question.subject.newest[1]
        yield Decision(
            "stop",
            each.row["config_version"],
            metric.metric_id,
            each.row["treatment_variant"],
            least.crossed_at_ms,
            _numbers(each)
            | {
                "distance": found["distance"],
                "bound": found["distance_upper"],
                "margin": metric.margin,
                "margin_abs": metric.margin_abs,
                "level": level,
                "log_e": found["harm_log_e"],
            },
            f"Stop {_named(card)}: {metric.metric_id} of {each.row['treatment_variant']} is worse than "
            f"{each.row['control_variant']} by more than {_margin(each)} allows, at error rate {level:.3g}. "
            f"{BIASED}",
            {
                "comparison": comparison_json(each),
                "stop_alpha": card.newest.stop_alpha,
                "log_p_min": least.log_p,
            },
        )


def _ships(card: Card, looks: Looks, adjusted: Mapping[Key, float]) -> Iterator[Decision]:
    """On matured users, and only where the newest definition asks for it."""
    if not card.newest.ship:
        return
    sound = not is_invalid(_minimum(looks, RATIO).log_p) and _minimum(looks, LEAK).crossed_at_ms is None
    goals = [each for each in _main(card, MATURED) if each.key in adjusted]
    for each in goals:
        treatment, alpha = each.row["treatment_variant"], each.asked.alpha
        guards = [guard for guard in _guarding(card) if guard.row["treatment_variant"] == treatment]
        safe = {guard.row["metric_id"]: _noninferior(looks, guard) for guard in guards}
        of_treatment = [_goal(goal, adjusted) for goal in goals if goal.row["treatment_variant"] == treatment]
        as_of_ms = card.moment.as_of_ms
        days = (as_of_ms - (each.row["covers_from"] or as_of_ms)) / DAY_MS
        goal = _goal(each, adjusted)
        if not may_ship(
            goal,
            of_treatment,
            safe.values(),
            alpha=alpha,
            is_sound=bool(sound),
            days=days,
            min_days=card.newest.min_days,
        ):
            continue
        yield Decision(
            "ship",
            COMBINED,
            each.row["metric_id"],
            treatment,
            _minimum(looks, each.key).crossed_at_ms,
            _numbers(each) | {"level": alpha, "log_e": each.row["seq_log_e"]},
            f"Ship {treatment} of {_named(card)}: {each.row['metric_id']} is better than "
            f"{each.row['control_variant']} ({_by_chance(goal.log_p)}, all goals considered), and every "
            f"guardrail is within its margin. {BIASED}",
            {
                "comparison": comparison_json(each),
                "log_p_adjusted": goal.log_p,
                "log_p_min": {str(key[3:]): _minimum(looks, key).log_p for key in adjusted},
                "guardrails": [comparison_json(guard) for guard in guards],
                "noninferior_log_p": safe,
                "goals": [[other.log_p, other.is_good] for other in of_treatment],
                "days": days,
                "min_days": card.newest.min_days,
            },
        )


def _noninferior(looks: Looks, guard: Answered) -> float:
    return borne_out(_minimum(looks, _safe(guard)).log_p, guard.found["noninferior_log_e"])


def _goal(answered: Answered, adjusted: Mapping[Key, float]) -> Goal:
    """The minimum alone may be of an effect that has turned round since."""
    row, sign = answered.row, 1.0 if answered.asked.direction == "increase" else -1.0
    estimate = row["abs_diff"] if row.get("cuped_abs_diff") is None else row["cuped_abs_diff"]
    log_p = borne_out(adjusted[answered.key], row["seq_log_e"])
    return Goal(log_p, estimate is not None and sign * estimate > 0.0)


def _numbers(answered: Answered) -> Row:
    return {name: answered.row[name] for name in ("n_control", "n_treatment", "abs_diff")}


def _by_chance(log_p: float) -> str:
    """What a p means."""
    return f"by chance alone in one of {math.exp(min(-log_p, MOST_TOLD)):,.0f} experiments at most"


def _named(card: Card) -> str:
    return f"{card.newest.tenant_id}/{card.newest.experiment_id}"


def _margin(answered: Answered) -> str:
    metric = answered.question.subject.newest[1]
    if metric.margin_abs:
        return f"a margin of {metric.margin_abs:g}"
    return f"a margin of {100 * (metric.margin or 0.0):g} %"


def decision_id(
    tenant_id: str, experiment_id: str, config_version: int, kind: Kind, metric_id: str, treatment: str
) -> str:
    """The same for the same crossing, whoever comes upon it and however often, in a rebuild too."""
    place = json.dumps(
        [tenant_id, experiment_id, config_version, kind, metric_id, treatment], ensure_ascii=False
    )
    return f"{kind}-{hashlib.sha256(place.encode()).hexdigest()[:20]}"


def _row(card: Card, decision: Decision) -> Row:
    kind, version, metric_id, treatment, crossed_at_ms, numbers, message, inputs = decision
    newest = card.newest
    absent = dict.fromkeys(("abs_diff", "distance", "bound", "margin", "margin_abs"))
    known = {"rule": kind, "config_versions": sorted(card.book.definitions), **inputs}
    return {
        "decision_id": decision_id(
            newest.tenant_id, newest.experiment_id, version, kind, metric_id, treatment
        ),
        "tenant_id": newest.tenant_id,
        "epoch": card.book.epoch,
        "experiment_id": newest.experiment_id,
        "config_version": version,
        "kind": kind,
        "metric_id": metric_id,
        "treatment_variant": treatment,
        "control_variant": newest.control,
        "decided_at": card.moment.now_ms,
        "as_of": card.moment.as_of_ms,
        "crossed_at": crossed_at_ms,
        **absent,
        **numbers,
        "message": message,
        "inputs": json.dumps(known, ensure_ascii=False, separators=(",", ":")),
        # Falls with time: of two records of one decision, which a crash can make, the first stands.
        "version": card.moment.version ^ ((1 << EMISSION_BITS) - 1),
    }


def topic_record(row: Mapping[str, Any]) -> str:
    """A decision as on its topic: the row of the table, its inputs as an object."""
    content = {name: value for name, value in row.items() if name != "version"}
    return json.dumps(content | {"inputs": json.loads(row["inputs"])}, ensure_ascii=False)


def behind(card: Card, decisions: Sequence[Row]) -> dict[str, list[Mapping[str, Any]]]:
    """The rows that show what was decided, by the tables that keep them for good."""
    found: dict[str, list[Mapping[str, Any]]] = {table: [] for table in HISTORY.values()}
    for decision in decisions:
        treatment = decision["treatment_variant"]
        for table, rows in card.tables.items():
            found[HISTORY[table]] += behind_a_decision(
                [
                    row
                    for row in rows
                    if row["segment"] == "" and row.get("treatment_variant", treatment) in (treatment, "")
                ]
            )
    return found


def looks_row(card: Card, looks: Looks) -> Row:
    """The row of ``look_rows``: what a job that begins without state begins from."""
    return {
        "tenant_id": card.newest.tenant_id,
        "epoch": card.book.epoch,
        "experiment_id": card.newest.experiment_id,
        "since": looks.since_ms,
        "as_of": card.moment.as_of_ms,
        "looks": looks.encode(),
        "version": card.moment.version,
    }
