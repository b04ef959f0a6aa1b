"""Lines in the logs of the exporter, the heartbeat and the submission say when they were written."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest

from infra.broker import BrokerError
from infra.local.dated import dated_lines
from infra.observability.exporter import looking

IN_UTC = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    livelift = logging.getLogger("livelift")
    handlers, level, propagate = livelift.handlers, livelift.level, livelift.propagate
    yield
    livelift.handlers, livelift.propagate = handlers, propagate
    livelift.setLevel(level)


def test_every_line_begins_with_the_time_in_utc(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logging.time.time", lambda: 1_700_000_000.0)
    monkeypatch.setattr("logging.time.time_ns", lambda: 1_700_000_000 * 10**9, raising=False)
    dated_lines()
    dated_lines()
    logging.getLogger("livelift.jobs").info("submitting %s", "a-job")
    assert capsys.readouterr().out == "2023-11-14T22:13:20Z submitting a-job\n"


def test_what_does_not_answer_is_logged_with_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    def nobody() -> list[looking.Sample]:
        raise BrokerError("no broker answers")

    dated_lines()
    assert looking._seen(nobody) is None
    assert re.fullmatch(f"{IN_UTC} no broker answers\n", capsys.readouterr().out)
