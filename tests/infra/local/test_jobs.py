"""With which epoch a deployment begins, and that it keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from config.settings import Settings
from infra.clickhouse import connect
from infra.lanes import Activation, activate, greatest_written
from infra.local.jobs import EpochError, read_epochs
from infra.migrations import apply
from jobs.attribution.lane import Lane
from tests.infra.clickhouse_process import clickhouse

pytestmark = pytest.mark.clickhouse


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with clickhouse(tmp_path) as found:
        apply(found)
        yield found


def beginning_with(settings: Settings, epoch: int) -> Settings:
    return replace(settings, attribution=replace(settings.attribution, epoch=epoch))


def count_something(settings: Settings, epoch: int) -> None:
    connect(settings).command(f"INSERT INTO ledger_rows (tenant_id, epoch) VALUES ('acme', {epoch})")


def test_a_deployment_that_begins_with_epoch_0_needs_no_row(settings: Settings) -> None:
    assert read_epochs(beginning_with(settings, 0)) == []
    assert greatest_written(connect(settings)) is None


def test_a_deployment_that_begins_with_another_epoch_adds_it_once(settings: Settings) -> None:
    for _ in range(2):
        assert read_epochs(beginning_with(settings, 7)) == [Activation("", "", 7)]
        count_something(settings, 7)
    assert greatest_written(connect(settings)) == 7


def test_the_epoch_of_the_settings_does_not_matter_once_it_was_rebuilt(settings: Settings) -> None:
    client = connect(settings)
    for lane in (Lane(epoch=9), Lane("acme", "Größe", 10)):
        activate(client, lane)
    expected = [Activation("", "", 9), Activation("acme", "Größe", 10)]
    assert read_epochs(beginning_with(settings, 0)) == expected
    assert read_epochs(beginning_with(settings, 9)) == expected


@pytest.mark.parametrize("is_rebuilt", [False, True])
def test_an_epoch_that_was_raised_in_the_settings_is_refused_with_the_way(
    settings: Settings, is_rebuilt: bool
) -> None:
    count_something(settings, 0)
    if is_rebuilt:
        activate(connect(settings), Lane(epoch=3))
    counted = 3 if is_rebuilt else 0
    refusal = (
        rf"^attribution\.epoch is 4, but what is there was counted at epoch {counted}: .* rebuild --all`$"
    )
    with pytest.raises(EpochError, match=refusal):
        read_epochs(beginning_with(settings, 4))
