"""Every view is the sum over the slots it counts by definition, whatever came before."""

from __future__ import annotations

import base64
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from jobs.scorecard.book import Book
from jobs.scorecard.cuts import ROLLING, Cut, Rule, matured
from jobs.scorecard.definitions import DAY_MS, HOUR_MS
from jobs.scorecard.slots import NOTHING, Amount, Change, Cohort, Group, Slots
from tests.jobs.scorecard.builders import a_change, a_definition, a_metric
from udfs.attribution.sums import encode

DEFINITIONS = {
    1: a_definition(cohort_hours=6, metrics=[a_metric(window_days=2), a_metric(id="endless")]),
    2: a_definition(config_version=2, metrics=[a_metric(window_days=0.25), a_metric(id="endless")]),
}
WINDOWS_MS = {1: 2 * DAY_MS, 2: 6 * HOUR_MS}
"""Of metric ``revenue``, by version."""
END_MS = 12 * DAY_MS


class Moved(NamedTuple):
    """A look at the clock."""

    to_ms: int


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """Any row of any slot; a later one of the same slot may be emitted earlier."""
    version, segment = draw(st.integers(1, 3)), draw(st.sampled_from(["", "country=DE"]))
    width_ms = DAY_MS if segment else {1: 6, 2: 1, 3: 1}[version] * HOUR_MS
    sums = draw(st.lists(st.integers(-(2**60), 2**60), min_size=14, max_size=14))
    return a_change(
        draw(st.sampled_from(["control", "treatment"])),
        [],
        draw(st.sampled_from(["", "revenue", "endless"])),
        config_version=version,
        segment=segment,
        cohort_ms=draw(st.integers(0, END_MS // width_ms)) * width_ms,
        unit_class=draw(st.sampled_from(["clean", "crossed"])),
        n=draw(st.integers(0, 9)),
        sums=base64.b64encode(encode(sums)).decode(),
        updates=draw(st.integers(1, 9)),
        version=draw(st.integers(1, 4)),
    )


STORIES = st.lists(changes() | st.builds(Moved, st.integers(0, END_MS + 9 * DAY_MS)), max_size=40)


def end_ms(cohort: Cohort) -> int:
    hours = 24 if cohort.segment else {1: 6, 2: 1}[cohort.config_version]
    return cohort.start_ms + hours * HOUR_MS


def by_definition(rule: Rule, slots: dict[Cohort, Slots], moment_ms: int) -> dict[Group, Amount]:
    """The design's words: closed windows, or an end after the moment minus a day or a week."""
    found: dict[Group, Amount] = {}
    for cohort, group, slot in ((cohort, *each) for cohort, kept in slots.items() for each in kept.items()):
        if cohort.config_version not in DEFINITIONS:
            continue
        if rule in ROLLING.values():
            counts = end_ms(cohort) > moment_ms - rule.span_ms
        else:
            window_ms = WINDOWS_MS[cohort.config_version]
            has_closed = end_ms(cohort) + window_ms <= moment_ms
            counts = has_closed and rule == matured(window_ms) and group.metric_id != "endless"
        if counts:
            found[group] = found.get(group, NOTHING).plus(slot.amount)
    return found


def not_empty(sums: dict[Group, Amount]) -> dict[Group, Amount]:
    return {group: amount for group, amount in sums.items() if amount != NOTHING}


@given(STORIES, st.integers(0, END_MS + 9 * DAY_MS), st.integers(0, 40))
def test_every_view_is_the_sum_over_its_slots_whatever_the_order_of_changes_and_clock(
    story: list[Change | Moved], moment_ms: int, forgets_at: int
) -> None:
    slots: dict[Cohort, Slots] = {}
    book = Book(definitions=DEFINITIONS)
    for index, step in enumerate([*story, Moved(moment_ms)]):
        if isinstance(step, Change):
            book.count(step, slots.setdefault(step.cohort, {}))
            continue
        if index == forgets_at:
            book.cuts = None
        book.pace.heard_ms = step.to_ms
        book.spreads = {group: each._replace(as_of_ms=step.to_ms) for group, each in book.spreads.items()}
        book.move(step.to_ms, slots.__getitem__)
    assert book.cuts is not None
    assert set(book.cuts.by_rule) == {*ROLLING.values(), *map(matured, WINDOWS_MS.values())}
    for rule, cut in book.cuts.by_rule.items():
        assert not_empty(cut.sums) == not_empty(by_definition(rule, slots, book.moved_to_ms))


def test_a_cohort_is_read_only_when_it_comes_in_or_goes_out() -> None:
    slots: dict[Cohort, Slots] = {}
    book = Book(definitions={2: DEFINITIONS[2]})
    for hour in range(40):
        change = a_change("control", [1], "", config_version=2, cohort_ms=hour * HOUR_MS, as_of_ms=0)
        book.count(change, slots.setdefault(change.cohort, {}))
    read: list[int] = []

    def reading(cohort: Cohort) -> Slots:
        read.append(cohort.start_ms // HOUR_MS)
        return slots[cohort]

    book.move(0, reading)
    assert sorted(set(read)) == list(range(40))
    read.clear()
    assert book.cuts is not None
    assert not book.cuts.move(book.cohorts, HOUR_MS - 1, reading)
    assert book.cuts.next_move_ms(book.cohorts, 0) == 7 * HOUR_MS
    assert book.cuts.move(book.cohorts, 7 * HOUR_MS, reading)
    assert read == [0]


def test_a_cohort_leaves_at_the_moment_its_end_is_a_day_ago_and_matures_when_its_window_is_over() -> None:
    leaving, closing = Cut(ROLLING["rolling_24h"]), Cut(matured(2 * HOUR_MS))
    for cut, last_out in ((leaving, False), (closing, True)):
        before = cut.rule.counts(HOUR_MS, HOUR_MS + cut.rule.span_ms - 1)
        after = cut.rule.counts(HOUR_MS, HOUR_MS + cut.rule.span_ms)
        assert (before, after) == (not last_out, last_out)
