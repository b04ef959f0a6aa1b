"""The catalogue of metrics: every name a rule, a panel or a person may rely on, and what to do about it.

Flink's reporter hands out exactly what is here of its own; the exporter (``infra/observability``) measures
what Flink does not know. The page ``docs/metrics.md`` is made from this, and tests look for every name in a
scrape of the running stack.

Labels are bounded: ``tenant`` by ``MOST_TENANTS``, the others by how many jobs, tasks and tables there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

MOST_TENANTS = 500
"""So many tenants have series of their own, here and in ``RejectedShares.java``; a panel shows fewer."""

OTHER_TENANTS = "_others"
"""The label of all tenants beyond; no tenant's id has an underscore."""


@dataclass(frozen=True)
class Metric:
    """A metric and what it is good for.

    Args:
        labels: Those of ours; Flink adds where a task runs.
        says: What it tells, in one sentence.
        act: What to do when it is not as it should be.
        scope: Flink's own scope of a metric of Flink; empty for the exporter's.
    """

    name: str
    kind: Literal["gauge", "counter"]
    unit: str
    labels: tuple[str, ...]
    says: str
    act: str
    scope: str = ""


def _flink(scope: str, name: str, unit: str, labels: tuple[str, ...], says: str, act: str) -> Metric:
    """A metric of Flink, under the name its Prometheus reporter makes; it hands out everything as a gauge."""
    return Metric(f"flink_{scope.replace('.', '_')}_{name}", "gauge", unit, labels, says, act, scope)


JOB = ("job_name",)
TASK = ("job_name", "task_name", "subtask_index")
TENANT = ("tenant",)

FLINK = (
    _flink(
        "jobmanager",
        "numRegisteredTaskManagers",
        "TaskManagers",
        (),
        "How many TaskManagers the JobManager can use.",
        "Below what was deployed: see why one left, in its log.",
    ),
    _flink(
        "jobmanager",
        "taskSlotsAvailable",
        "slots",
        (),
        "Places for tasks that no job has taken.",
        "A rebuild needs as many as the parallelism: with fewer, add a TaskManager first.",
    ),
    _flink(
        "jobmanager.job",
        "numRestarts",
        "restarts",
        JOB,
        "How often the job was started again since it was submitted.",
        "Grows again and again: the runbook JobRestartsOften.",
    ),
    _flink(
        "jobmanager.job",
        "downtime",
        "ms",
        JOB,
        "For how long a job that is being restarted has not run; 0 while it runs.",
        "Beyond a minute: the runbook JobNotRunning.",
    ),
    _flink(
        "jobmanager.job",
        "lastCheckpointDuration",
        "ms",
        JOB,
        "How long the newest complete checkpoint took.",
        "Grows: the runbook CheckpointsSlow.",
    ),
    _flink(
        "jobmanager.job",
        "lastCheckpointFullSize",
        "bytes",
        JOB,
        "State of the job, as large as it was in the newest checkpoint.",
        "Grows faster than units do: look at retention and at experiments that were never ended.",
    ),
    _flink(
        "jobmanager.job",
        "numberOfCompletedCheckpoints",
        "checkpoints",
        JOB,
        "Complete checkpoints since the job was submitted.",
        "Stands still: the runbook CheckpointTooOld.",
    ),
    _flink(
        "jobmanager.job",
        "numberOfFailedCheckpoints",
        "checkpoints",
        JOB,
        "Failed checkpoints since the job was submitted.",
        "Grows: the runbook CheckpointsFail.",
    ),
    _flink(
        "taskmanager.job.task",
        "busyTimeMsPerSecond",
        "ms per s",
        TASK,
        "How much of its time a task works.",
        "One subtask near 1000 and others idle: a key is hot. All near 1000: raise the parallelism.",
    ),
    _flink(
        "taskmanager.job.task",
        "backPressuredTimeMsPerSecond",
        "ms per s",
        TASK,
        "How much of its time a task waits for the one behind it.",
        "Look at the first task downstream that is busy and not pressed itself: the runbook BackPressured.",
    ),
    _flink(
        "taskmanager.job.task",
        "numRecordsInPerSecond",
        "records per s",
        TASK,
        "What a task takes in.",
        "Compare subtasks: very unequal ones mean a hot key.",
    ),
    _flink(
        "taskmanager.job.task",
        "currentInputWatermark",
        "ms since the epoch",
        TASK,
        "How far time has come at a task; a very small number before it has begun.",
        "Stands still while the heartbeat beats: one input holds it back; compare the tasks before it.",
    ),
    _flink(
        "taskmanager.job.task.operator",
        "currentOutputWatermark",
        "ms since the epoch",
        (*TASK, "operator_name"),
        "Of operator `sums`: up to which append time everything counted is told, slots too.",
        "Minutes behind: more slots change than may be told at once (`docs/performance.md`).",
    ),
    _flink(
        "taskmanager.job.task.operator",
        "pendingRecords",
        "records",
        (*TASK, "operator_name"),
        "Records a source knows of and has not read.",
        "Grows: the runbook LagGrows.",
    ),
    _flink(
        "taskmanager.job.task.operator.livelift.tenant",
        "rejected_share",
        "0 to 1",
        (*TASK, "tenant"),
        "Share of a tenant's records of the last two minutes that a task refused; duplicates are not.",
        "The runbook TenantRefused.",
    ),
    _flink(
        "taskmanager.job.task.operator.livelift.tenant",
        "rejected_share_above_limit",
        "0 or 1",
        (*TASK, "tenant"),
        "Whether that share is above attribution.rejected_percent_limit.",
        "The runbook TenantRefused.",
    ),
    _flink(
        "taskmanager.Status.JVM.Memory.Heap",
        "Used",
        "bytes",
        (),
        "Heap in use, garbage included.",
        "Close to Max for long: the runbook TaskManagerHeapFull.",
    ),
    _flink(
        "taskmanager.Status.JVM.Memory.Heap",
        "Max",
        "bytes",
        (),
        "Heap there can be.",
        "Given by local.taskmanager_process_mb, or by the cluster's own configuration.",
    ),
    _flink(
        "taskmanager.Status.JVM.GarbageCollector.All",
        "TimeMsPerSecond",
        "ms per s",
        (),
        "How much of its time the TaskManager collects garbage.",
        "Above 200: the heap is too small for the state; the runbook TaskManagerHeapFull.",
    ),
)

