"""``python -m jobs.attribution``: submits the job for one lane, prints its id and ends."""

from __future__ import annotations

import argparse
import sys

from pyflink.table import EnvironmentSettings, TableEnvironment

from config.settings import Settings, load
from jobs.attribution import pipeline
from jobs.attribution.lane import Lane
from jobs.wiring.flink import configuration


def environment(settings: Settings, lane: Lane, restore: str | None = None) -> TableEnvironment:
    """A planner with the job's options, connected to the cluster of the settings."""
    running = configuration(
        settings, lane.name, restore=restore, parameters=pipeline.parameters(settings, lane)
    )
    for key, value in pipeline.OPTIONS.items():
        running.set_string(key, value)
    return TableEnvironment.create(
        EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(running).build()
    )


def main() -> None:
    """Submit the job that the settings of the environment and the arguments describe."""
    settings = load()
    parser = argparse.ArgumentParser(prog="python -m jobs.attribution", description=__doc__)
    parser.add_argument("--tenant", metavar="ID", default="", help="only this tenant's topics")
    parser.add_argument("--experiment", metavar="ID", default="", help="only this experiment of the tenant")
    parser.add_argument(
        "--epoch",
        metavar="N",
        type=int,
        default=settings.attribution.epoch,
        help="rebuild epoch of what it writes (default: the settings')",
    )
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--restore", metavar="URI", help="savepoint or retained checkpoint to begin from")
    either.add_argument("--plan", action="store_true", help="print the compiled plan and submit nothing")
    arguments = parser.parse_args()
    try:
        lane = Lane(arguments.tenant, arguments.experiment, arguments.epoch)
    except ValueError as error:
        parser.error(str(error))
    tables = environment(settings, lane, arguments.restore)
    if arguments.plan:
        print(pipeline.compiled(pipeline.attribution(tables, settings, lane)), end="")
        return
    try:
        print(pipeline.submit(tables, settings, lane))
    except pipeline.PlanError as error:
        sys.exit(f"attribution: {error}")


if __name__ == "__main__":
    main()
