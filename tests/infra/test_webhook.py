"""A decision on its way to a receiver who fails first, or who will never have it: taken, or passed over."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest

from config.settings import Webhook, load
from infra.webhook import MOST_REFUSALS, Delivered, Deliverer, Fate, notify, request, signature
from jobs.wiring.kafka import DECISIONS_TOPIC
from schemas import examples

SECRET = "a shared secret"
BODY = json.dumps(examples("decision")[0].content["decision"]).encode()
ID = "stop-0123456789abcdef0123"


@dataclass
class Receiver:
    """A real HTTP server that answers as told, then with 204; some ids it refuses for ever."""

    answers: list[int]
    refused: dict[str, int] = field(default_factory=dict)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@contextmanager
def receiving(*answers: int) -> Iterator[Receiver]:
    receiver = Receiver(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append(({name.lower(): text for name, text in self.headers.items()}, body))
            answer = receiver.refused.get(self.headers["Idempotency-Key"])
            reason = b"" if answer is None else b"no such\nexperiment"
            self.send_response(answer or (receiver.answers.pop(0) if receiver.answers else 204))
            self.send_header("Content-Length", str(len(reason)))
            self.end_headers()
            self.wfile.write(reason)

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
        assert deliverer.deliver(ID, BODY) is Fate.TAKEN
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
    assert deliverer.deliver(ID, BODY) is Fate.STOPPED
    deliverer.close()
    assert stop.pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert all("ConnectError" in line for line in said)


@pytest.mark.processes
@pytest.mark.parametrize("answer", [400, 404, 410, 413, 422])
def test_a_decision_that_is_refused_for_ever_is_passed_over_aloud(answer: int) -> None:
    said: list[str] = []
    stop = Unhurried()
    with receiving() as receiver:
        receiver.refused[ID] = answer
        deliverer = Deliverer(Webhook(receiver.url, SECRET), said.append, stop)
        assert deliverer.deliver(ID, BODY) is Fate.PASSED_OVER
        deliverer.close()
    assert len(receiver.got) == MOST_REFUSALS
    assert 5 * 60 < sum(stop.pauses) < 15 * 60, "a receiver may be in the middle of an update"
    refused = f"{receiver.url} answered {answer} (no such experiment)"
    assert said[0] == f"{ID} not delivered: {refused}; next attempt in 1 s"
    stays = "it stays in `livelift decisions`"
    assert said[-1] == f"{ID} PASSED OVER, refused 15 times: {refused}; {stays}"


@pytest.mark.processes
@pytest.mark.parametrize("answer", [301, 401, 403, 408, 425, 429, 500, 503])
def test_what_concerns_every_decision_is_waited_for_however_long(answer: int) -> None:
    stop = Unhurried(patience=2 * MOST_REFUSALS)
    with receiving(*[answer] * 2 * MOST_REFUSALS) as receiver:
        deliverer = Deliverer(Webhook(receiver.url, SECRET), lambda _: None, stop)
        assert deliverer.deliver(ID, BODY) is Fate.STOPPED
        deliverer.close()


@pytest.mark.processes
def test_only_refusals_count_as_such() -> None:
    """A receiver who is updated again and again while he is also wrong has not refused 15 times."""
    with receiving(*[503] * 20, *[404] * (MOST_REFUSALS - 1)) as receiver:
        deliverer = Deliverer(Webhook(receiver.url, SECRET), lambda _: None, Unhurried())
        assert deliverer.deliver(ID, BODY) is Fate.TAKEN
        deliverer.close()


class Topic:
    """In place of a consumer: these records, then nothing more, and what was committed of them."""

    def __init__(self, ids: Sequence[str], stop: Event) -> None:
        self._left = [Record(each) for each in ids]
        self._stop = stop
        self.committed: list[str] = []

    def subscribe(self, topics: list[str]) -> None:
        assert topics == [DECISIONS_TOPIC]

    def poll(self, _: float) -> Record | None:
        if not self._left:
            self._stop.set()
            return None
        return self._left.pop(0)

    def commit(self, *, message: Record, asynchronous: bool) -> None:
        assert not asynchronous
        self.committed.append(message.key().decode())

    def close(self) -> None:
        return


@dataclass(frozen=True)
class Record:
    """A record of the decisions topic."""

    decision_id: str

    def key(self) -> bytes:
        return self.decision_id.encode()

    def value(self) -> bytes:
        return BODY

    def error(self) -> None:
        return


def notified(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver, ids: Sequence[str], stop: Event
) -> tuple[Delivered, list[str]]:
    """What became of the decisions, and which are noted as done with."""
    topic = Topic(ids, stop)
    monkeypatch.setattr("infra.webhook.Consumer", lambda _: topic)
    settings = replace(load(environ={}), webhook=Webhook(receiver.url, SECRET))
    return notify(settings, stop, lambda _: None), topic.committed


@pytest.mark.processes
def test_decisions_behind_one_that_is_refused_are_delivered_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = ["stop-1", "stop-2", "ship-3", "stop-4"]
    with receiving() as receiver:
        receiver.refused["stop-2"] = 422
        delivered, committed = notified(monkeypatch, receiver, ids, Unhurried())
    assert delivered == Delivered(taken=3, passed_over=["stop-2"])
    assert [headers["idempotency-key"] for headers, _ in receiver.got] == [
        *("stop-1", *["stop-2"] * MOST_REFUSALS, "ship-3", "stop-4")
    ]
    assert committed == ids


@pytest.mark.processes
def test_a_decision_that_was_on_its_way_when_it_was_stopped_is_not_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiving() as receiver:
        receiver.refused["stop-2"] = 422
        stop = Unhurried(patience=MOST_REFUSALS - 1)
        delivered, committed = notified(monkeypatch, receiver, ["stop-1", "stop-2", "stop-3"], stop)
    assert (delivered, committed) == (Delivered(taken=1), ["stop-1"])


def test_another_moment_or_body_or_secret_is_another_signature() -> None:
    first = signature(SECRET, 1, BODY)
    assert first == signature(SECRET, 1, BODY)
    assert len({first, signature(SECRET, 2, BODY), signature(SECRET, 1, b""), signature("x", 1, BODY)}) == 4


def test_the_body_is_the_record_of_the_topic() -> None:
    made = request(Webhook("http://localhost/", SECRET), ID, BODY, 1.0)
    assert made.content == BODY
