"""Definitions of experiments: YAML by people, checked, completed, and published once per version.

``read_definitions`` turns files into ``Draft``s or names the file, line and field that is wrong.
``plan`` compares drafts with what is published: a version is immutable, so other content under the same
version is refused and the same content is nothing to do. ``publish`` does the rest.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from config.settings import Settings
from infra.broker import Broker
from infra.producer import Delivery
from infra.schema_check import SchemaError, check_schema
from infra.strict_yaml import Document, YamlError, YamlPath, read_documents, spelled
from infra.topics import create_all, create_tenant
from jobs.wiring.kafka import DEFINITIONS_TOPIC
from schemas import json_schema
from schemas.event_lines import TENANT_ID, BadLineError, epoch_ms
from udfs.attribution.reference import EFFECT_MS

TOPIC = DEFINITIONS_TOPIC
DAY_MS = 86_400_000
LATEST_ENDING_MS = 253_402_300_799_999
"""The last millisecond of the year 9999."""

ADDED_SINCE: dict[str, Any] = {"ship": False}
"""What definitions lack that were published by earlier releases, and means the same."""

Content = dict[str, Any]
"""A definition as on the topic: the YAML's fields, every default filled in."""


class DefinitionError(ValueError):
    """A definition that cannot be published; one line with file, line, field and rule."""


class DefinitionKey(NamedTuple):
    """What a definition is immutable under; its text is the Kafka key."""

    tenant_id: str
    experiment_id: str
    config_version: int

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.experiment_id}/{self.config_version}"


@dataclass(frozen=True, slots=True)
class Limits:
    """The operator's settings a definition must fit."""

    horizon_ms: int
    retention_ms: int

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The limits of a deployment."""
        return cls(settings.attribution.horizon_ms, settings.attribution.retention_ms)


@dataclass(frozen=True, slots=True)
class Draft:
    """A definition that is sound by itself. ``given`` are the names people wrote; the rest are defaults."""

    document: Document
    content: Content
    given: frozenset[str]

    @property
    def key(self) -> DefinitionKey:
        return _key(self.content)


@dataclass(frozen=True, slots=True)
class Published:
    """A definition on the topic and when the broker took it."""

    content: Content
    append_time_ms: int


def read_definitions(paths: Sequence[Path], limits: Limits) -> list[Draft]:
    """Every definition of the files, each sound by itself.

    Raises:
        DefinitionError: The first thing that is wrong, in the order of the files.
    """
    drafts = []
    for path in paths:
        try:
            documents = read_documents(path)
        except YamlError as error:
            raise DefinitionError(str(error)) from error
        if not documents:
            raise DefinitionError(f"{path}: holds no definition")
        drafts += [draft_of(document, limits) for document in documents]
    return drafts


def draft_of(document: Document, limits: Limits) -> Draft:
    """One definition, checked by schema and by meaning, every default filled in.

    Raises:
        DefinitionError: The first thing that is wrong, in the order of its lines.
    """
    try:
        check_schema(document, "definition")
    except SchemaError as error:
        raise DefinitionError(str(error)) from error
    content = _completed(document.content)
    for path, problem in _problems(content, limits):
        raise DefinitionError(f"{document.where(path)}: {problem}")
    return Draft(document, content, frozenset(document.content))


def plan(drafts: Iterable[Draft], published: Mapping[DefinitionKey, Published]) -> list[Draft]:
    """The drafts that are new; those published with the same content are left out.

    ``alpha``, ``stop_alpha`` and ``planned_units`` a later version does not name are taken over.

    Raises:
        DefinitionError: A version exists with other content, alpha or planned_units would change, or an
            experiment that has an end would lose it or end later.
    """
    known = {key: each.content for key, each in published.items()}
    new = []
    for draft in drafts:
        first = _first_version(draft.key, known)
        if first is not None:
            draft = _with_frozen(draft, first)
        existing = known.get(draft.key)
        if existing is None:
            _refuse_a_later_end(draft, known)
            known[draft.key] = draft.content
            new.append(draft)
        elif ADDED_SINCE | existing != draft.content:
            names = ", ".join(_differences(ADDED_SINCE | existing, draft.content))
            newest = max(key.config_version for key in known if key[:2] == draft.key[:2])
            raise DefinitionError(
                f"{draft.document.where(())}: {draft.key} is published with other content ({names} differs); "
                f"a change is a new version: config_version: {newest + 1}"
            )
    return new


def read_published(settings: Settings) -> dict[DefinitionKey, Published]:
    """All definitions on the topic. As in the jobs the first of a key stands; what is none is passed over.

    Raises:
        BrokerError: No broker answers, or there is no such topic.
    """
    published: dict[DefinitionKey, Published] = {}
    for message in Broker(settings).read_to_end([TOPIC]):
        with suppress(ValueError, KeyError, TypeError):  # what is no definition, the jobs pass over, too
            content = json.loads(message.value() or "null")
            published.setdefault(_key(content), Published(content, message.timestamp()[1]))
    return published


def publish(settings: Settings, drafts: Sequence[Draft]) -> list[Draft]:
    """Publishes what is new and returns it; topics that are missing are created first.

    When it returns, an ending is in effect: an assignment published from then on comes after it.

    Raises:
        DefinitionError: As ``plan``; nothing is published then.
        BrokerError: The broker did not take all of them.
    """
    create_all(settings)
    new = plan(drafts, read_published(settings))
    for tenant_id in sorted({draft.key.tenant_id for draft in drafts}):
        create_tenant(settings, tenant_id)
    with Delivery(settings) as delivery:
        for draft in new:
            delivery.send(TOPIC, str(draft.key).encode(), to_json(draft.content))
    delivery.raise_for_failures()
    if any(draft.content["ended_at"] is not None for draft in new):
        time.sleep(EFFECT_MS / 1000)  # from the broker's answer on, so never too early by the broker's clock
    return new


def to_json(content: Content) -> bytes:
    """The bytes on the topic; variants and metrics keep the order people gave them."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


