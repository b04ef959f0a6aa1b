"""Whose rows are waited for."""

from __future__ import annotations

from infra.lanes import Activation
from infra.waiting import Audience
from jobs.attribution.lane import Lane

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
