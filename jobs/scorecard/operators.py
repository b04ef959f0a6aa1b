"""The scorecard job's operators: state, and when to compute. What is computed is decided in ``rows.py``."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

from pyflink.common import Row, Types
from pyflink.datastream import KeyedCoProcessFunction, MapFunction, RuntimeContext
from pyflink.datastream.state import MapState, MapStateDescriptor

from config.settings import ClickHouse
from jobs.scorecard import rows, tables, verdicts
from jobs.scorecard.book import Book, Definition, Shelf, encode_place, encode_totals, parse_changes
from jobs.scorecard.looks import Looks
from jobs.scorecard.rows import EMISSION_BITS
from jobs.wiring.clickhouse import Memory, Writer, memory_of, writer_to

REMEMBERED_EXPERIMENTS = 512
"""Decoded in memory, per worker; the others are read from state again when they change."""


class Scorecard(KeyedCoProcessFunction):
    """Emits every row of an experiment's statistics whenever its sums or definitions change.

    Keyed by experiment. Keeps the newest sums of every group of slots, apart for each rebuild epoch, and
    every definition, as versioned JSON, for as long as the job lives. Absolute rows in, absolute rows out: a
    replay only says the same again under a greater version. Until a definition has come the sums wait for
    it, and the other way round.

    Each answer is a look (``looks.py``); what looks leave behind is in state, too, and a timer takes the look
    that confirms the last one. Without state it begins from what ClickHouse remembers, and waits for it.
    Decisions come with the answer that shows their crossing, for their table and for their topic.
    """

    def __init__(
        self,
        clickhouse: ClickHouse,
        connect: Callable[[ClickHouse], Memory] = memory_of,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._clickhouse = clickhouse
        self._connect = connect
        self._now_s = now_s
        self._last_micros = 0

    def open(self, runtime_context: RuntimeContext) -> None:
        text = Types.STRING()
        self._sums: MapState = runtime_context.get_map_state(MapStateDescriptor("sums-by-group", text, text))
        self._definitions: MapState = runtime_context.get_map_state(
            MapStateDescriptor("definitions-by-version", text, text)
        )
        self._looks: MapState = runtime_context.get_map_state(
            MapStateDescriptor("looks-by-epoch", text, text)
        )
        self._shelves: OrderedDict[str, Shelf] = OrderedDict()
        self._memory = self._connect(self._clickhouse)
        self._began_ms = int(self._now_s() * 1000)

    def close(self) -> None:
        self._memory.close()

    def process_element1(self, value: Row, ctx: KeyedCoProcessFunction.Context) -> Iterable[Row]:
        """New sums of one experiment: ``(experiment, JSON)``. Books without new sums say nothing again."""
        shelf = self._shelf(ctx.get_current_key())
        changed = set()
        for epoch, group, totals in parse_changes(value[1]):
            self._sums.put(encode_place(epoch, group), encode_totals(totals))
            shelf.book(epoch).totals[group] = totals
            changed.add(epoch)
        for epoch in sorted(changed):
            yield from self._answers(ctx, shelf, shelf.book(epoch))

    def process_element2(self, value: Row, ctx: KeyedCoProcessFunction.Context) -> Iterable[Row]:
        """A definition as published: ``(experiment, JSON)``. The first of a version stands."""
        shelf = self._shelf(ctx.get_current_key())
        definition = Definition.from_json(value[1])
        if definition.config_version in shelf.definitions:
            return
        self._definitions.put(str(definition.config_version), value[1])
        shelf.definitions[definition.config_version] = definition
        for _, book in sorted(shelf.books.items()):
            yield from self._answers(ctx, shelf, book)

    def on_timer(self, timestamp: int, ctx: KeyedCoProcessFunction.OnTimerContext) -> Iterable[Row]:
        """Looks again where a look waits to be confirmed; says something only if that changed something."""
        shelf = self._shelf(ctx.get_current_key())
        for epoch, looks in sorted(shelf.looks.items()):
            due_ms = looks.next_look_ms(self._began_ms)
            if due_ms is not None and due_ms <= timestamp:
                yield from self._answers(ctx, shelf, shelf.book(epoch), is_new=False)

    def _answers(
        self, ctx: KeyedCoProcessFunction.Context, shelf: Shelf, book: Book, *, is_new: bool = True
    ) -> Iterator[Row]:
        moment = self._moment(book.epoch)
        looks = self._looks_at(ctx.get_current_key(), shelf, book.epoch, moment.now_ms)
        card = rows.fill(book, moment, lambda *place: looks.frozen(("difference", *place)))
        if card is None:
            return
        before = looks.settled
        decided = verdicts.judge(card, looks, moment, is_new=is_new, began_ms=self._began_ms)
        self._looks.put(str(book.epoch), looks.encode())
        next_ms = looks.next_look_ms(self._began_ms)
        if next_ms is not None:
            ctx.timer_service().register_processing_time_timer(next_ms)
        answered = card.tables if is_new or looks.settled != before else {}
        answered["look_rows"] = [verdicts.looks_row(card, looks, moment)] if looks.settled != before else []
        answered["decision_rows"] = decided
        for table, each in answered.items():
            if each:
                yield Row(table, tables.gathered(each))
        for decision in decided:
            yield Row(verdicts.DECISIONS, verdicts.topic_record(decision))

    def _looks_at(self, experiment: str, shelf: Shelf, epoch: int, now_ms: int) -> Looks:
        """The looks so far: known, remembered by ClickHouse, or begun now."""
        if epoch not in shelf.looks:
            tenant_id, experiment_id = experiment.split("/", 1)
            text = self._memory.looks(tenant_id, experiment_id, epoch)
            shelf.looks[epoch] = Looks.decode(text) if text else Looks.begun(now_ms)
        return shelf.looks[epoch]

    def _moment(self, epoch: int) -> rows.Moment:
        self._last_micros = max(self._last_micros + 1, int(self._now_s() * 1_000_000))
        return rows.Moment(self._last_micros // 1000, epoch << EMISSION_BITS | self._last_micros)

    def _shelf(self, experiment: str) -> Shelf:
        """The experiment's state, decoded; nobody else changes it, so it may be remembered."""
        shelf = self._shelves.pop(experiment, None) or Shelf.from_state(
            self._sums.items(), self._definitions.values(), self._looks.items()
        )
        self._shelves[experiment] = shelf
        if len(self._shelves) > REMEMBERED_EXPERIMENTS:
            self._shelves.popitem(last=False)
        return shelf


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
