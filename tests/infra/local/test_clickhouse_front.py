"""What only the front promises: one owner, one user, no files, nothing acknowledged is lost."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import lz4.frame
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from config.settings import ROOT
from tests.infra.clickhouse_process import PASSWORD, Front, running_front

pytestmark = pytest.mark.clickhouse

OPERATOR = ("operator", PASSWORD)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with running_front(tmp_path_factory.mktemp("front"), "--memory-mb", "1024") as front:
        yield front


def post(front: Front, content: bytes, **options: object) -> httpx.Response:
    given = {"auth": OPERATOR, **options}
    return httpx.post(front.url, content=content, timeout=60, **given)  # type: ignore[arg-type]


def code_of(answer: httpx.Response) -> str:
    return answer.headers["X-ClickHouse-Exception-Code"]


@pytest.mark.parametrize(
    "credential",
    [
        {},
        {"auth": ("operator", "")},
        {"auth": ("operator", PASSWORD + "x")},
        {"auth": ("default", "")},
        {"auth": ("default", PASSWORD)},
        {"headers": {"Authorization": "Basic ###"}},
        {"headers": {"Authorization": f"Bearer {PASSWORD}"}},
        {"headers": {"X-ClickHouse-User": "operator"}},
        {"params": {"user": "operator", "password": "ö"}},
    ],
)
def test_nobody_but_the_operator_is_answered(front: Front, credential: dict[str, object]) -> None:
    answer = post(front, b"SELECT 1", **{"auth": None, **credential})
    assert (answer.status_code, code_of(answer)) == (403, "516")
    assert answer.text != "1\n"


def test_the_ping_needs_no_credential(front: Front) -> None:
    assert httpx.get(front.url + "/ping").text == "Ok.\n"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 INTO OUTFILE '{file}'",
        "SELECT 1 INTO /* ; */ OUTFILE '{file}' FORMAT CSV",
        "SELECT 1 into\n--\noutfile '{file}' AND STDOUT",
        "EXPLAIN SELECT 1 INTO OUTFILE '{file}'",
        "SELECT ‘;’, $x$ ' $x$ INTO OUTFILE '{file}' TRUNCATE",
        "INSERT INTO FUNCTION file('{file}', 'CSV', 'a Int8') VALUES (1)",
        "INSERT INTO FUNCTION file('{file}', 'CSV', 'a Int8') SELECT 1",
    ],
)
def test_no_statement_writes_a_file(front: Front, tmp_path: Path, statement: str) -> None:
    answer = post(front, statement.format(file=tmp_path / "stolen").encode())
    assert code_of(answer) == "497"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM file('/etc/hostname', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM remote('127.0.0.1:1', system.one)",
        "SELECT * FROM executable('id', 'LineAsString', 'a String')",
        "INSERT INTO system.one FROM INFILE '/etc/hostname' FORMAT CSV",
        "SELECT * FROM `/etc/hostname`",
    ],
)
def test_no_statement_reads_files_or_other_servers(front: Front, statement: str) -> None:
    assert int(code_of(post(front, statement.encode()))) > 0


def test_words_inside_literals_names_and_comments_are_only_words(front: Front) -> None:
    statement = (
        "SELECT 'a; INTO OUTFILE ''x''' AS `FROM INFILE; SET`, $$;$$ /* INTO OUTFILE 'x'; */ -- ; SELECT 2"
    )
    assert post(front, statement.encode()).text == "a; INTO OUTFILE \\'x\\'\t;\n"


def test_values_are_rows_and_never_another_statement(front: Front) -> None:
    post(
        front, b"CREATE OR REPLACE TABLE rows_only (a String) ENGINE = MergeTree ORDER BY a"
    ).raise_for_status()
    assert code_of(post(front, b"INSERT INTO rows_only VALUES ('a'); DROP TABLE rows_only")) == "62"
    post(front, b"INSERT INTO rows_only VALUES ('b; DROP TABLE rows_only');").raise_for_status()
    assert post(front, b"SELECT * FROM rows_only").text == "b; DROP TABLE rows_only\n"


@pytest.mark.parametrize(
    "statement",
    ["SET max_threads = 1", "USE system", "CREATE TEMPORARY TABLE x (a Int8)", "BEGIN TRANSACTION"],
)
def test_what_needs_a_session_is_refused_rather_than_forgotten(front: Front, statement: str) -> None:
    answer = post(front, statement.encode())
    assert code_of(answer) == "48"
    assert "sessions" in answer.text


def test_what_the_front_lacks_is_refused(front: Front) -> None:
    assert code_of(post(front, b"SELECT 1", params={"role": "x"})) == "48"
    assert code_of(post(front, b"SELECT 1", params={"decompress": "1"})) == "48"
    assert code_of(post(front, b"SELECT 1", headers={"Content-Encoding": "br"})) == "48"
    assert post(front, b"SELECT 1", params={"query": ""}).text == "1\n"
    assert httpx.get(front.url + "/play", auth=OPERATOR).status_code == 404


def test_a_cut_or_broken_frame_leaves_nothing(front: Front) -> None:
    post(front, b"CREATE OR REPLACE TABLE frames (a Int32) ENGINE = MergeTree ORDER BY a").raise_for_status()
    rows = b"".join(b"%d\n" % number for number in range(200_000))
    block = lz4.frame.compress(b"INSERT INTO frames FORMAT TabSeparated\n") + lz4.frame.compress(rows)
    for content in (block[:-20], block + b"no frame"):
        assert code_of(post(front, content, headers={"Content-Encoding": "lz4"})) == "354"
    assert post(front, b"SELECT count() FROM frames").text == "0\n"


def test_a_client_that_goes_away_in_the_middle_leaves_nothing(front: Front) -> None:
    post(front, b"CREATE OR REPLACE TABLE half (a Int32) ENGINE = MergeTree ORDER BY a").raise_for_status()
    address = httpx.URL(front.url)
    for framing in (b"Transfer-Encoding: chunked\r\n\r\n200000\r\n", b"Content-Length: 2000000\r\n\r\n"):
        with socket.create_connection((address.host, address.port)) as connection:
            head = b"POST / HTTP/1.1\r\nHost: x\r\nX-ClickHouse-User: operator\r\nX-ClickHouse-Key: "
            connection.sendall(head + PASSWORD.encode() + b"\r\n" + framing)
            connection.sendall(b"INSERT INTO half FORMAT TabSeparated\n" + b"1\n" * 500_000)
    assert post(front, b"SELECT count() FROM half").text == "0\n"


def test_a_query_beyond_the_memory_fails_alone(front: Front) -> None:
    with front.connect() as client:
        with pytest.raises(DatabaseError) as refused:
            client.command("SELECT length(groupArray(toString(number))) FROM numbers(200000000)")
        assert refused.value.code == 241
        assert client.command("SELECT 1") == 1


def test_a_refused_request_leaves_its_connection_usable(front: Front) -> None:
    with httpx.Client(auth=OPERATOR) as client:
        for _ in range(3):
            assert code_of(client.post(front.url, content=b"SELEC" + b" " * 3_000_000)) == "62"
            assert client.post(front.url, content=b"SELECT 1").text == "1\n"


def refused_start(*options: str) -> str:
    """What the front says when it cannot start."""
    command = [sys.executable, "-m", "infra.local.clickhouse_front", "--user", "operator", *options]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    return ended.stderr


def test_what_prevents_the_start_is_one_line(front: Front, tmp_path: Path) -> None:
    password, empty = tmp_path / "password", tmp_path / "empty"
    password.write_text("x")
    empty.write_text("\n")
    data, port = str(tmp_path / "data"), front.url.rpartition(":")[2]
    taken = refused_start("--data", data, "--port", port, "--password-file", str(password))
    assert f"127.0.0.1:{port}: Address already in use" in taken
    open_to_all = refused_start("--data", data, "--port", "0", "--password-file", str(empty))
    assert "needs a password" in open_to_all
    missing = refused_start("--data", data, "--port", "0", "--password-file", str(tmp_path / "none"))
    assert "none: No such file" in missing


def test_a_data_folder_has_one_owner(tmp_path: Path) -> None:
    with running_front(tmp_path):
        options = (
            "--data",
            str(tmp_path / "data"),
            "--port",
            "0",
            "--password-file",
            str(tmp_path / "password"),
        )
        assert "is in use by another process" in refused_start(*options)


def test_killing_the_front_loses_no_acknowledged_row(tmp_path: Path) -> None:
    front = Front(tmp_path).start()
    create = "CREATE TABLE kept (writer UInt8, batch UInt32, a UInt64) ENGINE = MergeTree ORDER BY a"
    with front.connect() as client:
        client.command(create)
    size, acknowledged = 1000, {1: 0, 2: 0}
    for _ in range(3):
        threads = [
            threading.Thread(target=_insert_until_killed, args=(front, w, size, acknowledged)) for w in (1, 2)
        ]
        enough = {writer: count + 15 for writer, count in acknowledged.items()}
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 60
        while any(acknowledged[writer] < count for writer, count in enough.items()):
            assert time.monotonic() < deadline, f"only {acknowledged} batches were acknowledged"
            time.sleep(0.005)
        front.kill()
        for thread in threads:
            thread.join(timeout=60)
        front.start()
        with front.connect() as client:
            query = "SELECT writer, batch, count(), uniqExact(a) FROM kept GROUP BY writer, batch"
            found = {(row[0], row[1]): row[2:] for row in client.query(query).result_rows}
        # At most one batch of each writer was stored without its acknowledgement.
        assert all(counts == (size, size) for counts in found.values())
        for writer, count in acknowledged.items():
            stored = {batch for each, batch in found if each == writer}
            assert stored >= set(range(count))
            assert len(stored) <= count + 1
            acknowledged[writer] = len(stored)
    front.kill()


def _insert_until_killed(front: Front, writer: int, size: int, acknowledged: dict[int, int]) -> None:
    with front.connect() as client:
        while True:
            batch = acknowledged[writer]
            columns = [[writer] * size, [batch] * size, list(range(size))]
            try:
                client.insert("kept", columns, ["writer", "batch", "a"], column_oriented=True)
            except (ClickHouseError, OSError):
                return
            acknowledged[writer] = batch + 1


def test_sigterm_finishes_the_request_at_work_and_exits_with_0(tmp_path: Path) -> None:
    front = Front(tmp_path).start()
    answers: list[object] = []
    with front.connect() as client, front.connect() as idle:
        idle.command("SELECT 1")
        query = "SELECT sum(sleepEachRow(0.05)) + 5 FROM numbers(20) SETTINGS max_block_size = 1"
        worker = threading.Thread(target=lambda: answers.append(client.command(query)))
        worker.start()
        deadline = time.monotonic() + 30
        while (
            idle.command(f"SELECT count() FROM system.processes WHERE query LIKE '%{'sleepEach'}Row(0.05)%'")
            != 2
        ):
            assert time.monotonic() < deadline, "the long query did not start"
            time.sleep(0.01)
        front.signal(signal.SIGTERM)
        assert front.wait() == 0
        worker.join(timeout=30)
    assert answers == [5]
    assert re.search(r"stopped\n$", (tmp_path / "log").read_text())


def test_what_was_stored_is_there_after_an_orderly_stop(tmp_path: Path) -> None:
    front = Front(tmp_path).start()
    with front.connect() as client:
        client.command("CREATE DATABASE lasting")
        client.command("CREATE TABLE lasting.t (a Int8) ENGINE = MergeTree ORDER BY a")
        client.command("INSERT INTO lasting.t VALUES (1), (2)")
    assert front.stop() == 0
    front.start()
    with front.connect(database="lasting") as client:
        assert client.command("SELECT sum(a) FROM t") == 3
    front.kill()
