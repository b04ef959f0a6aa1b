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
import socket
import sys
import threading
import uuid
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import lz4.frame
import zstandard

from config.settings import SettingsError, load, port_of
from infra.local.clickhouse_engine import STREAMED_FORMATS, Answer, Engine, Options
from infra.local.clickhouse_statements import NOT_IMPLEMENTED, RefusedError, split_insert, utf8

AUTHENTICATION_FAILED = (516, "AUTHENTICATION_FAILED")
HEAD_BYTES = 1 << 16
PIECE_BYTES = 1 << 20
DRAIN_SECONDS = 10

_HTTP_STATUS = {62: 400, 46: 404, 47: 404, 60: 404, 81: 404, 497: 403, 516: 403, 48: 501}
_DECODERS: dict[str, Callable[[], Any]] = {
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    "gzip": lambda: zlib.decompressobj(31),
    "deflate": lambda: zlib.decompressobj(15),
}
# Parameters of the interface itself; every other one is a setting of the query.
_INTERFACE = {
    "query", "database", "default_format", "user", "password", "query_id", "quota_key", "buffer_size",
    "client_protocol_version", "session_id", "session_timeout", "session_check", "wait_end_of_query",
}  # fmt: skip
_NOT_HERE = {"role", "compress", "decompress"}


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
        self.allow_reuse_address = True
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

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
        body = _body(self.rfile, self.headers)
        with self.server.working():
            try:
                self._answer(body, read_only=read_only)
            except RefusedError as error:
                # The rest of the request is read first: a client still sending would never see the answer.
                for _ in body:
                    pass
                self._refuse(error)

    def _answer(self, body: Iterator[bytes], *, read_only: bool) -> None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        self._authenticate(query)
        if url.path != "/":
            raise RefusedError((0, "NOT_FOUND"), f"There is no handle {url.path}")
        encoding = self.headers.get("Content-Encoding", "")
        pieces = _decompressed(body, encoding) if encoding else body
        if self.headers.get_content_maintype() == "multipart":
            query |= _form(self.headers, b"".join(pieces))
            pieces = iter(())
        self.query_id = query.get("query_id") or str(uuid.uuid4())
        options = Options(
            database=query.get("database", self.headers.get("X-ClickHouse-Database", "")),
            settings=_settings(query),
            parameters={k.removeprefix("param_"): v for k, v in query.items() if k.startswith("param_")},
            read_only=read_only,
        )
        text = _head(query.get("query", "").encode(), pieces)
        engine = self.server.engine
        if insert := split_insert(text):
            self._send_whole(engine.insert(insert, pieces, options), None)
            return
        statement = engine.parse(utf8(text + b"".join(pieces)))
        asked = query.get("default_format", self.headers.get("X-ClickHouse-Format", "TabSeparated"))
        output = statement.format or asked
        streamed = (
            statement.is_select and output in STREAMED_FORMATS and query.get("wait_end_of_query") != "1"
        )
        answer = engine.run(statement, options, output, streamed=streamed)
        if streamed:
            self._send_pieces(answer, output)
        else:
            self._send_whole(answer, output if statement.has_rows else None)

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

    def _send_whole(self, answer: Answer, output: str | None) -> None:
        headers = self._headers(output)
        headers["X-ClickHouse-Summary"] = json.dumps({k: str(v) for k, v in answer.summary.items()})
        self._send(200, headers, b"".join(answer.pieces))

    def _send_pieces(self, answer: Answer, output: str) -> None:
        """Send blocks as they come; an error among them is appended the way the client looks for it."""
        tag = secrets.token_hex(8)
        headers = {**self._headers(output), "Transfer-Encoding": "chunked", "X-ClickHouse-Exception-Tag": tag}
        self._start(200, headers)
        try:
            for piece in answer.pieces:
                self._chunk(piece)
        except RefusedError as error:
            message = self._message(error)
            self._chunk(
                f"\r\n__exception__\r\n{tag}\r\n{message}{len(message)} {tag}\r\n__exception__\r\n".encode()
            )
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


def _body(source: BufferedIOBase, headers: Message) -> Iterator[bytes]:
    """The bytes of a request, as they arrive; ConnectionError when the client stops half way."""
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        while size := int(source.readline().split(b";")[0] or b"-1", 16):
            yield _exactly(source, size)
            source.readline()
        while source.readline().strip():
            pass
        return
    left = int(headers.get("Content-Length") or 0)
    while left:
        piece = _exactly(source, min(left, PIECE_BYTES))
        left -= len(piece)
        yield piece


def _exactly(source: BufferedIOBase, size: int) -> bytes:
    piece = source.read(size) if size > 0 else b""
    if len(piece) != size:
        raise ConnectionAbortedError("the request ended early")
    return piece


def _decompressed(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Undo ``Content-Encoding``; clients send one complete frame per block, so frames follow one another."""
    if encoding not in _DECODERS:
        raise RefusedError(NOT_IMPLEMENTED, f"Unknown compression method: {encoding}")
    decoder = _DECODERS[encoding]()
    for piece in pieces:
        rest = piece
        while rest:
            if decoder.eof:
                decoder = _DECODERS[encoding]()
            try:
                yield decoder.decompress(rest)
            except (RuntimeError, zlib.error, zstandard.ZstdError) as error:
                raise RefusedError(
                    (354, "INFLATE_FAILED"), f"Cannot decompress {encoding}: {error}"
                ) from error
            rest = (decoder.unused_data or b"") if decoder.eof else b""
    if not decoder.eof:
        raise RefusedError(
            (354, "INFLATE_FAILED"), f"Cannot decompress {encoding}: the last frame is cut off"
        )


def _form(headers: Message, content: bytes) -> dict[str, str]:
    """The fields of a multipart form."""
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    fields = {}
    for part in BytesParser().parsebytes(head + content).walk():
        name = part.get_param("name", header="Content-Disposition")
        if part.get_filename() is not None:
            raise RefusedError(NOT_IMPLEMENTED, "External tables are not supported here")
        if isinstance(name, str):
            value = part.get_payload(decode=True)
            fields[name] = utf8(value) if isinstance(value, bytes) else ""
    return fields


def _settings(query: Mapping[str, str]) -> dict[str, str]:
    for name in sorted(_NOT_HERE & query.keys()):
        if query[name] not in ("", "0"):
            raise RefusedError(NOT_IMPLEMENTED, f"The parameter {name} is not supported here")
    other = _INTERFACE | _NOT_HERE
    return {name: v for name, v in query.items() if name not in other and not name.startswith("param_")}


def _head(query: bytes, pieces: Iterator[bytes]) -> bytes:
    """Enough of the statement to know its kind: the ``query`` parameter, then the first bytes of the body."""
    text = query + b"\n" if query else b""
    start = len(text)
    while len(text) - start < HEAD_BYTES and (piece := next(pieces, None)) is not None:
        text += piece
    return text


def _lock(data: Path) -> int:
    """Own the data folder for as long as this process lives."""
    data.mkdir(parents=True, exist_ok=True)
    handle = os.open(data / "front.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"clickhouse front: {data} is in use by another process")
    return handle


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
    parser.add_argument("--password-file", type=Path, help="its first line is the operator's password")
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
    _lock(data)
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
