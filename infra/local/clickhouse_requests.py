"""What an HTTP request to ClickHouse carries: a body in pieces, often compressed; form fields; settings."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from email.parser import BytesParser
from io import BufferedIOBase
from typing import Any

import lz4.frame
import zstandard

from infra.local.clickhouse_statements import NOT_IMPLEMENTED, RefusedError, utf8

INFLATE_FAILED = (354, "INFLATE_FAILED")
PIECE_BYTES = 1 << 20
HEAD_BYTES = 1 << 16

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


def body(source: BufferedIOBase, headers: Message) -> Iterator[bytes]:
    """The bytes of a request as they arrive.

    Raises:
        ConnectionError: The client stopped half way, or does not speak HTTP.
    """
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        while size := _number(source.readline().split(b";")[0], 16):
            yield _exactly(source, size)
            source.readline()
        while source.readline().strip():
            pass
        return
    left = _number(headers.get("Content-Length", "0"), 10)
    while left:
        piece = _exactly(source, min(left, PIECE_BYTES))
        left -= len(piece)
        yield piece


def decompressed(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Undo ``Content-Encoding``; clients send one complete frame per block, so frames follow one another.

    Raises:
        RefusedError: The encoding is unknown, or a frame is broken or cut off.
    """
    if encoding not in _DECODERS:
        raise RefusedError(NOT_IMPLEMENTED, f"Unknown compression method: {encoding}")
    decoder = _DECODERS[encoding]()
    for piece in pieces:
        rest = piece
        while rest:
            if decoder.eof:
                decoder = _DECODERS[encoding]()
            try:
                block = decoder.decompress(rest)
            except (RuntimeError, zlib.error, zstandard.ZstdError) as error:
                raise RefusedError(INFLATE_FAILED, f"Cannot decompress {encoding}: {error}") from error
            yield block
            rest = (decoder.unused_data or b"") if decoder.eof else b""
    if not decoder.eof:
        raise RefusedError(INFLATE_FAILED, f"Cannot decompress {encoding}: the last frame is cut off")


def form(headers: Message, content: bytes) -> dict[str, str]:
    """The fields of a multipart form; RefusedError when a file, that is an external table, is among them."""
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


def settings(query: Mapping[str, str]) -> dict[str, str]:
    """The settings among the parameters of a request; RefusedError for what the front lacks."""
    for name in sorted(_NOT_HERE & query.keys()):
        if query[name] not in ("", "0"):
            raise RefusedError(NOT_IMPLEMENTED, f"The parameter {name} is not supported here")
    other = _INTERFACE | _NOT_HERE
    return {name: v for name, v in query.items() if name not in other and not name.startswith("param_")}


def parameters(query: Mapping[str, str]) -> dict[str, str]:
    """The values of ``{name:Type}`` among the parameters of a request."""
    return {name.removeprefix("param_"): v for name, v in query.items() if name.startswith("param_")}


def statement_head(query: bytes, pieces: Iterator[bytes]) -> bytes:
    """Enough of the statement to know its kind: the ``query`` parameter, then the first bytes of the body."""
    text = query + b"\n" if query else b""
    start = len(text)
    while len(text) - start < HEAD_BYTES and (piece := next(pieces, None)) is not None:
        text += piece
    return text


def _number(text: str | bytes, base: int) -> int:
    try:
        return int(text, base)
    except ValueError:
        raise ConnectionAbortedError("the request ended early or is not HTTP") from None


def _exactly(source: BufferedIOBase, size: int) -> bytes:
    piece = source.read(size) if size > 0 else b""
    if len(piece) != size:
        raise ConnectionAbortedError("the request ended early")
    return piece
