"""What the front reads from a statement before the engine runs it."""

from __future__ import annotations

import pytest

from infra.local.clickhouse_statements import (
    Insert,
    RefusedError,
    literal,
    only_values,
    setting_name,
    split_insert,
    statement_of,
    tab_escaped,
)


@pytest.mark.parametrize(
    ("text", "head", "form", "rows"),
    [
        (b"INSERT INTO t FORMAT Native\n\x00\xff;", "INSERT INTO t ", "Native", b"\x00\xff;"),
        (b"INSERT INTO t (a, `b`) FORMAT CSV\r\n1,2", "INSERT INTO t (a, `b`) ", "CSV", b"1,2"),
        (b"insert into t values (1, ';')", "insert into t ", "Values", b" (1, ';')"),
        (b"INSERT INTO t SETTINGS a = 1 FORMAT CSV 1", "INSERT INTO t SETTINGS a = 1 ", "CSV", b"1"),
        (b"-- FORMAT x\nINSERT /* VALUES */ INTO t FORMAT CSV\n", "-- FORMAT x\nINSERT /* VALUES */ INTO t ",
         "CSV", b""),
        (b"INSERT INTO t (format, values) FORMAT CSV\n1", "INSERT INTO t (format, values) ", "CSV", b"1"),
        (b"INSERT INTO `a VALUES b` FORMAT CSV\n", "INSERT INTO `a VALUES b` ", "CSV", b""),
        (b"INSERT INTO t FORMAT CSV\n\n1", "INSERT INTO t ", "CSV", b"\n1"),
    ],
)  # fmt: skip
def test_an_insert_is_parted_from_its_rows(text: bytes, head: str, form: str, rows: bytes) -> None:
    assert split_insert(text) == Insert(head, form, rows)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"SELECT 1 FORMAT CSV",
        b"INSERT INTO t SELECT * FROM values('a Int8', 1)",
        b"INSERT INTO t WITH 1 AS x SELECT x FORMAT CSV",
        b"INSERT INTO t (SELECT 1)",
        b"/* INSERT INTO t VALUES */ SELECT 1",
        b"INSERTS INTO t VALUES (1)",
    ],
)
def test_other_statements_carry_no_rows(text: bytes) -> None:
    assert split_insert(text) is None


@pytest.mark.parametrize("rows", [b"(1)", b"(1);", b"(1) ; \n", b"('a;b'), ('it''s;')", rb"('\';')", b""])
def test_values_may_end_with_a_semicolon_and_contain_some(rows: bytes) -> None:
    assert only_values(rows) == rows


@pytest.mark.parametrize(
    "rows", [b"(1); SELECT 2", b"(1);(2)", b"('a;'); DROP TABLE t", rb"('\\'); SELECT 1"]
)
def test_nothing_may_follow_the_semicolon_of_values(rows: bytes) -> None:
    with pytest.raises(RefusedError, match="semicolon"):
        only_values(rows)


@pytest.mark.parametrize(
    "rendered",
    [
        "SELECT 1\nINTO OUTFILE '/x'",
        "EXPLAIN\nSELECT 1\nINTO OUTFILE 'x' AND STDOUT\nFORMAT CSV",
        "INSERT INTO t FROM INFILE 'x' FORMAT CSV",
        "SELECT 'it\\'s', `a\\`b`\nINTO OUTFILE 'x'",
    ],
)
def test_files_of_the_server_are_out_of_reach(rendered: str) -> None:
    with pytest.raises(RefusedError, match="is not allowed over HTTP") as refused:
        statement_of("", rendered)
    assert refused.value.code == 497


@pytest.mark.parametrize(
    "rendered", ["SET a = 1", "USE x", "CREATE TEMPORARY TABLE x\n(\n    `a` Int8\n)", "BEGIN TRANSACTION"]
)
def test_a_statement_that_only_lives_in_a_session_is_refused(rendered: str) -> None:
    with pytest.raises(RefusedError, match="no sessions") as refused:
        statement_of("", rendered)
    assert refused.value.code == 48


@pytest.mark.parametrize(
    ("rendered", "has_rows", "form"),
    [
        ("SELECT 'INTO OUTFILE ; FROM INFILE' AS `INTO OUTFILE`\n", True, None),
        ("SELECT 1\nSETTINGS max_threads = 1\nFORMAT JSON\n", True, "JSON"),
        ("SELECT 1\nFORMAT CSV\nSETTINGS max_threads = 1\n", True, "CSV"),
        ("WITH\n    1 AS x\nSELECT x\n", True, None),
        ("SHOW TABLES FROM livelift\n", True, None),
        ("CREATE TABLE a\n(\n    `x` Int8\n)\nCOMMENT 'SELECT INTO OUTFILE'\n", False, None),
        ("INSERT INTO t SELECT *\nFROM x\n", False, None),
    ],
)
def test_kind_and_format_are_read_from_the_parsers_rendering(
    rendered: str, has_rows: bool, form: str | None
) -> None:
    statement = statement_of("as sent", rendered)
    assert (statement.text, statement.has_rows, statement.format) == ("as sent", has_rows, form)


@pytest.mark.parametrize("name", ["", "a b", "a = 1, b", "a;", "ä"])
def test_a_setting_has_a_name_that_cannot_be_anything_else(name: str) -> None:
    with pytest.raises(RefusedError, match="Unknown setting"):
        setting_name(name)


def test_values_are_escaped_for_where_they_stand() -> None:
    assert literal("it's \\ ;") == "'it\\'s \\\\ ;'"
    assert tab_escaped("a\tb\nc\\") == "a\\tb\\nc\\\\"
