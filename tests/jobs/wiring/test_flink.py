"""How a job is run."""

from __future__ import annotations

import pytest
from pyflink.java_gateway import get_gateway

from config.settings import Settings, load
from jobs.wiring.flink import ROCKSDB, configuration, job_options


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


def test_a_job_tells_rocksdb_what_was_measured(settings: Settings) -> None:
    assert ROCKSDB.items() <= job_options(settings, "a-job").items()


@pytest.mark.jvm
def test_flink_knows_what_rocksdb_is_told() -> None:
    """A misspelt option would be passed over without a word."""
    java = get_gateway().jvm
    known = java.org.apache.flink.state.rocksdb.RocksDBConfigurableOptions
    by_key = {option.key(): option for option in (known.USE_BLOOM_FILTER, known.COMPRESSION_PER_LEVEL)}
    assert set(by_key) == set(ROCKSDB)
    read = java.org.apache.flink.configuration.Configuration.fromMap(ROCKSDB)
    assert read.get(by_key["state.backend.rocksdb.use-bloom-filter"]) is True
    assert [str(each) for each in read.get(by_key["state.backend.rocksdb.compression.per.level"])] == [
        "NO_COMPRESSION"
    ]


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


@pytest.mark.jvm
def test_parameters_may_hold_any_letter_or_none(settings: Settings) -> None:
    """As Flink reads them; an experiment's id is among them."""
    parameters = {
        "livelift.registry_url": "http://registry:80/a,b",
        "livelift.tenant": "",
        "livelift.experiment": 'it\'s "größer": {1, 2} \\ \n # 😀 null',
        "livelift.epoch": "0",
    }
    written = configuration(settings, "a-job", parameters=parameters)
    java = get_gateway().jvm
    read = java.org.apache.flink.api.common.ExecutionConfig()
    read.configure(written._j_configuration, java.Thread.currentThread().getContextClassLoader())
    assert dict(read.getGlobalJobParameters().toMap()) == parameters
