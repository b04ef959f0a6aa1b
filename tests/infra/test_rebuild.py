"""Which lane a rebuild begins or goes on with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from config.settings import GREATEST_EPOCH, Settings, load
from infra.cluster import Job
from infra.lanes import Activation
from infra.rebuild import RebuildError, Target, next_epoch, unfinished
from jobs.attribution.lane import Lane

ACME = Target("acme")
BUTTON = Target("acme", "button")
EVERYONE = Target()


def running(*lanes: Lane) -> dict[Lane, Job]:
    return {lane: Job(lane.name, "id", "RUNNING") for lane in lanes}


def with_epoch(epoch: int) -> Settings:
    settings = load(environ={})
    return replace(settings, attribution=replace(settings.attribution, epoch=epoch))


def test_the_next_epoch_is_greater_than_any_that_rows_jobs_and_settings_know() -> None:
    assert next_epoch([], {}, None, with_epoch(0)) == 1
    assert next_epoch([], {}, 4, with_epoch(0)) == 5  # of a rebuild that was never shown
    assert next_epoch([Activation("beta", "", 6)], {}, 4, with_epoch(0)) == 7
    assert next_epoch([Activation("beta", "", 6)], running(Lane("acme", epoch=7)), 4, with_epoch(0)) == 8
    assert next_epoch([], {}, None, with_epoch(9)) == 10


def test_a_rebuild_that_was_begun_and_not_shown_is_found_again() -> None:
    begun = running(Lane(), Lane("acme", epoch=2), Lane("acme", epoch=3), Lane("beta", epoch=4))
    assert unfinished(ACME, [], begun) == Lane("acme", epoch=3)
    assert unfinished(BUTTON, [], begun) is None
    assert unfinished(EVERYONE, [], begun) is None


def test_a_lane_that_is_shown_or_superseded_is_no_rebuild_that_was_begun() -> None:
    lanes = running(Lane(), Lane("acme", epoch=3), Lane("acme", "button", 2))
    assert unfinished(ACME, [Activation("acme", "", 3)], lanes) is None
    assert unfinished(BUTTON, [Activation("acme", "", 3)], lanes) is None
    assert unfinished(ACME, [Activation("", "", 5)], lanes) is None


def test_a_target_names_its_lane_and_itself() -> None:
    assert (str(EVERYONE), str(ACME), str(BUTTON)) == ("everyone", "acme", "acme/button")
    assert BUTTON.lane(3) == Lane("acme", "button", 3)


def test_epochs_come_to_an_end_with_a_clear_word() -> None:
    assert ACME.lane(GREATEST_EPOCH).epoch == GREATEST_EPOCH
    with pytest.raises(RebuildError, match=r"^epoch 2048 is more than"):
        ACME.lane(GREATEST_EPOCH + 1)
