"""Golden examples of events as records of a tenant's topics, and what must become of them."""

from __future__ import annotations

from typing import Any

from schemas import Example, examples
from schemas.event_lines import event_of
from schemas.events import EventKind
from tests.builders import BEGINNING, Log, Published, Written, a_definition, a_metric
from udfs.attribution.reference import Assignment, Outcome

EVENTS: dict[str, EventKind] = {"assignment": EventKind.ASSIGNMENTS, "outcome": EventKind.OUTCOMES}

DEFINITION = Published(a_definition(a_metric(source="purchase")))
"""What the examples are attributed with."""

EVENT_EXAMPLES = [example for name in EVENTS for example in examples(name)]
REFUSED_BY_PUBLISH = [each for each in EVENT_EXAMPLES if each.content.get("refused_by") == "publish"]
RECORDS = [each for each in EVENT_EXAMPLES if each not in REFUSED_BY_PUBLISH]


def kind_of(example: Example) -> EventKind:
    return EVENTS[example.schema]


def event_in(example: Example) -> Assignment | Outcome:
    """The event of an example that is given as a line."""
    return event_of(kind_of(example), example.content["line"])


def record_of(example: Example) -> Written:
    """The example as a record of acme's topic (or the tenant's it names), a second after it happened."""
    content: dict[str, Any] = example.content
    log = Log(content.get("topic_tenant", "acme"))
    given_key = content.get("key")
    key = None if given_key is None else given_key.encode()
    if "line" in content:
        event = event_in(example)
        log.append(event, content.get("append_time", event.happened_at + 1000), key=key)
    else:
        kind = Assignment if kind_of(example) is EventKind.ASSIGNMENTS else Outcome
        given = content["bytes"]
        value = None if given is None else bytes.fromhex(given)
        log.append_bytes(kind, value, BEGINNING + 1000, key=key or b"user-1")
    return log.records[0]
