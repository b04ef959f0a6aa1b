"""The writer waits for a ClickHouse that is away and gives up on rows that no server would take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError, ProgrammingError

from infra.decision_replay import disagreements
from infra.decisions import read_decisions
from infra.migrations import apply
from jobs.scorecard import tables
from jobs.wiring.clickhouse import (
    LONGEST_PAUSE_S,
    Columns,
    Lines,
    Memory,
    Writer,
    memory_of,
    writer_to,
)
from tests.infra.clickhouse_process import Front, connect
from tests.jobs.scorecard.test_verdicts import SLOWER, Watched, guarded

ROWS = {"a": [1, 2]}


class FakeServer:
    """Fails as told, then takes what comes."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.connections = 0
        self.pauses: list[float] = []
        self.inserts: list[dict[str, Any]] = []

    def connect(self) -> FakeServer:
        self.connections += 1
        return self

    def create_insert_context(self, table: str, names: Any, **options: Any) -> Any:
        given = {"table": table, "names": names, **options}
        return SimpleNamespace(column_types=("Int64",), given=given)

    def data_insert(self, context: Any) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.inserts.append(context.given)

    def raw_insert(self, *lines: Any, **options: Any) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.inserts.append({"lines": lines, **options})

    def close(self) -> None:
        pass


def write(server: FakeServer, rows: Columns | Lines = ROWS) -> None:
    Writer(server.connect, sleep=server.pauses.append).write("t", rows)


def test_rows_go_in_one_synchronous_insert_by_column() -> None:
    server = FakeServer()
    write(server)
    [insert] = server.inserts
    assert (insert["table"], insert["names"], insert["data"]) == ("t", ("a",), [[1, 2]])
    assert insert["column_oriented"]
    assert insert["settings"] == {"async_insert": 0}


def test_lines_go_as_they_are_in_one_synchronous_insert() -> None:
    server = FakeServer(OperationalError("refused"))
    write(server, Lines(("a", "b"), '[1,"ü"],[2,"x"]'))
    [insert] = server.inserts
    assert insert["lines"] == ("t", ("a", "b"), '[1,"ü"],[2,"x"]'.encode())
    assert (insert["fmt"], insert["settings"]) == ("JSONCompactEachRow", {"async_insert": 0})


@pytest.mark.parametrize("nothing", [{"a": []}, Lines(("a",), "")])
def test_nothing_is_sent_for_no_rows(nothing: Columns | Lines) -> None:
    server = FakeServer()
    write(server, nothing)
    assert (server.connections, server.inserts) == (0, [])


@pytest.mark.parametrize(
    "failure",
    [
        OperationalError("refused"),
        ConnectionError("reset"),
        DatabaseError("starting"),
        DatabaseError("full", code=243),
    ],
)
def test_a_server_that_is_away_is_waited_for(failure: Exception) -> None:
    server = FakeServer(*[failure] * 3)
    write(server)
    assert len(server.inserts) == 1
    assert server.connections == 4


def test_pauses_grow_to_a_bound() -> None:
    server = FakeServer(*[OperationalError("refused")] * 10)
    write(server)
    assert server.pauses[:3] == [0.1, 0.2, 0.4]
    assert server.pauses[-1] == LONGEST_PAUSE_S


@pytest.mark.parametrize(
    "failure", [DatabaseError("no such table", code=60), ProgrammingError("two lengths")]
)
def test_rows_that_no_server_takes_are_an_error_at_once(failure: Exception) -> None:
    server = FakeServer(failure)
    with pytest.raises(type(failure)):
        write(server)
    assert server.pauses == []


def test_column_types_are_asked_for_once() -> None:
    server = FakeServer()
    writer = Writer(server.connect)
    writer.write("t", ROWS)
    writer.write("t", ROWS)
    assert [insert["column_types"] for insert in server.inserts] == [None, ("Int64",)]


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    front = Front(tmp_path).start()
    yield front
    front.kill()


