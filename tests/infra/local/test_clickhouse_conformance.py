"""What ``clickhouse-connect`` needs from a ClickHouse: the same here and on a real server.

``TEST_CLICKHOUSE_URL=http://user:password@host:8123`` points this suite at a real server.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import lz4.frame
import pandas as pd
import pyarrow as pa
import pytest
import zstandard
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from config.settings import Settings
from tests.infra.clickhouse_process import clickhouse, connect

pytestmark = pytest.mark.clickhouse

AT_ONCE = {"async_insert": 0}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with clickhouse(tmp_path_factory.mktemp("clickhouse")) as settings:
        with connect(settings, database="") as client:
            client.command(f"CREATE DATABASE {settings.clickhouse.database}")
        yield settings


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with connect(settings) as client:
        yield client
        for (table,) in client.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase()"
        ).result_rows:
            client.command(f"DROP TABLE {table} SYNC")


def code_of(client: Client, statement: str, **options: Any) -> int | None:
    """The code a statement is refused with."""
    with pytest.raises(DatabaseError) as refused:
        client.command(statement, **options)
    return refused.value.code


def http(settings: Settings, content: bytes = b"", method: str = "POST", **options: Any) -> httpx.Response:
    """One request without the client's help."""
    credential = (settings.clickhouse.user, settings.clickhouse.password)
    given = {"auth": credential, **options}
    return httpx.request(method, settings.clickhouse.url, content=content, timeout=60, **given)


def test_the_server_answers_to_a_ping(client: Client) -> None:
    assert client.ping()


def test_a_command_returns_one_value_or_a_list(client: Client) -> None:
    assert client.command("SELECT 40 + 2") == 42
    assert client.command("SELECT 'a', 'b'") == ["a", "b"]
    assert client.command("SELECT 1 WHERE 0") == ""


def test_a_query_returns_typed_rows_with_names(client: Client) -> None:
    result = client.query(
        "SELECT toInt64(-1) AS a, 'ö;--' AS b, toDateTime64('2026-01-02 03:04:05.678', 3, 'UTC') AS c,"
        " [1.5, 2.5] AS d, CAST(NULL AS Nullable(Float64)) AS e"
    )
    moment = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    assert result.column_names == ("a", "b", "c", "d", "e")
    assert result.result_rows == [(-1, "ö;--", moment.replace(tzinfo=None), [1.5, 2.5], None)] or (
        result.result_rows == [(-1, "ö;--", moment, [1.5, 2.5], None)]
    )


def test_columns_of_a_query_limited_to_no_rows_are_known(client: Client) -> None:
    assert client.query("SELECT 1 AS a, 'x' AS b LIMIT 0").column_names == ("a", "b")


@pytest.mark.parametrize("text", ["plain", "it's", "a\tb\nc", "back\\slash", "'; DROP TABLE x; --", "ü€", ""])
@pytest.mark.parametrize("form", [False, True])
def test_a_parameter_arrives_as_it_was_given(settings: Settings, text: str, form: bool) -> None:
    with connect(settings, form_encode_query_params=form) as client:
        assert client.query("SELECT {text:String}", parameters={"text": text}).result_rows == [(text,)]


def test_parameters_have_types(client: Client) -> None:
    given = {"a": 2**63, "b": ["x", "it's"], "c": datetime(2026, 1, 2, 3, tzinfo=UTC), "d": None}
    query = "SELECT {a:UInt64}, {b:Array(String)}, toUnixTimestamp({c:DateTime('UTC')}), {d:Nullable(String)}"
    assert client.query(query, parameters=given).result_rows == [(2**63, ["x", "it's"], 1767322800, None)]
    assert client.query("SELECT %(a)s", parameters={"a": "it's"}).result_rows == [("it's",)]


def test_an_empty_string_and_a_long_parameter_survive(client: Client) -> None:
    long = "x" * 30_000
    assert client.query("SELECT length({a:String})", parameters={"a": long}).result_rows == [(30_000,)]


