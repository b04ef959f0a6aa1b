"""Every golden example of an event through every Python consumer; the Java one is in the next file."""

from __future__ import annotations

import pytest

from schemas import Example
from schemas.event_lines import BadLineError
from tests.builders import BEGINNING, DAY, RULES, decode
from tests.schemas.event_examples import (
    DEFINITION,
    EVENT_EXAMPLES,
    RECORDS,
    REFUSED_BY_PUBLISH,
    event_in,
    record_of,
)
from udfs.attribution.reference import attribute


@pytest.mark.parametrize("example", EVENT_EXAMPLES, ids=str)
def test_an_example_says_what_must_become_of_it(example: Example) -> None:
    content = example.content
    assert content["about"]
    assert ("line" in content) != ("bytes" in content)
    if example.is_good:
        assert not {"refused_by", "because"} & content.keys()
    else:
        assert content["refused_by"] in ("publish", "attribution")
        assert content["because"]


@pytest.mark.parametrize("example", REFUSED_BY_PUBLISH, ids=str)
def test_a_line_no_record_can_be_made_of_is_refused_with_its_field(example: Example) -> None:
    with pytest.raises(BadLineError) as refusal:
        event_in(example)
    assert str(refusal.value).startswith(example.content["because"])


@pytest.mark.parametrize("example", [each for each in RECORDS if "line" in each.content], ids=str)
def test_an_event_is_the_same_after_the_wire(example: Example) -> None:
    written, event = record_of(example), event_in(example)
    assert decode(type(event), written.value) == event


@pytest.mark.parametrize("example", RECORDS, ids=str)
def test_the_reference_refuses_a_bad_record_for_its_reason_and_no_other(example: Example) -> None:
    in_the_end = BEGINNING + 100 * DAY
    rejected = attribute([record_of(example).received], [DEFINITION.read()], RULES, in_the_end).rejected
    expected = [] if example.is_good else [example.content["because"]]
    assert [refusal.reason.value for refusal in rejected] == expected
