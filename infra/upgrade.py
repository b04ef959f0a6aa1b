"""A new release of a job takes over its state: stop with savepoint, submit restored, watch it run.

What cannot be taken over is refused before anything is stopped. What fails afterwards is undone as far as it
can be: the state is in a savepoint that is named, nothing of it is lost, and `livelift up` goes on from it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from config.settings import Settings
from infra.clickhouse import connect, one_line_errors
from infra.cluster import Cluster, ClusterError, Job
from infra.lanes import is_superseded, must_run, read_activations, running_lanes
from infra.submission import (
    SCORECARD,
    Launch,
    SubmissionError,
    alone,
    await_submitted,
    cancel,
    content_of,
    difference,
    planned,
    savepoint_dir,
    submit,
    submitted_jar,
)
from jobs.attribution.lane import Lane
from jobs.attribution.takeover import layout_sha256, must_match, plan_sha256

Say = Callable[[str], None]
"""Called with one line for each step."""

STOPPED_WITHIN_SECONDS = 300.0
GOES_ON_WITHIN_SECONDS = 120.0
HOPELESS_AFTER_FAILURES = 3
LOOK_EVERY_SECONDS = 0.2

WITHOUT_SAVEPOINT = (
    "once livelift status shows it running, upgrade again; if it does not come to run, livelift down and "
    "then livelift up start it with today's code from the newest state it left"
)
"""Only a job that runs steadily makes a savepoint; its newest checkpoint is there in any case."""


class UpgradeError(Exception):
    """The upgrade was refused, or failed; one line that says what runs now and what to do."""


def upgrade_attribution(settings: Settings, say: Say) -> None:
    """Every lane of the attribution job goes on with today's Java function, one after the other.

    Raises:
        UpgradeError: The plan or the rules are others than the running job's; a lane does not run steadily;
            or one could not go on.
        ClusterError, DatabaseError: Flink or ClickHouse does not answer.
    """
    with alone(settings):
        cluster = Cluster(settings)
        lanes = _lanes(settings, cluster)
        for lane, job in lanes.items():
            refuse_unsteady(job)
            refuse_difference(lane.name, cluster.parameters(job), must_match(settings))
        _refuse_unbuilt(settings, next(iter(lanes)), say)
        for lane, job in lanes.items():
            _upgrade(settings, Launch.of_lane(lane), job, say)


def upgrade_scorecard(settings: Settings, say: Say) -> None:
    """The scorecard job goes on with today's statistics, once the tables have today's columns.

    Raises:
        UpgradeError: It does not run steadily, the tables cannot be migrated, or it could not go on.
        ClusterError: Flink does not answer.
    """
    with alone(settings):
        job = Cluster(settings).jobs().get(SCORECARD.name)
        if job is None:
            raise UpgradeError(f"{SCORECARD.name} does not run: livelift up starts it with today's code")
        refuse_unsteady(job)
        _migrate(settings, say)
        _upgrade(settings, SCORECARD, job, say)


def _migrate(settings: Settings, say: Say) -> None:
    """While the old code still writes: it names its columns, so one more is nothing to it."""
    from infra import migrations  # a third of a second, which other commands need not take

    try:
        versions = migrations.apply(settings)
    except migrations.MigrationError as error:
        raise UpgradeError(f"{error}. Nothing was stopped") from error
    if versions:
        say(f"tables: migrated to {versions[-1]}")


def refuse_unsteady(job: Job) -> None:
    """Refuse a job that is starting or restarting, for it cannot make a savepoint.

    Raises:
        UpgradeError: It is.
    """
    if job.state != "RUNNING":
        raise UpgradeError(
            f"{job.name} is {job.state.lower()}, so it can make no savepoint now and nothing was stopped: "
            f"{WITHOUT_SAVEPOINT}"
        )


def refuse_difference(name: str, before: dict[str, str], today: dict[str, str]) -> None:
    """Refuse a job whose state today's code would read wrongly.

    Raises:
        UpgradeError: Something that must be equal is not.
    """
    changed = difference(before, today)
    if changed:
        raise UpgradeError(
            f"{name} cannot be upgraded: {changed}. What it has counted would mean something else; "
            "livelift rebuild --all counts anew beside it, from the log"
        )


def _lanes(settings: Settings, cluster: Cluster) -> dict[Lane, Job]:
    """The lanes that are read or being rebuilt."""
    with one_line_errors(settings):
        activations = read_activations(connect(settings))
    running = running_lanes(cluster)
    for lane in must_run(activations):
        if lane not in running:
            raise UpgradeError(f"{lane.name} does not run: livelift up starts it with today's code")
    return {lane: job for lane, job in sorted(running.items()) if not is_superseded(lane, activations)}


def _refuse_unbuilt(settings: Settings, lane: Lane, say: Say) -> None:
    """Learn now, and not when the job is stopped, that there is nothing to go on with."""
    if not settings.attribution_jar.is_file():
        raise UpgradeError(f"{settings.attribution_jar} is not built: run `make setup`")
    say("planning with today's code")
    try:
        plan = planned(settings, Launch.of_lane(lane))
    except SubmissionError as error:
        raise UpgradeError(f"{error}. Nothing was stopped") from error
    if layout_sha256(plan) != plan_sha256():
        raise UpgradeError(
            "today's queries do not give the plan in jobs/attribution/plan.json; nothing was stopped"
        )


def _upgrade(settings: Settings, launch: Launch, job: Job, say: Say) -> None:
    say(f"{launch.name}: stopping with a savepoint")
    try:
        savepoint = Cluster(settings).stop_with_savepoint(
            job, savepoint_dir(settings, launch.name), timeout_seconds=STOPPED_WITHIN_SECONDS
        )
    except ClusterError as error:
        raise UpgradeError(
            f"{launch.name} made no savepoint ({error}), so it was not upgraded: {WITHOUT_SAVEPOINT}"
        ) from error
    say(f"{launch.name}: stopped; from now on livelift up would go on from {savepoint}")
    before = submitted_jar(settings, launch.name)
    failure = _goes_on(settings, launch, savepoint)
    if not failure:
        say(f"{launch.name}: runs again and has made a checkpoint; the savepoint may be deleted")
        return
    say(f"{launch.name}: {failure}")
    if before is not None and content_of(before) != content_of(settings.attribution_jar):
        say(f"{launch.name}: going back to the jar it ran before")
        second = _goes_on(settings, launch, savepoint, jar=before)
        if not second:
            raise UpgradeError(
                f"{launch.name} cannot go on with {settings.attribution_jar}: {failure}. "
                "It runs again as before and nothing is lost"
            )
        say(f"{launch.name}: {second}")
    raise UpgradeError(
        f"{launch.name} does not run: {failure}. Nothing is lost: put back the release that ran before and "
        f"say livelift up, which goes on from {savepoint}"
    )


def _goes_on(settings: Settings, launch: Launch, savepoint: str, *, jar: Path | None = None) -> str:
    """Why the job cannot go on from the savepoint; empty when it runs and has made a checkpoint.

    A job that cannot is cancelled: left alone it would fail for ever.
    """
    try:
        await_submitted(settings, launch, submit(settings, launch, savepoint, jar=jar))
        _await_checkpoint(settings, launch)
    except (SubmissionError, ClusterError) as error:
        with suppress(ClusterError):  # where Flink is gone, so is the job
            cancel(Cluster(settings), launch.name)
        return str(error)
    return ""


def _await_checkpoint(settings: Settings, launch: Launch) -> None:
    cluster = Cluster(settings)
    deadline = time.monotonic() + GOES_ON_WITHIN_SECONDS
    while True:
        job = cluster.jobs().get(launch.name)
        if job is not None:
            if job.state == "RUNNING" and cluster.checkpoints(job).completed:
                return
            failures = cluster.failures(job)
            is_late = time.monotonic() > deadline
            if failures and (is_late or len(failures) >= HOPELESS_AFTER_FAILURES):
                raise SubmissionError(failures[0])
        if time.monotonic() > deadline:
            raise SubmissionError(f"no checkpoint within {GOES_ON_WITHIN_SECONDS:.0f} s")
        time.sleep(LOOK_EVERY_SECONDS)
