"""The scorecard job's operators: state, and when to compute. What is computed is decided in ``rows.py``."""

from __future__ import annotations

import gc
import logging
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from pyflink.common import Row, Types
from pyflink.datastream import KeyedCoProcessFunction, MapFunction, RuntimeContext
from pyflink.datastream.state import MapState, MapStateDescriptor

from config.settings import ClickHouse
from jobs.scorecard import rows, tables, verdicts
from jobs.scorecard.agenda import ALL, ASKED_AGAIN_AND_AGAIN, BESIDE_ALL, VIEWS
from jobs.scorecard.book import Book, Shelf, Spread, Waiting, decode_spreads, encode_spreads, parts
from jobs.scorecard.definitions import Definition
from jobs.scorecard.history import HISTORY
from jobs.scorecard.kept import Kept, Kind
from jobs.scorecard.looks import Looks
from jobs.scorecard.pace import Times, Turn, Turns
from jobs.scorecard.rows import EMISSION_BITS
from jobs.scorecard.slots import (
    TOTAL,
    Change,
    Cohort,
    Group,
    Slots,
    SlotStore,
    decode_cohort,
    decode_slots,
    encode_cohort,
    encode_slots,
    parse_changes,
)
from jobs.wiring.clickhouse import Memory, Writer, memory_of, writer_to

log = logging.getLogger(__name__)

T = TypeVar("T")

REMEMBERED_EXPERIMENTS = 1024
"""Decoded in memory, per worker; the others are read from state again when they change."""

OBJECTS_BETWEEN_COLLECTIONS = 20_000
"""Almost all of an answer is freed by counting references: with CPython's 700 looking for cycles took a tenth
of the worker's time, now a fortieth."""

VIEWS_SHARE = 0.1
ANSWERS_SHARE = 0.6
"""Of a worker's time, for the views beside ``all`` and for ``all``; counting and writing have the rest."""

LATE_MS = 3000
LEAST_OF_SHARE = 0.2
"""The older than this what comes is, the less of their shares views and answers have, down to this part:
counting goes first, or answers would be ever later."""

MOST_PATIENCE_MS = 20_000
"""While what comes is late a second look is left to the next change for as long as that is, up to so long:
the change is a look too, and without it each would be computed twice."""

ANSWERED = "answers"
"""The metric that counts how often view ``all`` of an experiment was computed anew."""

ANSWERS_AHEAD_MS = 300.0
"""Changes come once a second, of all experiments at once; answers for so long need not wait."""


