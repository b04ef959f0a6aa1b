"""Everything that says what a page shows, as its URL holds it: a link shows others what you see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlencode

from infra.console import figures

VIEWS = ("all", "matured", "rolling_24h", "rolling_7d")
POLICIES = ("first_seen", "exclude_crossed")
GREATEST_VERSION = 2**31 - 1


class UnknownStateError(ValueError):
    """An address that says nothing; one line that names what of it."""


@dataclass(frozen=True, slots=True)
class State:
    """An experiment, and how it is looked at."""

    tenant: str
    experiment: str
    view: str = "all"
    policy: str = "first_seen"
    config_version: int = 0
    metric: str = ""
    """Whose history and segments are shown; empty is the first one."""
    treatment: str = ""
    as_of: datetime | None = None
    """None is live."""

    @classmethod
    def of(cls, tenant: str, query: Mapping[str, str]) -> Self:
        """What an address says.

        Raises:
            UnknownStateError: It says something that is nowhere.
        """
        return cls(
            tenant=tenant,
            experiment=query.get("id", ""),
            view=_one_of("view", query.get("view", "all"), VIEWS),
            policy=_one_of("policy", query.get("policy", "first_seen"), POLICIES),
            config_version=_version(query.get("version", "0")),
            metric=query.get("metric", ""),
            treatment=query.get("treatment", ""),
            as_of=_moment(query.get("as_of", "")),
        )

    @property
    def url(self) -> str:
        """The address of this; what is as by default is left out."""
        default = State(self.tenant, self.experiment)
        given: dict[str, Any] = {"id": self.experiment}
        for name, key in _KEYS.items():
            value = getattr(self, name)
            if value != getattr(default, name):
                given[key] = figures.moment_iso(value) if isinstance(value, datetime) else value
        return f"/tenants/{self.tenant}/experiment?{urlencode(given)}"

    def but(self, **changes: Any) -> State:
        """The same, looked at in another way."""
        return replace(self, **changes)

    @property
    def moment_ms(self) -> int:
        """For the questions; 0 is now."""
        return 0 if self.as_of is None else int(self.as_of.timestamp() * 1000)

    @property
    def as_of_local(self) -> str:
        """For the control that picks a moment, in UTC."""
        return "" if self.as_of is None else f"{self.as_of:%Y-%m-%dT%H:%M:%S}"


_KEYS = {
    "view": "view",
    "policy": "policy",
    "config_version": "version",
    "metric": "metric",
    "treatment": "treatment",
    "as_of": "as_of",
}
"""Attributes and their names in an address."""


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise UnknownStateError(f"{name} must be one of {', '.join(known)}, not {value!r}")
    return value


def _version(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= GREATEST_VERSION):
        raise UnknownStateError(f"version must be a whole number from 0 (all of them), not {text!r}")
    return int(text)


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UnknownStateError(f"as_of must be a moment such as 2026-11-22T14:05Z, not {text!r}") from None
    moment = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    if not 1970 <= moment.year <= 2200:
        raise UnknownStateError(f"as_of must be in the years 1970 to 2200, not {text!r}")
    return moment
