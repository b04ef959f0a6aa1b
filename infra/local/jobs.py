"""Submits the jobs that do not run: ``python -m infra.local.jobs``.

The lanes of the attribution job that table ``epochs`` asks for, and the scorecard job. Each is restored from
the newest state it left, if it left one: what was counted before stays counted.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Collection

from config.settings import Settings, load
from infra.clickhouse import DatabaseError, connect, one_line_errors
from infra.cluster import Cluster, ClusterError
from infra.lanes import (
    Activation,
    activate,
    active_epoch,
    greatest_written,
    is_superseded,
    must_run,
    read_activations,
    running_lanes,
)
from infra.local.dated import dated_lines
from infra.submission import (
    SCORECARD,
    Launch,
    SubmissionError,
    alone,
    await_running,
    await_submitted,
    newest_state,
    obstacle,
    submit,
)
from jobs.attribution.lane import Lane

LOG = logging.getLogger("livelift.jobs")
AT_A_TIME = 2
"""Submissions side by side: each is a JVM that plans a job."""


class EpochError(Exception):
    """The settings' epoch contradicts what is there; one line."""


def ensure(settings: Settings) -> None:
    """Submit the jobs that do not run, cancel lanes nobody reads, and return when all run that must.

    A lane whose state today's code must not take over is held back, and everything else goes on: results stay
    readable, and a rebuild can replace it.

    Raises:
        EpochError: The settings name another epoch than the deployment began with.
        SubmissionError: A job was not taken, or is not running within two minutes.
        ClusterError, DatabaseError: Flink or ClickHouse does not answer.
    """
    with alone(settings):
        activations = read_epochs(settings)
        cluster = Cluster(settings)
        present = cluster.jobs()
        held = _held(settings, activations, present)
        for name, reason in held.items():
            LOG.info("holding back %s: %s", name, reason)
        launches = [launch for launch in _launches(activations) if launch.name not in held]
        _submit(settings, [launch for launch in launches if launch.name not in present])
        for launch in launches:
            await_running(settings, launch)
        for lane, job in running_lanes(cluster).items():
            if is_superseded(lane, activations):
                LOG.info("cancelling %s: its rows are superseded", lane.name)
                cluster.cancel(job)


def held_back(settings: Settings) -> dict[str, str]:
    """The jobs ``ensure`` did not submit, by name, and why.

    Raises:
        ClusterError, DatabaseError: Flink or ClickHouse does not answer.
    """
    with one_line_errors(settings):
        activations = read_activations(connect(settings))
    return _held(settings, activations, Cluster(settings).jobs())


def read_epochs(settings: Settings) -> list[Activation]:
    """The rows of ``epochs``; the first start of a deployment that begins with an epoch adds it.

    Raises:
        EpochError: The deployment has counted with another epoch.
        DatabaseError: ClickHouse does not answer.
    """
    client = connect(settings)
    begun_with = Lane(epoch=settings.attribution.epoch)
    with one_line_errors(settings):
        activations = read_activations(client)
        active = active_epoch(activations, "")
        if begun_with.epoch <= active:
            return activations
        if activations or greatest_written(client) is not None:
            raise EpochError(
                f"attribution.epoch is {begun_with.epoch}, but what is there was counted at epoch {active}: "
                "set it back and say `livelift rebuild --all`"
            )
        activate(client, begun_with)
        return read_activations(client)


def _launches(activations: list[Activation]) -> list[Launch]:
    return [*map(Launch.of_lane, must_run(activations)), SCORECARD]


def _held(settings: Settings, activations: list[Activation], present: Collection[str]) -> dict[str, str]:
    absent = [launch for launch in _launches(activations) if launch.name not in present]
    obstacles = {launch.name: obstacle(settings, launch) for launch in absent}
    return {name: why for name, why in obstacles.items() if why}


def _submit(settings: Settings, launches: list[Launch]) -> None:
    """Wait for every submission that was begun, also when one fails: it would go on, and be begun again."""
    failures: list[SubmissionError] = []
    for each in range(0, len(launches), AT_A_TIME):
        submissions = [(launch, _begin(settings, launch)) for launch in launches[each : each + AT_A_TIME]]
        for launch, submission in submissions:
            try:
                await_submitted(settings, launch, submission)
            except SubmissionError as error:
                failures.append(error)
    if failures:
        raise failures[0]


def _begin(settings: Settings, launch: Launch) -> subprocess.Popen[bytes]:
    state = newest_state(settings, launch.name)
    LOG.info("submitting %s%s", launch.name, f" from {state}" if state else "")
    return submit(settings, launch, state)


def main() -> None:
    """Bring up the jobs of the settings in the environment."""
    dated_lines()
    try:
        ensure(load())
    except (EpochError, SubmissionError, ClusterError, DatabaseError) as error:
        LOG.error("%s", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