# -------------------------------------------------------------------------------- defaults and versions


def _completed(given: Mapping[str, Any]) -> Content:
    """The definition with every default filled in, and the first variant named as the control."""
    content = _with_defaults(given, json_schema("definition")["properties"])
    content["control"] = next(iter(given["variants"]))
    content.setdefault("stop_alpha", content["alpha"])
    if isinstance(content["ended_at"], str):
        with suppress(BadLineError):  # ``_problems`` finds it again, and knows the place
            content["ended_at"] = epoch_ms(content["ended_at"])
    metric_schema = json_schema("definition")["$defs"]["metric"]["properties"]
    content["metrics"] = [
        {"source": metric["id"]} | _with_defaults(metric, metric_schema) for metric in given["metrics"]
    ]
    return content


def _with_defaults(given: Mapping[str, Any], properties: Mapping[str, Any]) -> Content:
    defaults = {name: schema["default"] for name, schema in properties.items() if "default" in schema}
    return {name: _whole(value, properties[name]) for name, value in (defaults | dict(given)).items()}


def _whole(value: Any, schema: Mapping[str, Any]) -> Any:
    """JSON Schema takes 2.0 for an integer; readers in other languages may not."""
    types = schema.get("type")
    wants_integer = types == "integer" or (isinstance(types, list) and "integer" in types)
    return int(value) if wants_integer and isinstance(value, float) else value


def _key(content: Mapping[str, Any]) -> DefinitionKey:
    return DefinitionKey(content["tenant_id"], content["experiment_id"], content["config_version"])


def _first_version(key: DefinitionKey, known: Mapping[DefinitionKey, Content]) -> Content | None:
    versions = [other for other in known if other[:2] == key[:2]]
    return known[min(versions)] if versions else None


def _with_frozen(draft: Draft, first: Content) -> Draft:
    """The draft with what is frozen for the experiment's whole life; a changed value is refused."""
    content = dict(draft.content)
    for name in ("alpha", "planned_units"):
        if name in draft.given and content[name] != first[name]:
            raise DefinitionError(
                f"{draft.document.where((name,))}: must stay {first[name]}, as in {_key(first)} "
                f"(it is {content[name]})"
            )
        content[name] = first[name]
    if "stop_alpha" not in draft.given:
        content["stop_alpha"] = first["stop_alpha"]
    return replace(draft, content=content)