EXPORTER = (
    Metric(
        "livelift_up",
        "gauge",
        "0 or 1",
        ("part",),
        "Whether kafka, registry, flink, clickhouse and console answered the exporter's last look.",
        "The runbook PartDown.",
    ),
    Metric(
        "livelift_exporter_look_age_seconds",
        "gauge",
        "s",
        (),
        "Since the exporter last finished looking; what else it says is so old.",
        "The runbook MetricsMissing.",
    ),
    Metric(
        "livelift_heartbeat_age_seconds",
        "gauge",
        "s",
        (),
        "Since the newest heartbeat was appended.",
        "The runbook HeartbeatSilent.",
    ),
    Metric(
        "livelift_log_records_total",
        "counter",
        "records",
        ("tenant", "kind"),
        "Records ever appended to a tenant's topics (assignments, outcomes).",
        "Its rate is the tenant's: at 0 ask the tenant's producers; far above the others see LagGrows.",
    ),
    Metric(
        "livelift_count_delay_seconds",
        "gauge",
        "s",
        TENANT,
        "How long the oldest of a tenant's records that is not in the ledger has waited; 0 when all are.",
        "The first half of freshness: the runbook FreshnessBurnsFast.",
    ),
    Metric(
        "livelift_results_behind_seconds",
        "gauge",
        "s",
        TENANT,
        "How much older, by append time, a tenant's results are than the totals they are computed from.",
        "The second half of freshness; large alone: the scorecard job's statistics are too slow.",
    ),
    Metric(
        "livelift_results_age_seconds",
        "gauge",
        "s",
        TENANT,
        "Since the newest record that a tenant's results count was appended; large where a tenant is silent.",
        "Nothing by itself: compare with the tenant's rate.",
    ),
    Metric(
        "livelift_lag_records",
        "gauge",
        "records",
        JOB,
        "Records in a job's topics that are in no complete checkpoint of it yet.",
        "The runbook LagGrows.",
    ),
    Metric(
        "livelift_job_running",
        "gauge",
        "0 or 1",
        JOB,
        "Whether every task of a job that must run runs.",
        "The runbook JobNotRunning.",
    ),
    Metric(
        "livelift_checkpoint_age_seconds",
        "gauge",
        "s",
        JOB,
        "Since the newest complete checkpoint of a job was triggered; so much is done again after a failure.",
        "The runbook CheckpointTooOld.",
    ),
    Metric(
        "livelift_ledger_residue_records",
        "gauge",
        "records",
        TENANT,
        "Records of six hours, older than three minutes, that the ledger received and nothing became of.",
        "The runbook LedgerResidue.",
    ),
    Metric(
        "livelift_rejected_share",
        "gauge",
        "0 to 1",
        TENANT,
        "Share of a tenant's records of the last ten minutes that were refused, by the ledger.",
        "The runbook TenantRefused.",
    ),
    Metric(
        "livelift_recent_records",
        "gauge",
        "records",
        ("fate",),
        "What became of the records of the last ten minutes, of all tenants together.",
        "One reason grows: livelift rejected list --reason REASON.",
    ),
    Metric(
        "livelift_coverage_lag_seconds",
        "gauge",
        "s",
        ("region",),
        "How far a region's watermark is behind the clock: what was appended before it is in view `all`.",
        "One region alone: its mirror or its jobs are away; results say since when it is missing.",
    ),
    Metric(
        "livelift_last_decision_age_seconds",
        "gauge",
        "s",
        ("kind",),
        "Since the newest decision of a kind (stop, invalid, ship).",
        "Nothing by itself; a new stop concerns the experiment's owner, a new invalid its assignment.",
    ),
    Metric(
        "livelift_decision_delay_seconds",
        "gauge",
        "s",
        ("kind",),
        "From a crossing to its stop or invalid, the longest of the last hour; ships wait for days.",
        "The runbook DecisionLate.",
    ),
    Metric(
        "livelift_table_rows",
        "gauge",
        "rows",
        ("table",),
        "Rows of a table of ClickHouse, versions that are not merged yet included.",
        "slot_rows grows much faster than experiments do: look at their segments and cohort_hours.",
    ),
    Metric(
        "livelift_table_bytes",
        "gauge",
        "bytes",
        ("table",),
        "Size of a table of ClickHouse on disk.",
        "Compare with the free disk; docs/design.md says what to expect.",
    ),
)

CATALOGUE = {metric.name: metric for metric in (*FLINK, *EXPORTER)}
"""By name."""


def flink_filter() -> str:
    """What Flink's reporter hands out, in the form of its option ``filter.includes``.

    Without it one TaskManager of two jobs hands out 5,000 series, of which most are Kafka's per partition.
    """
    return ";".join(f"{scope}:{','.join(names)}" for scope, names in _by_scope())


def _by_scope() -> Iterator[tuple[str, list[str]]]:
    for scope in sorted({metric.scope for metric in FLINK}):
        start = len(f"flink_{scope}_")
        yield scope, [metric.name[start:] for metric in FLINK if metric.scope == scope]
