"""Every golden example of events and definitions through the Java code that reads them in the job."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from schemas import Example, examples
from tests.builders import RULES, Log, Published, an_assignment
from tests.parity.replay import Engine, EngineError, running_engine
from tests.schemas.event_examples import DEFINITION, RECORDS, record_of
from udfs.attribution.reference import attribute

pytestmark = pytest.mark.jvm


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with running_engine() as running:
        yield running


@pytest.mark.parametrize("example", RECORDS, ids=str)
def test_the_engine_makes_of_an_event_what_the_reference_does(example: Example, engine: Engine) -> None:
    written = record_of(example)
    expected = attribute([written.received], [DEFINITION.read()], RULES)
    assert engine.attribute([DEFINITION, written], RULES) == expected
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
