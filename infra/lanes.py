"""Which lanes of the attribution job must run, and whose epoch readers see: what table ``epochs`` says.

A row of ``epochs`` makes an epoch active for an experiment, for a tenant ('' as experiment) or for everyone
('' as tenant too). Where several fit, the greatest counts; without any, epoch 0. The views follow the same
rule, so one inserted row switches readers and says what must run from then on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from infra.cluster import Cluster, Job
from jobs.attribution.lane import Lane
from jobs.wiring.kafka import ATTRIBUTION_GROUP

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

ROWS_TABLES = (
    *("slot_rows", "ledger_rows", "activity_rows", "result_rows", "sample_ratio_rows"),
    *("decision_rows", "look_rows"),
)
"""Every table whose rows carry their epoch; history only repeats them."""


class Activation(NamedTuple):
    """A row of ``epochs``; '' is everyone's, or all experiments'."""

    tenant_id: str
    experiment_id: str
    epoch: int


def active_epoch(activations: Iterable[Activation], tenant_id: str, experiment_id: str = "") -> int:
    """The epoch readers see for an experiment; without an experiment, for the tenant's ledger."""
    return max(
        (
            each.epoch
            for each in activations
            if each.tenant_id in ("", tenant_id) and each.experiment_id in ("", experiment_id)
        ),
        default=0,
    )


def must_run(activations: Iterable[Activation]) -> list[Lane]:
    """The lanes whose rows readers see: everyone's, then the own ones of tenants and experiments."""
    rows = sorted(set(activations))
    everyone = active_epoch(rows, "")
    lanes = [Lane(epoch=everyone)]
    for tenant_id in sorted({each.tenant_id for each in rows} - {""}):
        of_tenant = active_epoch(rows, tenant_id)
        if of_tenant > everyone:
            lanes.append(Lane(tenant_id, epoch=of_tenant))
        for experiment_id in sorted(
            {each.experiment_id for each in rows if each.tenant_id == tenant_id} - {""}
        ):
            of_experiment = active_epoch(rows, tenant_id, experiment_id)
            if of_experiment > of_tenant:
                lanes.append(Lane(tenant_id, experiment_id, of_experiment))
    return lanes


def serves(lane: Lane, activations: Iterable[Activation], tenant_id: str) -> bool:
    """Whether readers see rows of this lane, which must run, for the tenant or one of his experiments."""
    if not lane.tenant_id:
        return active_epoch(activations, tenant_id) == lane.epoch
    return lane.tenant_id == tenant_id


def is_superseded(lane: Lane, activations: Iterable[Activation]) -> bool:
    """Whether readers see none of the lane's rows, now and ever after."""
    return lane.epoch < active_epoch(activations, lane.tenant_id, lane.experiment_id)


def read_activations(client: Client) -> list[Activation]:
    """The rows of ``epochs``."""
    rows = client.query(
        "SELECT DISTINCT tenant_id, experiment_id, epoch FROM epochs ORDER BY ALL"
    ).result_rows
    return [Activation(*row) for row in rows]


def activate(client: Client, lane: Lane) -> None:
    """Switch readers to the lane's rows: one row, so nobody sees a part of it."""
    client.command(
        "INSERT INTO epochs (tenant_id, experiment_id, epoch, activated_at) "
        "SELECT {tenant:String}, {experiment:String}, {epoch:UInt16}, now64(3)",
        parameters={"tenant": lane.tenant_id, "experiment": lane.experiment_id, "epoch": lane.epoch},
    )


def greatest_written(client: Client) -> int | None:
    """The greatest epoch of any row that was ever written, shown or not; None where there are no rows."""
    parts = " UNION ALL ".join(
        f"SELECT max(epoch) AS epoch, count() AS rows FROM {table}" for table in ROWS_TABLES
    )
    ((epoch, count),) = client.query(f"SELECT max(epoch), sum(rows) FROM ({parts})").result_rows
    return int(epoch) if count else None


def running_lanes(cluster: Cluster) -> dict[Lane, Job]:
    """The lanes that have not ended, active, superseded or being rebuilt.

    Raises:
        ClusterError: Flink does not answer.
    """
    jobs = [job for job in cluster.jobs().values() if job.name.startswith(ATTRIBUTION_GROUP)]
    return {lane_of(cluster.parameters(job)): job for job in jobs}


def lane_of(parameters: dict[str, str]) -> Lane:
    """The lane whose parameters a job was submitted with."""
    return Lane(
        parameters.get("livelift.tenant", ""),
        parameters.get("livelift.experiment", ""),
        int(parameters["livelift.epoch"]),
    )
