"""Refused records are sent again as they were, each once, and nobody forgets that they were."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from config.settings import Settings
from infra.broker import Broker, BrokerError
from infra.rejected import (
    REPLAY_HEADER,
    REPLAYED_UNASKED,
    Position,
    Replays,
    Selection,
    is_cut,
    plan_replay,
    read_replays,
    replay,
)
from schemas.events import RejectedRecord
from tests.builders import BEGINNING
from tests.infra import kafka_process
from udfs.attribution.reference import Reason

TOPIC = "livelift.acme.outcomes"


def refused(offset: int = 5, **changes: Any) -> RejectedRecord:
    ordinary = {
        "tenant_id": "acme",
        "reason": "from_future",
        "detail": "an hour ahead",
        "topic": TOPIC,
        "partition": 0,
        "offset": offset,
        "append_time": BEGINNING,
        "record_key": b"ann",
        "record_value": b"bytes",
    }
    return RejectedRecord(**(ordinary | changes))


@pytest.mark.parametrize(
    ("selection", "is_meant"),
    [
        (Selection(), True),
        (Selection("acme", ("from_future", "unreadable"), BEGINNING, BEGINNING + 1), True),
        (Selection("globex"), False),
        (Selection(reasons=("unreadable",)), False),
        (Selection(since_ms=BEGINNING + 1), False),
        (Selection(until_ms=BEGINNING), False),
    ],
)
def test_records_are_selected_by_tenant_reason_and_append_time(selection: Selection, is_meant: bool) -> None:
    assert (refused() in selection) == is_meant


def test_all_but_duplicates_are_sent_again_unasked() -> None:
    assert set(Reason) - REPLAYED_UNASKED == {Reason.DUPLICATE}


def test_a_record_that_was_sent_again_is_not_sent_twice() -> None:
    copy = refused(9)
    replays = Replays({Position(TOPIC, 0, 5): Position(TOPIC, 0, 9)})
    records = [refused(5), refused(6), copy]
    plan = plan_replay(records, replays)
    assert plan == ([records[1]], [records[0]], [copy], [])


def test_a_copy_that_was_refused_is_sent_once_more_when_asked() -> None:
    first = {Position(TOPIC, 0, 5): Position(TOPIC, 0, 9)}
    assert plan_replay([refused(5), refused(9)], Replays(first), again=True).sent == [refused(9)]
    second = first | {Position(TOPIC, 0, 9): Position(TOPIC, 0, 12)}
    records = [refused(5), refused(9), refused(12)]
    assert plan_replay(records, Replays(second), again=True).sent == [refused(12)]


def test_a_record_of_which_only_the_beginning_was_kept_is_not_sent() -> None:
    detail = "no record (the first 5 of 1000000 bytes are kept)"
    cut = refused(detail=detail)
    assert is_cut(cut)
    assert plan_replay([cut], Replays()).cut == [cut]
    assert not is_cut(refused(detail=detail, record_value=b"other bytes"))
    assert not is_cut(refused(detail=None, record_value=None))


def test_a_position_is_the_same_after_it_was_text() -> None:
    position = Position(TOPIC, 1, 12_345_678_901)
    assert str(position) == "livelift.acme.outcomes/1/12345678901"
    assert Position.parse(str(position)) == position


# ------------------------------------------------------------------------------------- with a real broker


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with kafka_process.running_broker(tmp_path_factory.mktemp("kafka") / "run") as settings:
        kafka_process.create(settings, TOPIC, **{"message.timestamp.type": "LogAppendTime"})
        yield settings


def messages(settings: Settings) -> list[tuple[bytes | None, bytes | None, Any]]:
    return [(each.key(), each.value(), each.headers()) for each in Broker(settings).read_to_end([TOPIC])]


@pytest.mark.jvm
def test_copies_have_the_key_and_the_bytes_and_say_what_they_are_copies_of(settings: Settings) -> None:
    assert read_replays(settings) == Replays()
    kafka_process.append(settings, TOPIC, [BEGINNING] * 3)
    records = [refused(0), refused(1, record_value=None), refused(2, record_key=None, record_value=b"")]
    progress: list[tuple[int, int]] = []
    replay(settings, records, lambda done, total: progress.append((done, total)))
    assert messages(settings)[3:] == [
        (b"ann", b"bytes", [(REPLAY_HEADER, b"livelift.acme.outcomes/0/0")]),
        (b"ann", None, [(REPLAY_HEADER, b"livelift.acme.outcomes/0/1")]),
        (None, b"", [(REPLAY_HEADER, b"livelift.acme.outcomes/0/2")]),
    ]
    assert progress == [(3, 3)]
    replays = read_replays(settings)
    assert replays.copies == {Position(TOPIC, 0, n): Position(TOPIC, 0, n + 3) for n in range(3)}
    assert plan_replay(records, replays).sent == []


@pytest.mark.jvm
def test_what_was_sent_before_a_failure_is_known(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.rejected.SENT_AT_A_TIME", 2)
    too_large = refused(103, record_value=bytes(2_000_000))
    with pytest.raises(BrokerError, match="large"):
        replay(settings, [refused(100), refused(101), refused(102), too_large, refused(104)])
    known = {position.offset for position in read_replays(settings).copies}
    assert known >= {100, 101, 102}
    assert not known & {103, 104}
