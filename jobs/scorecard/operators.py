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
from jobs.scorecard.book import Book, Definition, encode_group, encode_totals, parse_changes
from jobs.wiring.clickhouse import Writer, writer_to

EMISSION_BITS = 52
"""Below the epoch: microseconds since 1970, enough until the year 2112."""

REMEMBERED_EXPERIMENTS = 512
"""Decoded in memory, per worker; the others are read from state again when they change."""


class Scorecard(KeyedCoProcessFunction):
    """Emits every row of an experiment's statistics whenever its sums or definitions change.

    Keyed by experiment. Keeps the newest sums of every group of slots and every definition, as versioned
    JSON, for as long as the job lives. Absolute rows in, absolute rows out: a replay only says the same
    again under a greater version. Until a definition has come the sums wait for it, and the other way
    round.
    """

    def __init__(self, epoch: int, now_s: Callable[[], float] = time.time) -> None:
        self._epoch = epoch
        self._now_s = now_s
        self._last_micros = 0

    def open(self, runtime_context: RuntimeContext) -> None:
        text = Types.STRING()
        self._sums: MapState = runtime_context.get_map_state(MapStateDescriptor("sums-by-group", text, text))
        self._definitions: MapState = runtime_context.get_map_state(
            MapStateDescriptor("definitions-by-version", text, text)
        )
        self._books: OrderedDict[str, Book] = OrderedDict()

    def process_element1(self, value: Row, ctx: KeyedCoProcessFunction.Context) -> Iterable[Row]:
        """New sums of one experiment: ``(experiment, JSON)``."""
        book = self._book(ctx.get_current_key())
        for group, totals in parse_changes(value[1]):
            self._sums.put(encode_group(group), encode_totals(totals))
            book.totals[group] = totals
        yield from self._answers(book)

    def process_element2(self, value: Row, ctx: KeyedCoProcessFunction.Context) -> Iterable[Row]:
        """A definition as published: ``(experiment, JSON)``. The first of a version stands."""
        book = self._book(ctx.get_current_key())
        definition = Definition.from_json(value[1])
        if definition.config_version in book.definitions:
            return
        self._definitions.put(str(definition.config_version), value[1])
        book.definitions[definition.config_version] = definition
        yield from self._answers(book)

    def _answers(self, book: Book) -> Iterator[Row]:
        for table, answered in rows.answers(book, self._moment()).items():
            if answered:
                yield Row(table, tables.gathered(answered))

    def _moment(self) -> rows.Moment:
        self._last_micros = max(self._last_micros + 1, int(self._now_s() * 1_000_000))
        return rows.Moment(self._last_micros // 1000, self._epoch << EMISSION_BITS | self._last_micros)

    def _book(self, experiment: str) -> Book:
        """The experiment's state, decoded; nobody else changes it, so it may be remembered."""
        book = self._books.pop(experiment, None) or Book.from_state(
            self._sums.items(), self._definitions.values()
        )
        self._books[experiment] = book
        if len(self._books) > REMEMBERED_EXPERIMENTS:
            self._books.popitem(last=False)
        return book


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
        table, batch = value[0], value[1]
        columns = tables.columns(table, batch)
        self._writer.write(table, columns)
        return len(next(iter(columns.values())))
