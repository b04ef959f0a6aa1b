"""``python -m jobs.scorecard [--restore URI]``: submits the job, prints its id and ends."""

from __future__ import annotations

import argparse

from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

from config.settings import Settings, load
from jobs.scorecard import pipeline
from jobs.wiring.flink import configuration


def environment(settings: Settings, restore: str | None = None) -> StreamExecutionEnvironment:
    """An environment with the job's options, connected to the cluster of the settings."""
    running = configuration(settings, pipeline.NAME, restore=restore)
    for key, value in pipeline.options().items():
        running.set_string(key, value)
    # `get_execution_environment` would make a local one, whatever `execution.target` says, and tell Python
    # workers to come back to this process, which ends as soon as the job is submitted.
    java = get_gateway().jvm.org.apache.flink.streaming.api.environment.StreamExecutionEnvironment
    return StreamExecutionEnvironment(java(running._j_configuration))


def submit(settings: Settings, restore: str | None = None) -> str:
    """Start the job on the cluster of the settings and return its id."""
    running = environment(settings, restore)
    pipeline.scorecard(StreamTableEnvironment.create(running), settings)
    return str(running.execute_async(pipeline.NAME).get_job_id())


def main() -> None:
    """Submit the job that the settings of the environment describe."""
    arguments = argparse.ArgumentParser(prog="python -m jobs.scorecard", description=__doc__)
    arguments.add_argument("--restore", metavar="URI", help="savepoint or retained checkpoint to begin from")
    print(submit(load(), arguments.parse_args().restore))


if __name__ == "__main__":
    main()
