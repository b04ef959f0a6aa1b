"""The scorecard job's operators: state, and when to compute. What is computed is decided in ``rows.py``."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import KeyedCoProcessFunction, MapFunction, RuntimeContext
from pyflink.datastream.state import MapState, MapStateDescriptor

from config.settings import ClickHouse
from jobs.scorecard import rows, tables
from jobs.scorecard.book import Book, Shelf, encode_place, encode_totals
from jobs.scorecard.definitions import Definition
from jobs.scorecard.history import HISTORY
from jobs.scorecard.pace import Times, Turns
from jobs.scorecard.slots import Change, Cohort, Group, Slots, SlotStore, parse_changes
from jobs.wiring.clickhouse import Writer, writer_to

EMISSION_BITS = 52
"""Below the epoch: microseconds since 1970, enough until the year 2112."""

REMEMBERED_EXPERIMENTS = 512
"""Decoded in memory, per worker; the others are read from state again when they change."""


class Scorecard(KeyedCoProcessFunction):
    """Emits an experiment's rows: of view ``all`` when something changes, of every view as time passes.

    Keyed by experiment. Keeps the newest row of every slot by cohort and the sums of every group of slots,
    apart for each rebuild epoch, and every definition, as versioned JSON, for as long as the job lives.
    Absolute rows in, absolute rows out: a replay only says the same again under a greater version. Until a
    definition has come the slots wait for it, and the other way round.

    Timers go by the clock of the machine and only ask to look: what is due is decided then, so a timer that
    fires twice, late or after a restart does no harm.

    Args:
        times: How often the other views and history are refreshed.
        now_s: The clock of the machine, in seconds.
    """

    def __init__(self, times: Times | None = None, now_s: Callable[[], float] = time.time) -> None:
        self._times = times or Times()
        self._now_s = now_s
        self._last_micros = 0

    def open(self, runtime_context: RuntimeContext) -> None:
        def texts(name: str) -> MapState:
            return runtime_context.get_map_state(MapStateDescriptor(name, Types.STRING(), Types.STRING()))

        self._sums = texts("sums-by-group")
        self._slots = SlotStore(texts("slots-by-cohort"))
        self._definitions = texts("definitions-by-version")
        self._shelves: OrderedDict[str, Shelf] = OrderedDict()
        self._turns = Turns()

    def process_element1(self, value: Row, ctx: KeyedCoProcessFunction.Context) -> Iterable[Row]:
        """Changed slots of one experiment: ``(experiment, JSON)``. Books without any say nothing again."""
        experiment = ctx.get_current_key()
        shelf = self._shelf(experiment)
        is_new = not shelf.books
        changed = self._count(experiment, shelf, parse_changes(value[1]))
        now_ms = self._now_ms()
        for epoch in sorted(changed):
            yield from self._answers(shelf.book(epoch), now_ms)
        if changed:
            self._wake(ctx, shelf, now_ms if is_new else self._times.next_views_ms(experiment, now_ms))

    def process_element2(self, value: Row, ctx: KeyedCoProcessFunction.Context) -> Iterable[Row]:
        """A definition as published: ``(experiment, JSON)``. The first of a version stands."""
        experiment = ctx.get_current_key()
        shelf = self._shelf(experiment)
        definition = Definition.from_json(value[1])
        if definition.config_version in shelf.definitions:
            return
        self._definitions.put(str(definition.config_version), value[1])
        shelf.definitions[definition.config_version] = definition
        now_ms = self._now_ms()
        for _, book in sorted(shelf.books.items()):
            book.cuts = None
            yield from self._answers(book, now_ms)
        if shelf.books:
            self._wake(ctx, shelf, now_ms)

    def on_timer(self, timestamp: int, ctx: KeyedCoProcessFunction.OnTimerContext) -> Iterable[Row]:
        """Time to look what is due: views, history, users who come in or go out by time."""
        experiment = ctx.get_current_key()
        shelf = self._shelf(experiment)
        now_ms = max(self._now_ms(), timestamp)
        shelf.wakes_ms = {wake_ms for wake_ms in shelf.wakes_ms if wake_ms > now_ms}
        if shelf.turn_ms is None:
            shelf.turn_ms = self._turns.take(now_ms)
        if shelf.turn_ms > now_ms:
            self._wake(ctx, shelf, shelf.turn_ms)
            return
        shelf.turn_ms = None
        for _, book in sorted(shelf.books.items()):
            book.pace.wake(timestamp, now_ms)
            began_s = time.perf_counter()
            yield from self._look(experiment, book, now_ms)
            self._turns.spent((time.perf_counter() - began_s) * 1000)
            for wake_ms in self._times.next_history_ms(experiment, book.pace):
                self._wake(ctx, shelf, wake_ms)
            if (move_ms := book.next_move_ms()) is not None:
                self._wake(ctx, shelf, book.pace.next_move_ms(move_ms))

    def _count(self, experiment: str, shelf: Shelf, changes: Iterable[Change]) -> set[int]:
        """Count changed slots, in memory and in state; returns the epochs of which something is new."""
        cohorts: dict[Cohort, Slots] = {}
        groups: set[tuple[int, Group]] = set()
        for change in changes:
            slots = cohorts.get(change.cohort) or self._slots.slots(experiment, change.cohort)
            if shelf.book(change.epoch).count(change, slots):
                cohorts[change.cohort] = slots
                groups.add((change.epoch, change.group))
        for cohort, slots in cohorts.items():
            self._slots.keep(cohort, slots)
        epochs = {epoch for epoch, _ in groups}
        for epoch in epochs:
            shelf.book(epoch).find_first_cohorts(partial(self._slots.slots, experiment))
        for epoch, group in groups:
            self._sums.put(encode_place(epoch, group), encode_totals(shelf.book(epoch).totals[group]))
        return epochs

    def _answers(self, book: Book, now_ms: int) -> Iterator[Row]:
        """View ``all`` now; the others when they are due."""
        book.pace.change(now_ms)
        yield from _emitted(rows.answers(book, self._moment(book.epoch, book.as_of_ms)))

    def _look(self, experiment: str, book: Book, now_ms: int) -> Iterator[Row]:
        """Answer what is due of a book: views that changed or that time changed, and history."""
        has_moved = book.move(now_ms, partial(self._slots.slots, experiment))
        book.pace.owes_history |= has_moved
        is_recorded = self._times.records(experiment, book.pace, now_ms)
        if not (has_moved or is_recorded or book.pace.owes_views):
            return
        views = rows.VIEWS if has_moved or is_recorded else rows.BESIDE_ALL
        answered = rows.answers(book, self._moment(book.epoch, book.moved_to_ms), views)
        yield from _emitted(answered)
        book.pace.owes_views = False
        if is_recorded and answered:
            book.pace.owes_history, book.pace.recorded_ms = False, now_ms
            yield from _emitted(
                {HISTORY[name]: book.recorded.changed(name, found) for name, found in answered.items()}
            )

    def _wake(self, ctx: KeyedCoProcessFunction.Context, shelf: Shelf, at_ms: int) -> None:
        """Have ``on_timer`` called then."""
        if at_ms not in shelf.wakes_ms:
            shelf.wakes_ms.add(at_ms)
            ctx.timer_service().register_processing_time_timer(at_ms)

    def _now_ms(self) -> int:
        return int(self._now_s() * 1000)

    def _moment(self, epoch: int, as_of_ms: int) -> rows.Moment:
        self._last_micros = max(self._last_micros + 1, int(self._now_s() * 1_000_000))
        return rows.Moment(self._last_micros // 1000, epoch << EMISSION_BITS | self._last_micros, as_of_ms)

    def _shelf(self, experiment: str) -> Shelf:
        """The experiment's state, decoded; nobody else changes it, so it may be remembered."""
        shelf = self._shelves.pop(experiment, None) or Shelf.from_state(
            self._sums.items(), self._definitions.values(), self._slots.cohorts()
        )
        self._shelves[experiment] = shelf
        if len(self._shelves) > REMEMBERED_EXPERIMENTS:
            self._shelves.popitem(last=False)
        return shelf


def _emitted(answered: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Row]:
    for table, found in answered.items():
        if found:
            yield Row(table, tables.gathered(found))


class WriteRows(MapFunction):
    """Writes each batch ``(table, JSON)`` to ClickHouse before it takes the next; keeps nothing.

    While ClickHouse is away the call does not return: the stream waits behind it and checkpoints with it.
    """

    def __init__(self, clickhouse: ClickHouse, connect: Callable[[ClickHouse], Writer] = writer_to) -> None:
        self._clickhouse = clickhouse
        self._connect = connect

    def open(self, runtime_context: RuntimeContext) -> None:
        self._writer = self._connect(self._clickhouse)

    def close(self) -> None:
        self._writer.close()

    def map(self, value: Row) -> int:
        """Returns the number of rows written."""
        written = 0
        for table, columns in tables.inserts(value[0], value[1]):
            self._writer.write(table, columns)
            written += len(next(iter(columns.values())))
        return written
