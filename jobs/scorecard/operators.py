"""The scorecard job's operators: state, and when to compute. What is computed is decided in ``rows.py``."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

from pyflink.common import Row, Types
from pyflink.datastream import KeyedCoProcessFunction, MapFunction, RuntimeContext
from pyflink.datastream.state import MapState, MapStateDescriptor

from config.settings import ClickHouse
from jobs.scorecard import rows, tables
from jobs.scorecard.book import Book, Definition, Shelf, encode_place, encode_totals, parse_changes
from jobs.wiring.clickhouse import Writer, writer_to

EMISSION_BITS = 52
"""Below the epoch: microseconds since 1970, enough until the year 2112."""

REMEMBERED_EXPERIMENTS = 512
"""Decoded in memory, per worker; the others are read from state again when they change."""


class Scorecard(KeyedCoProcessFunction):
    """Emits every row of an experiment's statistics whenever its sums or definitions change.

    Keyed by experiment. Keeps the newest sums of every group of slots, apart for each rebuild epoch, and
    every definition, as versioned JSON, for as long as the job lives. Absolute rows in, absolute rows out: a
    replay only says the same again under a greater version. Until a definition has come the sums wait for
    it, and the other way round.
    """

    def __init__(self, now_s: Callable[[], float] = time.time) -> None:
        self._now_s = now_s
        self._last_micros = 0

    def open(self, runtime_context: RuntimeContext) -> None:
        text = Types.STRING()
        self._sums: MapState = runtime_context.get_map_state(MapStateDescriptor("sums-by-group", text, text))
        self._definitions: MapState = runtime_context.get_map_state(
            MapStateDescriptor("definitions-by-version", text, text)
        )
        self._shelves: OrderedDict[str, Shelf] = OrderedDict()

    def process_element1(self, value: Row, ctx: KeyedCoProcessFunction.Context) -> Iterable[Row]:
        """New sums of one experiment: ``(experiment, JSON)``. Books without new sums say nothing again."""
        shelf = self._shelf(ctx.get_current_key())
        changed = set()
        for epoch, group, totals in parse_changes(value[1]):
            self._sums.put(encode_place(epoch, group), encode_totals(totals))
            shelf.book(epoch).totals[group] = totals
            changed.add(epoch)
        for epoch in sorted(changed):
            yield from self._answers(shelf.book(epoch))

    def process_element2(self, value: Row, ctx: KeyedCoProcessFunction.Context) -> Iterable[Row]:
        """A definition as published: ``(experiment, JSON)``. The first of a version stands."""
        shelf = self._shelf(ctx.get_current_key())
        definition = Definition.from_json(value[1])
        if definition.config_version in shelf.definitions:
            return
        self._definitions.put(str(definition.config_version), value[1])
        shelf.definitions[definition.config_version] = definition
        for _, book in sorted(shelf.books.items()):
            yield from self._answers(book)

    def _answers(self, book: Book) -> Iterator[Row]:
        for table, answered in rows.answers(book, self._moment(book.epoch)).items():
            if answered:
                yield Row(table, tables.gathered(answered))

    def _moment(self, epoch: int) -> rows.Moment:
        self._last_micros = max(self._last_micros + 1, int(self._now_s() * 1_000_000))
        return rows.Moment(self._last_micros // 1000, epoch << EMISSION_BITS | self._last_micros)

    def _shelf(self, experiment: str) -> Shelf:
        """The experiment's state, decoded; nobody else changes it, so it may be remembered."""
        shelf = self._shelves.pop(experiment, None) or Shelf.from_state(
            self._sums.items(), self._definitions.values()
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