@pytest.mark.clickhouse
def test_what_was_written_while_clickhouse_was_away_is_there_when_it_is_back(
    front: Front, tmp_path: Path
) -> None:
    """The server is gone for two attempts; another one over the same data takes the third."""
    settings = front.settings("livelift")
    apply(settings)
    front.kill()
    attempts = iter((None, None, front))

    def wait(_: float) -> None:
        nonlocal writer
        back = next(attempts)
        if back is not None:
            back.start()
            writer._connect = writer_to(back.settings("livelift").clickhouse)._connect

    writer = Writer(writer_to(settings.clickhouse)._connect, sleep=wait)
    ratio = {
        "tenant_id": ["acme"],
        "experiment_id": ["checkout"],
        "segment": [""],
        "bots": ["excluded"],
        "variants": [["control", "treatment"]],
        "counts": [[1, 2]],
        "expected": [[1.5, 1.5]],
        "chi2_p_value": [None],
        "status": ["ok"],
        "as_of": [1_767_229_200_123],
        "version": [1],
    }
    writer.write("sample_ratio_rows", ratio)
    with connect(front.settings("livelift")) as client:
        [row] = client.query(
            "SELECT counts, chi2_p_value, toUnixTimestamp64Milli(as_of) FROM sample_ratio"
        ).result_rows
    assert row == ([1, 2], None, 1_767_229_200_123)


def looks_row(text: str, version: int, **place: Any) -> dict[str, list[Any]]:
    row = {"tenant_id": "acme", "epoch": 0, "experiment_id": "a/b", "since": 1, "as_of": 1, **place}
    return {name: [value] for name, value in {**row, "looks": text, "version": version}.items()}


@pytest.mark.clickhouse
def test_what_was_seen_before_is_what_was_written_last(front: Front) -> None:
    settings = front.settings("livelift")
    apply(settings)
    writer = writer_to(settings.clickhouse)
    assert memory_of(settings.clickhouse).looks("acme", "a/b", 0) == ""
    for text, version in (("newer", 2), ("older", 1)):
        writer.write("look_rows", looks_row(text, version))
    writer.write("look_rows", looks_row("another epoch's", 3, epoch=1))
    memory = memory_of(settings.clickhouse)
    assert [memory.looks("acme", "a/b", epoch) for epoch in (0, 1, 2)] == ["newer", "another epoch's", ""]


@pytest.mark.clickhouse
def test_of_two_records_of_a_decision_the_first_stands(front: Front) -> None:
    settings = front.settings("livelift")
    apply(settings)
    writer, watched = writer_to(settings.clickhouse), Watched(guarded(SLOWER))
    watched.look()
    (first,) = watched.look()
    watched.looks.decided.clear()
    (again,) = watched.look()
    for row in (first, again):
        for table, columns in tables.inserts("decision_rows", f"[{tables.gathered([row])}]"):
            writer.write(table, columns)
    (shown,) = read_decisions(settings)
    assert (shown["decision_id"], shown["bound"]) == (first["decision_id"], first["bound"])
    assert shown["decided_at"] == "2026-01-01T12:00:01.000Z"
    assert disagreements(shown) == []


def test_a_question_waits_while_clickhouse_is_away() -> None:
    pauses: list[float] = []

    class Absent:
        def query(self, *_: Any, **__: Any) -> Any:
            if len(pauses) < 2:
                raise ConnectionRefusedError
            return SimpleNamespace(result_rows=[])

        def close(self) -> None:
            return

    assert Memory(Absent, sleep=pauses.append).looks("acme", "checkout", 0) == ""
    assert pauses == [0.1, 0.2]


def test_experiments_nobody_has_looked_at_cost_one_question_together() -> None:
    asked: list[str] = []

    class Answers:
        def query(self, query: str, **_: Any) -> Any:
            asked.append(query)
            known = query == Memory.KNOWN
            return SimpleNamespace(result_rows=[("acme", "seen", 0)] if known else [("its looks",)])

        def close(self) -> None:
            return

    memory = Memory(Answers)
    found = [memory.looks("acme", experiment, 0) for experiment in ("new", "newer", "seen")]
    assert found == ["", "", "its looks"]
    assert asked == [Memory.KNOWN, Memory.QUERY]
