"""A decision on its way to a receiver who fails first: signed, tried again, delivered once he takes it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest

from config.settings import Webhook
from infra.webhook import Deliverer, request, signature
from schemas import examples

SECRET = "a shared secret"
BODY = json.dumps(examples("decision")[0].content["decision"]).encode()
ID = "stop-0123456789abcdef0123"


@dataclass
class Receiver:
    """A real HTTP server that answers as told, then with 204."""

    answers: list[int]
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@contextmanager
def receiving(*answers: int) -> Iterator[Receiver]:
    receiver = Receiver(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append(({name.lower(): text for name, text in self.headers.items()}, body))
            self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/decisions"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Unhurried(Event):
    """Remembers the pauses instead of making them; is set after so many."""

    def __init__(self, patience: int = 1000) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self._patience = patience

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout or 0.0)
        if len(self.pauses) >= self._patience:
            self.set()
        return self.is_set()


@pytest.mark.processes
def test_a_receiver_who_fails_first_gets_the_decision_when_he_is_well() -> None:
    said: list[str] = []
    with receiving(500, 429, 403) as receiver:
        stop = Unhurried()
        deliverer = Deliverer(Webhook(receiver.url, SECRET), said.append, stop, now_s=lambda: 1_700_000_000.9)
        assert deliverer.deliver(ID, BODY)
        deliverer.close()
    assert stop.pauses == [1.0, 2.0, 4.0]
    assert [body for _, body in receiver.got] == [BODY] * 4
    assert {headers["idempotency-key"] for headers, _ in receiver.got} == {ID}
    assert [line.split(";")[0] for line in said] == [
        f"{ID} not delivered: {receiver.url} answered 500",
        f"{ID} not delivered: {receiver.url} answered 429",
        f"{ID} not delivered: {receiver.url} answered 403",
        f"{ID} delivered",
    ]


@pytest.mark.processes
def test_what_arrives_can_be_checked_with_the_secret_alone() -> None:
    with receiving() as receiver:
        deliverer = Deliverer(Webhook(receiver.url, SECRET), lambda _: None, Event())
        deliverer.deliver(ID, BODY)
        deliverer.close()
    ((headers, body),) = receiver.got
    signed = headers["livelift-timestamp"].encode() + b"." + body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["livelift-signature"] == f"sha256={expected}"
    assert headers["content-type"] == "application/json"
    assert SECRET not in str(headers)


@pytest.mark.processes
def test_nobody_at_the_address_is_waited_for_until_it_is_stopped() -> None:
    with receiving() as receiver:
        url = receiver.url
    said: list[str] = []
    stop = Unhurried(patience=9)
    deliverer = Deliverer(Webhook(url, SECRET), said.append, stop)
    assert not deliverer.deliver(ID, BODY)
    deliverer.close()
    assert stop.pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert all("ConnectError" in line for line in said)


def test_another_moment_or_body_or_secret_is_another_signature() -> None:
    first = signature(SECRET, 1, BODY)
    assert first == signature(SECRET, 1, BODY)
    assert len({first, signature(SECRET, 2, BODY), signature(SECRET, 1, b""), signature("x", 1, BODY)}) == 4


def test_the_body_is_the_record_of_the_topic() -> None:
    made = request(Webhook("http://localhost/", SECRET), ID, BODY, 1.0)
    assert made.content == BODY
