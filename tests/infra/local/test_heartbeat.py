"""The heartbeat says when its beats begin to be lost and when they arrive again, each time once."""

from __future__ import annotations

import logging
from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError

from infra.heartbeat import Arrivals


def test_losses_and_their_end_are_each_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    lost, arrived, message = KafkaError(KafkaError._MSG_TIMED_OUT), None, Mock()
    arrivals = Arrivals()
    with caplog.at_level(logging.WARNING, "livelift.heartbeat"):
        for outcome in (arrived, lost, lost, arrived, arrived, lost):
            arrivals(outcome, message)
    begin = f"heartbeats do not arrive: {lost.str()}"
    assert caplog.messages == [begin, "heartbeats arrive again", begin]