def _refuse_a_later_end(draft: Draft, known: Mapping[DefinitionKey, Content]) -> None:
    """An ending stands: assignments after it were refused, and nothing can bring them back."""
    ends = {key: content["ended_at"] for key, content in known.items() if key[:2] == draft.key[:2]}
    given = {key: ended_at for key, ended_at in ends.items() if ended_at is not None}
    if given:
        earliest = min(given, key=lambda key: given[key])
        ended_at = draft.content["ended_at"]
        if ended_at is None or ended_at > given[earliest]:
            moment = datetime.fromtimestamp(given[earliest] / 1000, UTC).isoformat(timespec="milliseconds")
            raise DefinitionError(
                f"{draft.document.where(('ended_at',))}: must be {moment} or earlier, because the experiment "
                f"ended then by {earliest} (it is {'null' if ended_at is None else ended_at})"
            )


def _differences(one: Any, other: Any, path: YamlPath = ()) -> Iterator[str]:
    """Paths at which two contents differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted(one.keys() | other.keys()):
            yield from _differences(one.get(name), other.get(name), (*path, name))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _differences(left, right, (*path, index))
    elif one != other:
        yield spelled(path)


# ------------------------------------------------------------------------------------- rules by meaning


def _problems(content: Content, limits: Limits) -> Iterator[tuple[YamlPath, str]]:
    """What no schema can say, in the order of importance."""
    if not TENANT_ID.fullmatch(content["tenant_id"]):
        yield ("tenant_id",), "must end without a line break"  # to a schema's $ one more is nothing
    control = content["control"]
    if content["variants"][control] == 0:
        yield ("variants", control), "is the control (the first variant), whose weight must not be 0"
    if isinstance(content["ended_at"], str):
        try:
            epoch_ms(content["ended_at"])
        except BadLineError as error:
            yield ("ended_at",), str(error)
    elif content["ended_at"] is not None and not 0 <= content["ended_at"] <= LATEST_ENDING_MS:
        yield ("ended_at",), f"must be in the years 1970 to 9999 (it is {content['ended_at']})"
    longest = max(0, limits.retention_ms - limits.horizon_ms)
    if _days_to_ms(content["pre_period_days"]) > longest:
        yield (
            ("pre_period_days",),
            f"must be at most {longest / DAY_MS:g} (it is {content['pre_period_days']}): outcomes are kept "
            f"{limits.retention_ms / DAY_MS:g} days and may come {limits.horizon_ms / DAY_MS:g} days late",
        )
    for index, metric in enumerate(content["metrics"]):
        if content["ship"] and metric["role"] != "secondary" and metric["window_days"] is None:
            yield (
                ("metrics", index, "id"),
                f"needs window_days, because ship is asked for ({metric['id']!r} is a {metric['role']}): "
                "only users whose window has closed are judged",
            )
    seen: set[str] = set()
    for index, metric in enumerate(content["metrics"]):
        path: YamlPath = ("metrics", index)
        if metric["id"] in seen:
            yield (*path, "id"), f"is used twice ({metric['id']!r})"
        seen.add(metric["id"])
        for name, problem in _metric_problems(metric):
            yield (*path, name), problem


def _metric_problems(metric: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if metric["kind"] == "proportion" and metric["cap"] is not None:
        yield "cap", "has no meaning for a proportion, which is 0 or 1 for each unit"
    if metric["window_days"] is not None and not (
        _days_to_ms(metric["window_start_days"]) < _days_to_ms(metric["window_days"])
    ):
        yield (
            "window_days",
            f"must be greater than window_start_days (it is {metric['window_days']}, "
            f"the start {metric['window_start_days']})",
        )
    if metric["margin"] is not None and metric["margin_abs"] is not None:
        yield "margin_abs", "excludes margin: a margin is a share of the control mean or in the metric's unit"
    if metric["role"] != "guardrail":
        for name in ("margin", "margin_abs"):
            if metric[name] is not None:
                yield name, f"is only for guardrails (role is {metric['role']})"
        if metric["stop"]:
            yield "stop", f"is only for guardrails (role is {metric['role']})"


def _days_to_ms(days: float) -> int:
    return round(days * DAY_MS)
