"""Whose rows are waited for, and until when."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest

from config.settings import load
from infra import waiting
from infra.broker import TenantTopic
from infra.lanes import Activation
from infra.waiting import Audience
from jobs.attribution.lane import Lane
from schemas.events import EventKind

LANES = [Lane(), Lane("acme", epoch=3)]
REBUILT = [Activation("acme", "", 3), Activation("beta", "button", 4)]


def test_readers_of_today_see_the_lane_that_serves_each_tenant_and_each_experiment() -> None:
    today = Audience.today(REBUILT)
    everyone, acme, button = Lane(), Lane("acme", epoch=3), Lane("beta", "button", 4)
    assert list(today.lanes) == [everyone, acme, button]
    assert [tenant for tenant in ("acme", "beta", "gamma") if today.is_read(everyone, tenant)] == [
        "beta",
        "gamma",
    ]
    assert [tenant for tenant in ("acme", "beta", "gamma") if today.is_read(acme, tenant)] == ["acme"]
    assert [tenant for tenant in ("acme", "beta", "gamma") if today.is_read(button, tenant)] == ["beta"]
    assert today.epoch("acme", "button") == 3
    assert today.epoch("beta", "button") == 4
    assert today.epoch("beta", "banner") == 0


def test_readers_after_a_rebuild_of_a_tenant_look_at_nothing_else() -> None:
    after = Audience.after(Lane("acme", epoch=5))
    assert list(after.lanes) == [Lane("acme", epoch=5)]
    assert after.is_read(Lane("acme", epoch=5), "acme")
    assert not after.is_read(Lane("acme", epoch=5), "beta")
    assert after.epoch("acme", "anything") == 5
    assert after.epoch("beta", "anything") is None


def test_readers_after_a_rebuild_of_an_experiment_look_at_it_alone() -> None:
    after = Audience.after(Lane("acme", "button", 5))
    assert after.epoch("acme", "button") == 5
    assert after.epoch("acme", "banner") is None


def test_readers_after_a_rebuild_of_everything_look_at_everything() -> None:
    after = Audience.after(Lane(epoch=5))
    assert after.is_read(Lane(epoch=5), "anyone")
    assert after.epoch("anyone", "anything") == 5


class Told:
    """What is appended, defined and told, instead of a broker and a cluster."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, appended_ms: int, defined_ms: int) -> None:
        self.told_ms: dict[str, int | None] = {lane.name: None for lane in LANES}
        self.appended_ms = appended_ms
        published = {} if not defined_ms else {"a": SimpleNamespace(append_time_ms=defined_ms)}
        monkeypatch.setattr(waiting, "read_published", lambda _: published)
        monkeypatch.setattr(waiting, "Cluster", lambda _: self)

    def tenant_topics(self) -> list[TenantTopic]:
        return [TenantTopic("livelift.acme.outcomes", "acme", EventKind.OUTCOMES)]

    def newest_time(self, topics: Sequence[str]) -> int:
        assert set(topics) == {"livelift.acme.outcomes", "livelift-internal.heartbeat"}
        return self.appended_ms

    def jobs(self) -> dict[str, str]:
        return {name: name for name in self.told_ms}

    def watermark(self, job: str) -> int | None:
        return self.told_ms[job]

    def behind(self) -> Callable[[], str]:
        audience = Audience(LANES, lambda lane, tenant_id: True, lambda tenant_id, experiment_id: 0)
        return waiting._told(load(environ={}), self, audience)  # type: ignore[arg-type]


def test_every_lane_must_have_told_past_the_newest_record(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(monkeypatch, appended_ms=1_000_000, defined_ms=1)
    behind = told.behind()
    told.appended_ms = 2_000_000  # what comes later keeps nobody waiting
    assert LANES[0].name in behind()
    assert LANES[1].name in behind()
    told.told_ms = {LANES[0].name: 1_000_000, LANES[1].name: 1_000_001}
    assert behind().endswith(f": {LANES[0].name}")
    told.told_ms[LANES[0].name] = 1_000_001
    assert behind() == ""


def test_and_to_where_units_have_looked_for_the_newest_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    defined_ms = int(time.time() * 1000) - 60_000
    told = Told(monkeypatch, appended_ms=1, defined_ms=defined_ms)
    behind = told.behind()
    told.told_ms = {lane.name: defined_ms + 10_999 for lane in LANES}
    assert behind()
    told.told_ms = {lane.name: defined_ms + 11_000 for lane in LANES}
    assert behind() == ""


def test_where_nothing_is_defined_nobody_waits_for_a_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Told(monkeypatch, appended_ms=1, defined_ms=0).behind()() == ""
