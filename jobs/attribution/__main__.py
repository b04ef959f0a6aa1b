"""``python -m jobs.attribution [--restore URI | --plan]``: submits the job, prints its id and ends."""

from __future__ import annotations

import argparse

from pyflink.table import EnvironmentSettings, TableEnvironment

from config.settings import Settings, load
from jobs.attribution import pipeline
from jobs.wiring.flink import configuration


def environment(settings: Settings, restore: str | None = None) -> TableEnvironment:
    """A planner with the job's options, connected to the cluster of the settings."""
    running = configuration(
        settings, pipeline.NAME, restore=restore, parameters=pipeline.parameters(settings)
    )
    for key, value in pipeline.options(settings).items():
        running.set_string(key, value)
    return TableEnvironment.create(
        EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(running).build()
    )


def main() -> None:
    """Submit the job that the settings of the environment describe."""
    parser = argparse.ArgumentParser(prog="python -m jobs.attribution", description=__doc__)
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--restore", metavar="URI", help="savepoint or retained checkpoint to begin from")
    either.add_argument("--plan", action="store_true", help="print the compiled plan and submit nothing")
    arguments = parser.parse_args()
    settings = load()
    tables = environment(settings, arguments.restore)
    if arguments.plan:
        print(pipeline.compiled(pipeline.attribution(tables, settings)), end="")
    else:
        print(pipeline.submit(tables, settings))


if __name__ == "__main__":
    main()