class Scorecard(KeyedCoProcessFunction):
    """Emits an experiment's rows: of view ``all`` when a total changes, of every view as time passes.

    Keyed by experiment. Keeps the newest row of every total and, by cohort, of every slot, apart for each
    rebuild epoch, and every definition, as versioned JSON, for as long as the job lives.
    Absolute rows in, absolute rows out: a replay only says the same again under a greater version. Until a
    definition has come the slots wait for it, and the other way round.

    Timers go by the clock of the machine and only ask to look: what is due is decided then, so a timer that
    fires twice, late or after a restart does no harm.

    Each answer is a look (``looks.py``); what looks leave behind is in state, too. Without state they go on
    from what ClickHouse remembers, for whose answer the job waits. Decisions come with the answer that shows
    their crossing, for their table and for their topic.

    Args:
        clickhouse: Where earlier looks are remembered.
        times: How often the other views and history are refreshed.
        now_s: The clock of the machine, in seconds.
    """

    def __init__(
        self,
        clickhouse: ClickHouse,
        times: Times | None = None,
        now_s: Callable[[], float] = time.time,
        connect: Callable[[ClickHouse], Memory] = memory_of,
    ) -> None:
        self._clickhouse = clickhouse
        self._connect = connect
        self._times = times or Times()
        self._now_s = now_s
        self._last_micros = 0

    def open(self, runtime_context: RuntimeContext) -> None:
        gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)

        def texts(name: str) -> MapState:
            return runtime_context.get_map_state(MapStateDescriptor(name, Types.STRING(), Types.STRING()))

        self._kept = Kept(texts("experiment"))
        self._slots = SlotStore(texts("slots-by-cohort"))
        self._shelves: OrderedDict[str, Shelf] = OrderedDict()
        self._waiting: defaultdict[str, Waiting] = defaultdict(Waiting)
        self._view_turns = Turns(VIEWS_SHARE)
        self._answer_turns = Turns(ANSWERS_SHARE, ahead_ms=ANSWERS_AHEAD_MS)
        self._patience_ms = 0
        self._memory = self._connect(self._clickhouse)
        self._answered = runtime_context.get_metrics_group().counter(ANSWERED)
        self._began_ms = self._now_ms()

    def close(self) -> None:
        self._memory.close()

    def process_element1(self, value: Row, ctx: KeyedCoProcessFunction.Context) -> Iterable[Row]:
        """Changed slots and totals: ``(experiment, JSON)``. Books without any say nothing again."""
        experiment = ctx.get_current_key()
        shelf = self._shelf(experiment)
        changes = parse_changes(value[1])
        had_slots = any(book.cohorts for book in shelf.books.values())
        counted = self._count_totals(shelf, (change for change in changes if change.kind == TOTAL))
        spread = self._count_slots(experiment, shelf, (change for change in changes if change.kind != TOTAL))
        now_ms = self._now_ms()
        # Slots may be held back on purpose: only totals say how late all is.
        if newest := [change.as_of_ms for change in changes if change.kind == TOTAL]:
            self._leave_time_to_count(now_ms - max(newest))
        for epoch in counted | spread.keys():
            shelf.book(epoch).pace.change(now_ms, slots=epoch in spread)
        if counted or spread:
            has_new_ends = {epoch for epoch, are_ends_new in spread.items() if are_ends_new}
            shelf.waiting.unanswered |= counted | has_new_ends
            yield from self._answers_in_turn(ctx, shelf, now_ms)
            views_ms = self._times.next_views_ms(experiment, now_ms) if had_slots else now_ms
            self._wake(ctx, shelf.waiting.wakes_ms, views_ms)

    def process_element2(self, value: Row, ctx: KeyedCoProcessFunction.Context) -> Iterable[Row]:
        """A definition as published: ``(experiment, JSON)``. The first of a version stands."""
        experiment = ctx.get_current_key()
        shelf = self._shelf(experiment)
        try:
            definition = Definition.from_json(value[1])
        except (ValueError, KeyError, TypeError) as error:
            log.error("passed over what is no definition of %s: %r", experiment, error)
            return
        if definition.config_version in shelf.definitions:
            return
        self._kept.put(Kind.DEFINITION, str(definition.config_version), value[1])
        shelf.definitions[definition.config_version] = definition
        now_ms = self._now_ms()
        for book in shelf.books.values():
            book.cuts = None
            book.pace.change(now_ms, slots=True)
        if shelf.books:
            shelf.waiting.unanswered |= shelf.books.keys()
            yield from self._answers_in_turn(ctx, shelf, now_ms)
            self._wake(ctx, shelf.waiting.wakes_ms, now_ms)

    def on_timer(self, timestamp: int, ctx: KeyedCoProcessFunction.OnTimerContext) -> Iterable[Row]:
        """Look what is due: answers, views, history, users who come in or go out by time, a second look."""
        experiment = ctx.get_current_key()
        shelf = self._shelf(experiment)
        now_ms = max(self._now_ms(), timestamp)
        waiting = shelf.waiting
        is_aside = timestamp in waiting.asides_ms - waiting.wakes_ms
        waiting.wakes_ms = {wake_ms for wake_ms in waiting.wakes_ms if wake_ms > now_ms}
        waiting.asides_ms = {wake_ms for wake_ms in waiting.asides_ms if wake_ms > now_ms}
        if waiting.unanswered:
            yield from self._answers_in_turn(ctx, shelf, now_ms)
        for book in shelf.books.values():
            book.pace.wake(timestamp, now_ms)
        for looks in shelf.looks.values():
            looks.wake(timestamp, now_ms)
        books = [book for _, book in sorted(shelf.books.items())]
        turn = None if is_aside else self._turn(self._view_turns, ctx, waiting, waiting.wakes_ms, now_ms)
        if turn is not None:
            with self._view_turns.spending(turn):
                for book in books:
                    yield from self._look(experiment, shelf, book, now_ms)
        due = [book for book in books if self._is_look_due(shelf, book, now_ms)]
        turn = self._turn(self._answer_turns, ctx, waiting, waiting.asides_ms, now_ms) if due else None
        if turn is not None:
            with self._answer_turns.spending(turn):
                for book in due:
                    yield from self._look_again(experiment, shelf, book, now_ms)
        if not (due or waiting.unanswered) and self._answer_turns in waiting.turns:
            self._answer_turns.give_back(waiting.turns.pop(self._answer_turns))
        for book in books:
            for wake_ms in self._next_looks_ms(experiment, book, now_ms):
                # What is due already and waits for its turn is seen then.
                if wake_ms > now_ms or self._view_turns not in waiting.turns:
                    self._wake(ctx, waiting.wakes_ms, wake_ms)
        self._wake_to_look(ctx, shelf)

    def _next_looks_ms(self, experiment: str, book: Book, now_ms: int) -> Iterator[int]:
        """When views are owed, history is, and users come in or go out by time."""
        if book.pace.owes_views:
            yield self._times.next_views_ms(experiment, now_ms)
        yield from self._times.next_history_ms(experiment, book.pace)
        if (move_ms := book.next_move_ms()) is not None:
            yield book.pace.next_move_ms(move_ms)

    def _leave_time_to_count(self, age_ms: int) -> None:
        """Shares for an age of what comes, and how long a second look may wait."""
        self._patience_ms = min(age_ms, MOST_PATIENCE_MS) if age_ms > LATE_MS else 0
        part = min(1.0, max(LEAST_OF_SHARE, LATE_MS / max(1, age_ms)))
        self._answer_turns.share, self._view_turns.share = part * ANSWERS_SHARE, part * VIEWS_SHARE

    def _turn(
        self,
        turns: Turns,
        ctx: KeyedCoProcessFunction.Context,
        waiting: Waiting,
        wakes_ms: set[int],
        now_ms: int,
    ) -> Turn | None:
        """The turn in which something may be done now; where it is not yet, a timer fires when it comes."""
        turn = waiting.turns.pop(turns, None) or turns.take(now_ms)
        due_ms = turns.due_ms(turn)
        if due_ms <= now_ms:
            return turn
        waiting.turns[turns] = turn
        # An earlier timer looks at it again; one for every change that comes meanwhile would be too many.
        if all(wake_ms > due_ms for wake_ms in wakes_ms):
            self._wake(ctx, wakes_ms, due_ms)
        return None

    def _answers_in_turn(
        self, ctx: KeyedCoProcessFunction.Context, shelf: Shelf, now_ms: int
    ) -> Iterator[Row]:
        """View ``all`` of what changed, now or in turn: many changes of an experiment may have one answer."""
        waiting = shelf.waiting
        turn = self._turn(self._answer_turns, ctx, waiting, waiting.asides_ms, now_ms)
        if turn is not None:
            with self._answer_turns.spending(turn):
                for epoch in sorted(waiting.unanswered):
                    yield from self._answers(ctx.get_current_key(), shelf, shelf.book(epoch))
                    self._answered.inc()
            waiting.unanswered.clear()
            self._wake_to_look(ctx, shelf)

    def _count_totals(self, shelf: Shelf, changes: Iterable[Change]) -> set[int]:
        """Count changed totals, in memory and in state; returns the epochs of which something is new."""
        changed: dict[int, set[Cohort]] = {}
        for change in changes:
            if shelf.book(change.epoch).count_total(change):
                changed.setdefault(change.epoch, set()).add(change.cohort)
        for epoch, places in changed.items():
            for place, totals in parts(shelf.book(epoch).totals, places).items():
                self._kept.put(Kind.TOTALS, encode_cohort(place), encode_slots(totals))
        return set(changed)

    def _count_slots(self, experiment: str, shelf: Shelf, changes: Iterable[Change]) -> dict[int, bool]:
        """Count changed slots, in memory and in state.

        Returns:
            The epochs of which something is new, and whether users came earlier or later than any before.
        """
        cohorts: dict[Cohort, Slots] = {}
        before: dict[tuple[int, Group], Spread | None] = {}
        for change in changes:
            slots = cohorts.get(change.cohort) or self._slots.slots(experiment, change.cohort)
            book = shelf.book(change.epoch)
            known = book.spreads.get(change.group)
            if book.count(change, slots):
                cohorts[change.cohort] = slots
                before.setdefault((change.epoch, change.group), known)
        for cohort, slots in cohorts.items():
            self._slots.keep(cohort, slots)
        epochs = dict.fromkeys((epoch for epoch, _ in before), False)
        for epoch in epochs:
            shelf.book(epoch).find_first_cohorts(partial(self._slots.slots, experiment))
        for (epoch, group), known in before.items():
            epochs[epoch] |= shelf.book(epoch).spreads[group].ends_ms != (known or Spread()).ends_ms
        for epoch in epochs:
            places = {cohort.of_everyone for cohort in cohorts if cohort.epoch == epoch}
            for place, spreads in parts(shelf.book(epoch).spreads, places).items():
                self._kept.put(Kind.SPREADS, encode_cohort(place), encode_spreads(spreads))
        return epochs

    def _answers(self, experiment: str, shelf: Shelf, book: Book) -> Iterator[Row]:
        """View ``all`` now; the others when they are due."""
        moment = self._moment(book.epoch, book.as_of_ms)
        card, told = self._judged(experiment, shelf, book, moment, [ALL], is_new=True)
        yield from _emitted(card.tables if card else {})
        yield from told

    def _look(self, experiment: str, shelf: Shelf, book: Book, now_ms: int) -> Iterator[Row]:
        """Answer what is due of a book: views that changed or that time changed, and history."""
        has_moved = book.move(now_ms, partial(self._slots.slots, experiment))
        book.pace.owes_history |= has_moved
        is_recorded = self._times.records(experiment, book.pace, now_ms)
        if not (has_moved or is_recorded or book.pace.owes_views):
            return
        views = VIEWS if has_moved or is_recorded else BESIDE_ALL
        moment = self._moment(book.epoch, book.pace.as_of_ms(book.as_of_ms, now_ms))
        card, told = self._judged(experiment, shelf, book, moment, views)
        answered = card.tables if card else {}
        yield from _emitted(answered)
        yield from told
        book.pace.owes_views = False
        if is_recorded and answered:
            book.pace.owes_history, book.pace.recorded_ms = False, now_ms
            yield from _emitted(
                {HISTORY[name]: book.recorded.changed(name, found) for name, found in answered.items()}
            )

    def _is_look_due(self, shelf: Shelf, book: Book, now_ms: int) -> bool:
        """Whether nothing came after a look for so long that it can be confirmed."""
        looks = shelf.looks.get(book.epoch)
        due_ms = looks.next_look_ms() if looks else None
        return due_ms is not None and due_ms + self._patience_ms <= now_ms

    def _look_again(self, experiment: str, shelf: Shelf, book: Book, now_ms: int) -> Iterator[Row]:
        """Confirm a look after which nothing came; say something only if that changed something."""
        looks = shelf.looks[book.epoch]
        if book.move(now_ms, partial(self._slots.slots, experiment)):
            book.pace.owes_views = book.pace.owes_history = True
        before = looks.settled
        moment = self._moment(book.epoch, book.pace.as_of_ms(book.as_of_ms, now_ms))
        views = looks.open_views() or ASKED_AGAIN_AND_AGAIN
        card, told = self._judged(experiment, shelf, book, moment, views)
        if card is not None and looks.settled != before:
            yield from _emitted(card.tables)
        yield from told

    def _judged(
        self,
        experiment: str,
        shelf: Shelf,
        book: Book,
        moment: rows.Moment,
        views: Sequence[str],
        *,
        is_new: bool = False,
    ) -> tuple[rows.Card | None, list[Row]]:
        """The card of these views as one more look, and what else there is to say of it."""
        # Looking begins with the first card: before, a look would be due for ever.
        looks_now = partial(self._looks_at, experiment, shelf, book.epoch, moment.now_ms)
        card = rows.fill(book, moment, views, lambda *place: looks_now().frozen(("difference", *place)))
        if card is None:
            return None, []
        looks = looks_now()
        before = looks.settled
        decided = verdicts.judge(card, looks, is_new=is_new)
        self._kept.put(Kind.LOOKS, str(book.epoch), looks.encode())
        if looks.settled == before:
            return card, []
        more: dict[str, Sequence[Mapping[str, Any]]] = {
            "look_rows": [verdicts.looks_row(card, looks)],
            "decision_rows": decided,
            **verdicts.behind(card, decided),
        }
        records = [Row(verdicts.DECISIONS, verdicts.topic_record(each)) for each in decided]
        return card, [*_emitted(more), *records]

    def _looks_at(self, experiment: str, shelf: Shelf, epoch: int, now_ms: int) -> Looks:
        """The looks so far: known, remembered by ClickHouse, or begun now."""
        if epoch not in shelf.looks:
            tenant_id, experiment_id = experiment.split("/", 1)
            text = self._memory.looks(tenant_id, experiment_id, epoch)
            shelf.looks[epoch] = Looks.remembered(text, now_ms).resume(self._began_ms)
        return shelf.looks[epoch]

    def _wake_to_look(self, ctx: KeyedCoProcessFunction.Context, shelf: Shelf) -> None:
        """Have every look confirmed in time, or when its turn comes."""
        for looks in shelf.looks.values():
            look_ms = looks.next_look_ms()
            if look_ms is not None and self._answer_turns not in shelf.waiting.turns:
                self._wake(ctx, shelf.waiting.asides_ms, look_ms + self._patience_ms)

    def _wake(self, ctx: KeyedCoProcessFunction.Context, wakes_ms: set[int], at_ms: int) -> None:
        """Have ``on_timer`` called then; ``wakes_ms`` are the timers of this kind that are set."""
        if at_ms not in wakes_ms:
            wakes_ms.add(at_ms)
            ctx.timer_service().register_processing_time_timer(at_ms)

    def _now_ms(self) -> int:
        return int(self._now_s() * 1000)

    def _moment(self, epoch: int, as_of_ms: int) -> rows.Moment:
        self._last_micros = max(self._last_micros + 1, int(self._now_s() * 1_000_000))
        return rows.Moment(self._last_micros // 1000, epoch << EMISSION_BITS | self._last_micros, as_of_ms)

    def _shelf(self, experiment: str) -> Shelf:
        """The experiment's state, decoded; nobody else changes it, so it may be remembered."""
        shelf = self._shelves.pop(experiment, None) or self._shelf_from_state(experiment)
        self._shelves[experiment] = shelf
        if len(self._shelves) > REMEMBERED_EXPERIMENTS:
            self._shelves.popitem(last=False)
        return shelf

    def _shelf_from_state(self, experiment: str) -> Shelf:
        kept = self._kept.read()
        return Shelf.from_state(
            self._waiting[experiment],
            _decoded(kept[Kind.TOTALS], decode_slots),
            kept[Kind.DEFINITION].values(),
            _decoded(kept[Kind.SPREADS], decode_spreads),
            self._slots.cohorts(),
            ((epoch, Looks.decode(text).resume(self._began_ms)) for epoch, text in kept[Kind.LOOKS].items()),
        )


def _decoded(texts: Mapping[str, str], decode: Callable[[Cohort, str], T]) -> Iterator[tuple[Cohort, T]]:
    for place, text in texts.items():
        cohort = decode_cohort(place)
        yield cohort, decode(cohort, text)


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
        """Returns the number of inserts."""
        number = 0
        for table, inserted in tables.inserts(value[0], value[1]):
            self._writer.write(table, inserted)
            number += 1
        return number