@pytest.mark.parametrize("compress", [True, False, "lz4", "zstd", "gzip"])
def test_every_row_of_an_insert_in_several_blocks_is_counted(
    settings: Settings, compress: str | bool
) -> None:
    rows = 250_000
    with connect(settings, compress=compress) as client:
        client.command("CREATE TABLE many (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
        names = [str(number % 1000) for number in range(rows)]
        columns: list[list[object]] = [list(range(rows)), list(names)]
        done = client.insert("many", columns, ["a", "b"], column_oriented=True, settings=AT_ONCE)
        counted = client.query("SELECT count(), uniqExact(a), sum(a), sum(toUInt64(b)) FROM many").result_rows
        client.command("DROP TABLE many SYNC")
    assert done.written_rows == rows
    assert counted == [(rows, rows, rows * (rows - 1) // 2, sum(map(int, names)))]


def test_the_widest_integers_survive(client: Client) -> None:
    client.command("CREATE TABLE wide (k UInt8, a Int256) ENGINE = MergeTree ORDER BY k")
    numbers = [2**255 - 1, -(2**255), 0, -1, 10**40, -(10**40)]
    client.insert("wide", [list(range(6)), numbers], ["k", "a"], column_oriented=True, settings=AT_ONCE)
    text = "\n".join(json.dumps({"k": 6 + key, "a": str(number)}) for key, number in enumerate(numbers))
    client.raw_insert("wide", insert_block=text, fmt="JSONEachRow", settings=AT_ONCE)
    assert client.query("SELECT a FROM wide ORDER BY k").result_columns == [tuple(numbers + numbers)] or (
        list(client.query("SELECT a FROM wide ORDER BY k").result_columns[0]) == numbers + numbers
    )


@pytest.mark.parametrize(
    ("compression", "pack"),
    [
        (None, lambda block: block),
        ("lz4", lz4.frame.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
        ("gzip", gzip.compress),
    ],
)
def test_raw_inserts_take_any_format_and_compression(
    client: Client, compression: str | None, pack: Any
) -> None:
    client.command("CREATE TABLE raw (a Int32, b String) ENGINE = MergeTree ORDER BY a")
    # Two frames, one behind the other.
    block = pack(b'{"a":1,"b":"x;y"}\n') + pack(b'{"a":2,"b":"INTO OUTFILE"}\n')
    client.raw_insert("raw", insert_block=block, fmt="JSONEachRow", compression=compression, settings=AT_ONCE)
    client.raw_insert("raw", ["a", "b"], pack(b"3,z\n"), fmt="CSV", compression=compression, settings=AT_ONCE)
    rows = client.query("SELECT a, b FROM raw ORDER BY a").result_rows
    assert rows == [(1, "x;y"), (2, "INTO OUTFILE"), (3, "z")]


def test_a_raw_insert_can_be_sent_as_it_is_made(client: Client) -> None:
    client.command("CREATE TABLE made (a Int32) ENGINE = MergeTree ORDER BY a")
    pieces = (b"%d\n" % number for number in range(10_000))
    client.raw_insert("made", insert_block=pieces, fmt="TabSeparated", settings=AT_ONCE)
    assert client.command("SELECT count() FROM made") == 10_000


def test_values_may_be_written_into_the_statement(client: Client) -> None:
    client.command("CREATE TABLE small (a Int32, b String) ENGINE = MergeTree ORDER BY a")
    client.command("INSERT INTO small (a, b) VALUES (1, 'a;b'), (2, 'FROM INFILE');")
    client.command("INSERT INTO small SELECT a + 2, b FROM small")
    assert client.query("SELECT * FROM small ORDER BY a").result_columns == [
        (1, 2, 3, 4),
        ("a;b", "FROM INFILE", "a;b", "FROM INFILE"),
    ] or client.command("SELECT count(), sum(a) FROM small") == ["4", "10"]


def test_data_frames_go_in_and_out(client: Client) -> None:
    client.command("CREATE TABLE frames (a Int64, b String) ENGINE = MergeTree ORDER BY a")
    client.insert_df("frames", pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), settings=AT_ONCE)
    frame = client.query_df("SELECT * FROM frames ORDER BY a")
    assert frame.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}


def test_arrow_tables_go_in_and_out(client: Client) -> None:
    client.command("CREATE TABLE arrows (a Int64, b String) ENGINE = MergeTree ORDER BY a")
    client.insert_arrow("arrows", pa.table({"a": [1, 2], "b": ["x", "y"]}), settings=AT_ONCE)
    table = client.query_arrow("SELECT a, b FROM arrows ORDER BY a", use_strings=True)
    assert table.to_pydict() == {"a": [1, 2], "b": ["x", "y"]}


def test_a_large_answer_is_streamed(client: Client) -> None:
    with client.query_row_block_stream("SELECT number FROM numbers(1000000)") as blocks:
        assert sum(row[0] for block in blocks for row in block) == 499_999_500_000


@pytest.mark.parametrize("form", ["CSV", "CSVWithNames", "JSONEachRow", "TabSeparatedWithNames", "JSON"])
def test_a_raw_answer_is_one_document(client: Client, form: str) -> None:
    with client.raw_stream("SELECT number FROM numbers(200000)", fmt=form) as stream:
        text = stream.read().decode()
    assert text.count("number") == {"CSV": 0, "JSONEachRow": 200_000, "JSON": 200_001}.get(form, 1)
    assert "199999" in text


FAILING = (
    "SELECT number, throwIf(number = {at}, 'half way') FROM numbers(1000000)"
    " SETTINGS max_block_size = 10000, max_threads = 1"
)


@pytest.mark.parametrize("at", [50_000, 900_000])
def test_an_error_in_the_middle_of_a_stream_is_raised(client: Client, at: int) -> None:
    with (
        pytest.raises(ClickHouseError, match="half way"),
        client.query_row_block_stream(FAILING.format(at=at)) as blocks,
    ):
        for _ in blocks:
            pass


@pytest.mark.parametrize("at", [50_000, 900_000])
def test_an_answer_cut_off_by_an_error_never_looks_complete(
    settings: Settings, client: Client, at: int
) -> None:
    with pytest.raises(ClickHouseError):
        client.command(FAILING.format(at=at))
    with pytest.raises(ClickHouseError):
        client.query(FAILING.format(at=at))
    with pytest.raises(httpx.HTTPError):
        http(settings, f"{FAILING.format(at=at)} FORMAT CSV".encode()).raise_for_status()


def test_errors_carry_clickhouses_code(settings: Settings, client: Client) -> None:
    assert code_of(client, "SELEC 1") == 62
    assert code_of(client, "SELECT * FROM nowhere") == 60
    assert code_of(client, "SELECT nothing") == 47
    assert code_of(client, "SELECT no_such_function(1)") == 46
    assert code_of(client, "SELECT * FROM no_such_database.x") == 81
    assert code_of(client, "SELECT throwIf(1)") == 395
    assert (
        http(settings, b"SELECT 1", params={"database": "no_such_database"}).headers[
            "X-ClickHouse-Exception-Code"
        ]
        == "81"
    )
    assert (
        http(settings, b"SELECT 1", params={"no_such_setting": "1"}).headers["X-ClickHouse-Exception-Code"]
        == "115"
    )


def test_a_wrong_password_is_516(settings: Settings) -> None:
    with pytest.raises(DatabaseError) as refused:
        connect(settings, password="wrong")
    assert refused.value.code == 516


def test_a_failed_insert_leaves_nothing(client: Client) -> None:
    client.command("CREATE TABLE whole (a Int32) ENGINE = MergeTree ORDER BY a")
    block = b"1\n" * 100_000 + b"no number\n"
    with pytest.raises(DatabaseError) as refused:
        client.raw_insert("whole", insert_block=block, fmt="TabSeparated", settings=AT_ONCE)
    assert refused.value.code == 27
    assert client.command("SELECT count() FROM whole") == 0


def test_two_statements_in_one_request_are_refused(client: Client) -> None:
    client.command("CREATE TABLE kept (a Int32) ENGINE = MergeTree ORDER BY a")
    assert code_of(client, "SELECT 1; DROP TABLE kept") == 62
    assert code_of(client, "SELECT 1 /* ; */; -- ;\nDROP TABLE kept") == 62
    assert client.command("SELECT ';' || 'a;b' -- ; c") == ";a;b"
    assert client.command("SELECT 1;") == 1
    assert client.command("EXISTS kept") == 1


def test_a_setting_holds_for_its_request_only(client: Client) -> None:
    asked = "SELECT getSetting('max_block_size')"
    before = client.command(asked)
    assert client.command(asked, settings={"max_block_size": 123}) == 123
    assert client.command(asked) == before


def test_other_ways_to_give_the_credential_work(settings: Settings) -> None:
    user, password = settings.clickhouse.user, settings.clickhouse.password
    by_header = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
    by_url = {"user": user, "password": password}
    assert http(settings, b"SELECT 7", auth=None, headers=by_header).text == "7\n"
    assert http(settings, b"SELECT 7", auth=None, params=by_url).text == "7\n"


def test_answers_name_their_query_format_and_counts(settings: Settings) -> None:
    answer = http(settings, b"SELECT 1 FORMAT CSV", params={"query_id": "mine", "wait_end_of_query": "1"})
    assert answer.text == "1\n"
    assert answer.headers["X-ClickHouse-Query-Id"] == "mine"
    assert answer.headers["X-ClickHouse-Format"] == "CSV"
    assert json.loads(answer.headers["X-ClickHouse-Summary"])["result_rows"] == "1"
    forged = http(settings, b"SELECT 1", params={"query_id": "a\r\nX-Forged: ö"})
    assert "X-Forged" not in forged.headers


def test_the_query_may_stand_in_the_url_and_its_end_in_the_body(settings: Settings) -> None:
    assert http(settings, method="GET", params={"query": "SELECT 3"}).text == "3\n"
    assert http(settings, b"+ 4", params={"query": "SELECT 3"}).text == "7\n"
    assert http(settings, b"SELECT 1", params={"default_format": "JSONEachRow"}).json() == {"1": 1}


def test_a_get_cannot_write(settings: Settings) -> None:
    answer = http(settings, method="GET", params={"query": "CREATE DATABASE by_accident"})
    assert answer.headers["X-ClickHouse-Exception-Code"] == "164"


def test_readers_see_whole_inserts_while_several_write(settings: Settings, client: Client) -> None:
    client.command("CREATE TABLE shared (writer UInt8, a UInt64) ENGINE = MergeTree ORDER BY a")
    batches, size, writers = 20, 1000, 3
    failures: list[BaseException] = []
    done = threading.Event()

    def write(writer: int) -> None:
        try:
            with connect(settings) as mine:
                for batch in range(batches):
                    columns = [[writer] * size, list(range(batch * size, (batch + 1) * size))]
                    mine.insert("shared", columns, ["writer", "a"], column_oriented=True, settings=AT_ONCE)
        except BaseException as error:
            failures.append(error)

    def read() -> None:
        try:
            with connect(settings) as mine:
                last = 0
                while not done.is_set():
                    seen = int(str(mine.command("SELECT count() FROM shared")))
                    assert seen % size == 0
                    assert seen >= last
                    last = seen
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in readers + threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    done.set()
    for thread in readers:
        thread.join(timeout=30)
    assert failures == []
    assert client.command("SELECT count() FROM shared") == batches * size * writers


def test_the_suite_leaves_the_machine_as_it_was(client: Client, tmp_path: Path) -> None:
    assert list(tmp_path.iterdir()) == []
    assert client.command("SELECT count() FROM system.tables WHERE name = 'by_accident'") == 0
