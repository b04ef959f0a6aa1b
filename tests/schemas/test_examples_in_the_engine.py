"""Every golden example of events and definitions through the Java code that reads them in the job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from schemas import Example, examples
from tests.builders import (
    BEGINNING,
    DAY,
    ONE_HOUR_LATER,
    RULES,
    Log,
    Published,
    an_assignment,
    an_outcome,
    encode,
)
from tests.parity.replay import Engine, EngineError, running_engine
from tests.schemas.event_examples import DEFINITION, RECORDS, record_of
from udfs.attribution.reference import Reason, attribute

pytestmark = pytest.mark.jvm


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with running_engine() as running:
        yield running


@pytest.mark.parametrize("example", RECORDS, ids=str)
def test_the_engine_makes_of_an_event_what_the_reference_does(example: Example, engine: Engine) -> None:
    written = record_of(example)
    in_the_end = BEGINNING + 100 * DAY
    expected = attribute([written.received], [DEFINITION.read()], RULES, in_the_end)
    assert engine.attribute([DEFINITION, written], RULES, end_at=in_the_end) == expected
    reasons = [] if example.is_good else [example.content["because"]]
    assert [refusal.reason.value for refusal in expected.rejected] == reasons


@pytest.mark.parametrize("example", examples("published"), ids=str)
def test_the_engine_reads_good_definitions_and_names_what_a_bad_one_lacks(
    example: Example, engine: Engine
) -> None:
    definition = Published(example.content["definition"])
    log = Log()
    log.append(an_assignment(config_version=definition.json["config_version"]))
    if example.is_good:
        expected = attribute([log.records[0].received], [definition.read()], RULES)
        assert expected.slots
        assert engine.attribute([definition, *log.records], RULES) == expected
    else:
        with pytest.raises(EngineError, match="lacks"):
            engine.attribute([definition, *log.records], RULES)


def test_damaged_records_are_judged_alike_whatever_the_damage(engine: Engine) -> None:
    random = Random(20260101)
    log = Log()
    events = [an_assignment(attributes={"country": "DE"}), an_outcome(value=2.5)]
    for number in range(3000):
        event = random.choice(events)
        payload = bytearray(
            encode(replace(event, unit_id=f"unit {number}", event_id="é" * random.randrange(3)))
        )
        for _ in range(random.randrange(1, 4)):
            at = random.randrange(len(payload))
            payload[at : at + random.randrange(2)] = random.randbytes(random.randrange(3))
        log.append_bytes(type(event), bytes(payload), ONE_HOUR_LATER, key=f"unit {number}".encode())
    expected = attribute([written.received for written in log.records], [DEFINITION.read()], RULES)
    assert {refusal.reason for refusal in expected.rejected} >= {Reason.UNREADABLE, Reason.MISMATCH}
    assert expected.slots
    assert engine.attribute([DEFINITION, *log.records], RULES) == expected
