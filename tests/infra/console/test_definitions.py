"""What the console knows of the definitions, and how far it may rely on that being all."""

from __future__ import annotations

from typing import Any

import pytest

from config.settings import load
from infra.broker import BrokerError
from infra.console import definitions
from infra.console.definitions import DefinitionsReader, Known
from tests.waiting import eventually


def test_without_kafka_nothing_is_known_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def nobody(settings: Any) -> Any:
        tried.append(settings)
        raise BrokerError("no broker answers")

    monkeypatch.setattr(definitions, "read_published", nobody)
    monkeypatch.setattr(definitions, "READ_AGAIN_AFTER_S", 0.0)
    reader = DefinitionsReader(load)
    assert reader() == Known()
    eventually(lambda: reader() and len(tried) > 1, "the topic is asked for again")
    assert reader() == Known()


def test_what_was_read_stays_known_but_is_soon_not_called_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definitions, "read_published", lambda _: {})
    reader = DefinitionsReader(load)
    assert not reader().was_read
    eventually(lambda: reader().is_complete, "the definitions are read")
    monkeypatch.setattr(definitions, "COMPLETE_FOR_S", 0.0)
    assert reader() == Known({}, was_read=True, is_complete=False)
