"""Which lanes run and whose rows are seen follows from the rows of ``epochs`` alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from infra.lanes import Activation, active_epoch, is_superseded, lane_of, must_run, serves
from jobs.attribution.lane import Lane

EVERYONE = Lane()

activations = st.lists(
    st.builds(
        lambda tenant, experiment, epoch: Activation(tenant, experiment if tenant else "", epoch),
        st.sampled_from(["", "acme", "beta"]),
        st.sampled_from(["", "button", "banner"]),
        st.integers(0, 9),
    ),
    max_size=8,
)
tenants = st.sampled_from(["acme", "beta", "gamma"])
experiments = st.sampled_from(["button", "banner", "other"])


def test_without_a_rebuild_everyone_is_served_by_one_lane_at_epoch_0() -> None:
    assert must_run([]) == [EVERYONE]
    assert active_epoch([], "acme", "button") == 0


def test_a_rebuild_of_everyone_replaces_the_lane_of_everyone() -> None:
    rows = [Activation("", "", 2), Activation("", "", 5)]
    assert must_run(rows) == [Lane(epoch=5)]
    assert is_superseded(Lane(epoch=2), rows)


def test_a_rebuilt_tenant_has_a_lane_beside_that_of_everyone_else() -> None:
    rows = [Activation("acme", "", 3)]
    assert must_run(rows) == [EVERYONE, Lane("acme", epoch=3)]
    assert (active_epoch(rows, "acme"), active_epoch(rows, "beta")) == (3, 0)
    assert not serves(EVERYONE, rows, "acme")
    assert serves(EVERYONE, rows, "beta")


def test_a_rebuilt_experiment_leaves_its_tenants_ledger_and_other_experiments_where_they_are() -> None:
    rows = [Activation("acme", "button", 4)]
    assert must_run(rows) == [EVERYONE, Lane("acme", "button", 4)]
    assert active_epoch(rows, "acme", "button") == 4
    assert active_epoch(rows, "acme", "banner") == active_epoch(rows, "acme") == 0
    assert serves(EVERYONE, rows, "acme")
    assert serves(Lane("acme", "button", 4), rows, "acme")


def test_a_later_rebuild_of_more_replaces_what_was_rebuilt_of_less() -> None:
    rows = [Activation("acme", "button", 4), Activation("acme", "", 5)]
    assert must_run(rows) == [EVERYONE, Lane("acme", epoch=5)]
    assert is_superseded(Lane("acme", "button", 4), rows)
    everyone = [*rows, Activation("", "", 6)]
    assert must_run(everyone) == [Lane(epoch=6)]
    assert all(is_superseded(lane, everyone) for lane in must_run(rows))


def test_a_lane_that_is_being_rebuilt_neither_has_to_run_nor_is_superseded() -> None:
    rebuilt = Lane("acme", epoch=3)
    assert rebuilt not in must_run([Activation("", "", 2)])
    assert not is_superseded(rebuilt, [Activation("", "", 2)])


def test_a_job_tells_its_lane_by_its_parameters() -> None:
    for lane in (EVERYONE, Lane("acme", epoch=3), Lane("acme", "Größe", 2047)):
        assert lane_of(lane.parameters) == lane


@given(activations, tenants, experiments)
def test_exactly_one_lane_that_runs_writes_the_rows_that_are_seen(
    rows: list[Activation], tenant_id: str, experiment_id: str
) -> None:
    seen = active_epoch(rows, tenant_id, experiment_id)
    writers = [
        lane
        for lane in must_run(rows)
        if lane.epoch == seen
        and lane.tenant_id in ("", tenant_id)
        and lane.experiment_id in ("", experiment_id)
    ]
    assert len(writers) == 1
    assert serves(writers[0], rows, tenant_id)


@given(activations)
def test_no_lane_that_runs_is_superseded_or_serves_nobody_it_could_not(rows: list[Activation]) -> None:
    lanes = must_run(rows)
    assert len(set(lanes)) == len(lanes)
    assert not any(is_superseded(lane, rows) for lane in lanes)
