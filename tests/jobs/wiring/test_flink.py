"""How a job is run."""

from __future__ import annotations

import pytest

from config.settings import Settings, load
from jobs.wiring.flink import job_options


@pytest.fixture
def settings() -> Settings:
    return load(environ={"LIVELIFT_FLINK_REST_URL": "http://flink.example:8081"})


def test_a_job_goes_to_the_cluster_of_the_settings(settings: Settings) -> None:
    options = job_options(settings, "livelift-attribution")
    assert options["execution.target"] == "remote"
    assert (options["rest.address"], options["rest.port"]) == ("flink.example", "8081")


def test_each_job_has_its_own_folder_of_checkpoints_that_outlives_it(settings: Settings) -> None:
    options = job_options(settings, "livelift-attribution")
    assert options["execution.checkpointing.dir"] == f"{settings.flink.checkpoint_dir}/livelift-attribution"
    assert options["execution.checkpointing.externalized-checkpoint-retention"] == "RETAIN_ON_CANCELLATION"
    assert options["execution.checkpointing.mode"] == "EXACTLY_ONCE"


def test_a_job_begins_empty_unless_it_is_told_where_its_state_is(settings: Settings) -> None:
    assert "execution.state-recovery.path" not in job_options(settings, "a-job")


@pytest.mark.parametrize(
    ("path", "mode"),
    [("file:///checkpoints/a-job/1f/chk-12", "CLAIM"), ("file:///savepoints/savepoint-1f-2a", "NO_CLAIM")],
)
def test_a_checkpoint_is_used_up_and_a_savepoint_is_kept(settings: Settings, path: str, mode: str) -> None:
    options = job_options(settings, "a-job", restore=path)
    assert options["execution.state-recovery.path"] == path
    assert options["execution.state-recovery.claim-mode"] == mode


def test_parameters_may_hold_colons_commas_and_quotes(settings: Settings) -> None:
    parameters = {"livelift.registry_url": "http://registry:80/a,b", "livelift.region": "it's"}
    options = job_options(settings, "a-job", parameters=parameters)
    assert (
        options["pipeline.global-job-parameters"]
        == "livelift.registry_url:'http://registry:80/a,b',livelift.region:'it''s'"
    )
