"""ClickHouse's HTTP interface on the loopback of one machine, in front of the real engine.

It speaks what ``clickhouse-connect`` speaks, to one user: the operator. One process owns one data folder;
what it has acknowledged is on disk and survives ``kill -9`` of the process. It has no sessions, no roles and
no external tables, and says so to a request that asks for them; answers are never compressed.

``python -m infra.local.clickhouse_front`` takes everything from the settings; options can say otherwise.
"""

from __future__ import annotations

import argparse
import fcntl
import hmac
import json
import os
import secrets
import signal
import sys
import threading
import uuid
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from config.settings import SettingsError, load, port_of
from infra.local import clickhouse_requests as requests
from infra.local.clickhouse_engine import STREAMED_FORMATS, Answer, Engine, Options
from infra.local.clickhouse_statements import RefusedError, split_insert, utf8

AUTHENTICATION_FAILED = (516, "AUTHENTICATION_FAILED")
BUFFER_BYTES = 1 << 20
DRAIN_SECONDS = 10

_HTTP_STATUS = {62: 400, 46: 404, 47: 404, 60: 404, 81: 404, 497: 403, 516: 403, 48: 501}


class Front(ThreadingHTTPServer):
    """The listening socket, the engine and the one credential."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, engine: Engine, user: str, password: str) -> None:
        self.engine = engine
        self.credential = (user.encode(), password.encode())
        self._working = 0
        self._idle = threading.Condition()
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self) -> None:
        """Bind without the name look-up of HTTPServer, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.socket.getsockname()[1]

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count one request as being worked on."""
        with self._idle:
            self._working += 1
        try:
            yield
        finally:
            with self._idle:
                self._working -= 1
                self._idle.notify_all()

    def wait_idle(self, seconds: float) -> bool:
        """Wait until no request is being worked on; False when some still is."""
        with self._idle:
            return self._idle.wait_for(lambda: self._working == 0, seconds)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent about clients that went away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One client connection; its requests come one after the other."""

    protocol_version = "HTTP/1.1"
    # Without these two every small answer waits 40 ms for the client's delayed acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server: Front

    def do_GET(self) -> None:
        """``/ping`` for everyone; a read-only statement for the operator."""
        if urlsplit(self.path).path == "/ping":
            self._send(200, {"Content-Type": "text/plain; charset=UTF-8"}, b"Ok.\n")
        else:
            self._serve(read_only=True)

    def do_POST(self) -> None:
        """Any statement."""
        self._serve(read_only=False)

    def _serve(self, *, read_only: bool) -> None:
        body = requests.body(self.rfile, self.headers)
        with self.server.working():
            try:
                self._answer(body, read_only=read_only)
            except RefusedError as error:
                # The rest of the request is read first: a client still sending would never see the answer.
                for _ in body:
                    pass
                self._refuse(error)
            # Before the request counts as done: a stopping process waits for no unsent answer.
            self.wfile.flush()

    def _answer(self, body: Iterator[bytes], *, read_only: bool) -> None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        self._authenticate(query)
        if url.path != "/":
            raise RefusedError((0, "NOT_FOUND"), f"There is no handle {url.path}")
        encoding = self.headers.get("Content-Encoding", "")
        pieces = requests.decompressed(body, encoding) if encoding else body
        if self.headers.get_content_maintype() == "multipart":
            query |= requests.form(self.headers, b"".join(pieces))
            pieces = iter(())
        self.query_id = _printable(query.get("query_id", "")) or str(uuid.uuid4())
        options = Options(
            database=query.get("database", self.headers.get("X-ClickHouse-Database", "")),
            settings=requests.settings(query),
            parameters=requests.parameters(query),
            read_only=read_only,
        )
        text = requests.statement_head(query.get("query", "").encode(), pieces)
        engine = self.server.engine
        if insert := split_insert(text):
            self._send_answer(engine.insert(insert, pieces, options), None)
            return
        statement = engine.parse(utf8(text + b"".join(pieces)))
        asked = query.get("default_format", self.headers.get("X-ClickHouse-Format", "TabSeparated"))
        output = statement.format or asked
        streamed = (
            statement.is_select and output in STREAMED_FORMATS and query.get("wait_end_of_query") != "1"
        )
        answer = engine.run(statement, options, output, streamed=streamed)
        self._send_answer(answer, output if statement.has_rows else None)

    def _authenticate(self, query: Mapping[str, str]) -> None:
        """Raise 516 unless the operator's name and password are there, in any way ClickHouse accepts them."""
        user, password = self.headers.get("X-ClickHouse-User"), self.headers.get("X-ClickHouse-Key", "")
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if user is None and scheme.lower() == "basic":
            try:
                user, _, password = b64decode(token).decode().partition(":")
            except ValueError:
                user = None
        if user is None:
            user, password = query.get("user", "default"), query.get("password", "")
        expected_user, expected_password = self.server.credential
        known = hmac.compare_digest(user.encode(), expected_user)
        if not hmac.compare_digest(password.encode(), expected_password) or not known:
            raise RefusedError(
                AUTHENTICATION_FAILED,
                f"{user}: Authentication failed: password is incorrect, or there is no user with such name.",
            )

    def _send_answer(self, answer: Answer, output: str | None) -> None:
        """Send the answer whole if it is small; a larger one, whose end is not known yet, block by block.

        So an error in the first megabyte is still an ordinary refusal. A later one is written the way the
        client looks for it, and the response is left without its end: nobody can take it for complete.
        """
        headers = self._headers(output)
        headers["X-ClickHouse-Summary"] = json.dumps({k: str(v) for k, v in answer.summary.items()})
        head, size = [], 0
        for piece in answer.pieces:
            head.append(piece)
            if (size := size + len(piece)) > BUFFER_BYTES:
                break
        else:
            self._send(200, headers, b"".join(head))
            return
        tag = secrets.token_hex(8)
        self._start(200, {**headers, "Transfer-Encoding": "chunked", "X-ClickHouse-Exception-Tag": tag})
        try:
            for piece in chain(head, answer.pieces):
                self._chunk(piece)
        except RefusedError as error:
            text = self._message(error)
            block = f"\r\n__exception__\r\n{tag}\r\n{text}{len(text)} {tag}\r\n__exception__\r\n"
            self._chunk(block.encode())
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, piece: bytes) -> None:
        if piece:
            self.wfile.write(b"%x\r\n" % len(piece))
            self.wfile.write(piece)
            self.wfile.write(b"\r\n")

    def _refuse(self, error: RefusedError) -> None:
        headers = {
            "Content-Type": "text/plain; charset=UTF-8",
            "X-ClickHouse-Exception-Code": str(error.code),
        }
        status = 404 if error.code == 0 else _HTTP_STATUS.get(error.code, 500)
        self._send(status, headers, self._message(error).encode())

    def _message(self, error: RefusedError) -> str:
        version = self.server.engine.version
        return f"Code: {error.code}. DB::Exception: {error} ({error.name}) (version {version})\n"

    def _headers(self, output: str | None) -> dict[str, str]:
        headers = {
            "Content-Type": "text/plain; charset=UTF-8",
            "X-ClickHouse-Query-Id": self.query_id,
            "X-ClickHouse-Timezone": self.server.engine.timezone,
        }
        if output:
            headers["X-ClickHouse-Format"] = output
        return headers

    def _send(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self._start(status, {**headers, "Content-Length": str(len(content))})
        self.wfile.write(content)

    def _start(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Requests are not logged: statements may carry data."""


def _printable(text: str) -> str:
    """What of a text can stand in a header."""
    return "".join(letter for letter in text if letter.isascii() and letter.isprintable())


def _own(data: Path) -> None:
    """Own the data folder for as long as this process lives."""
    data.mkdir(parents=True, exist_ok=True)
    handle = os.open(data / "front.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"clickhouse front: {data} is in use by another process")


def _arguments() -> argparse.Namespace:
    settings = load()
    clickhouse = settings.clickhouse
    parser = argparse.ArgumentParser(prog="clickhouse_front", description="Defaults come from the settings.")
    parser.add_argument("--data", type=Path, default=settings.run_dir / "clickhouse", help="folder to own")
    parser.add_argument(
        "--port", type=int, default=port_of(clickhouse.url), help="on 127.0.0.1; 0: a free one"
    )
    parser.add_argument("--user", default=clickhouse.user)
    parser.add_argument("--database", default=clickhouse.database, help="for requests that name none")
    parser.add_argument("--password-file", type=Path, help="holds the operator's password")
    parser.add_argument("--memory-mb", type=int, default=2048, help="bound for all queries together")
    arguments = parser.parse_args()
    arguments.password = clickhouse.password
    if arguments.password_file:
        arguments.password = arguments.password_file.read_text(encoding="utf-8").strip()
    if not arguments.password:
        raise SettingsError("the operator needs a password: set clickhouse.password_file or --password-file")
    return arguments


def main() -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests being worked on."""
    try:
        arguments = _arguments()
    except SettingsError as error:
        sys.exit(f"clickhouse front: {error}")
    except OSError as error:
        sys.exit(f"clickhouse front: {error.filename}: {error.strerror}")
    data = arguments.data.resolve()
    _own(data)
    # The engine would obey a config.xml of the working directory.
    os.chdir(data)
    try:
        engine = Engine(data, arguments.database, arguments.memory_mb)
        front = Front(arguments.port, engine, arguments.user, arguments.password)
    except RefusedError as error:
        sys.exit(f"clickhouse front: {data}: {error}")
    except OSError as error:
        sys.exit(f"clickhouse front: 127.0.0.1:{arguments.port}: {error.strerror}")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=front.shutdown).start())
    print(
        f"clickhouse front: ready on http://127.0.0.1:{front.server_port}, engine {engine.version}",
        flush=True,
    )
    front.serve_forever(poll_interval=0.1)
    front.server_close()
    finished = front.wait_idle(DRAIN_SECONDS)
    if finished:
        engine.close()
    print("clickhouse front: stopped" + ("" if finished else ", with requests cut off"), flush=True)
    # Threads of idle connections and of the engine must not delay or crash the exit.
    os._exit(0)


if __name__ == "__main__":
    main()
