"""The dashboards: which questions they answer, with which expressions, and how Grafana wants to be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

WIDTH = 8
HEIGHT = 8
COLUMNS = 3

Unit = Literal["s", "ms", "bytes", "percentunit", "short", "cps", "bool_on_off"]

ALL_TENANTS = 'tenant=~"$tenant"'


@dataclass(frozen=True)
class Panel:
    """A question and its answer over time; the expressions' series are named by ``legend``."""

    title: str
    says: str
    unit: Unit
    exprs: tuple[str, ...]
    legend: str
    limit: float | None = None
    """Drawn as a line where an alert or a promise has one."""


@dataclass(frozen=True)
class Dashboard:
    """A page of panels."""

    uid: str
    title: str
    panels: tuple[Panel, ...]
    has_tenants: bool = False
    """Whether a reader picks tenants; the greatest ten otherwise."""


OVERVIEW = Dashboard(
    "livelift-overview",
    "livelift: are results fresh and complete?",
    (
        Panel(
            "How old are results?",
            "From publication until results count a record; the ten tenants that wait longest.",
            "s",
            ("topk(10, livelift:results_delay_seconds)",),
            "{{tenant}}",
            limit=10,
        ),
        Panel(
            "Freshness budget",
            "Share of the time in which results were more than 10 s old; 1 % is the promise.",
            "percentunit",
            ("livelift:stale:avg1h", "livelift:stale:avg6h", "livelift:stale:avg3d"),
            "{{__name__}}",
            limit=0.01,
        ),
        Panel(
            "Readability budget",
            "Share of the time in which results could not be read; 0.1 % is the promise.",
            "percentunit",
            ("livelift:unreadable:avg1h", "livelift:unreadable:avg6h", "livelift:unreadable:avg3d"),
            "{{__name__}}",
            limit=0.001,
        ),
        Panel(
            "Records without a fate",
            "Received by the ledger, older than three minutes, and nothing became of them. Always 0.",
            "short",
            ("topk(10, livelift_ledger_residue_records)",),
            "{{tenant}}",
            limit=1,
        ),
        Panel(
            "Refused share",
            "Of the records of the last ten minutes; the ten tenants with the greatest.",
            "percentunit",
            ("topk(10, livelift_rejected_share)",),
            "{{tenant}}",
            limit=0.05,
        ),
        Panel(
            "What became of records",
            "Of the last ten minutes, all tenants together.",
            "short",
            ("livelift_recent_records",),
            "{{fate}}",
        ),
        Panel(
            "Records per second",
            "Appended; the ten tenants that send most, and all.",
            "cps",
            (
                "topk(10, sum by (tenant) (rate(livelift_log_records_total[5m])))",
                "sum(rate(livelift_log_records_total[5m]))",
            ),
            "{{tenant}}",
        ),
        Panel(
            "Behind",
            "Records that are in no complete checkpoint of a job yet.",
            "short",
            ("livelift_lag_records",),
            "{{job_name}}",
            limit=100_000,
        ),
        Panel(
            "Checkpoint age",
            "So much is done again after a failure.",
            "s",
            ("livelift_checkpoint_age_seconds",),
            "{{job_name}}",
            limit=120,
        ),
        Panel(
            "Jobs that must run",
            "1 when every task runs.",
            "bool_on_off",
            ("livelift_job_running",),
            "{{job_name}}",
        ),
        Panel("Parts", "1 when it answers.", "bool_on_off", ("livelift_up",), "{{part}}"),
        Panel(
            "Signs of life",
            "Age of the newest heartbeat and of the exporter's last look.",
            "s",
            ("livelift_heartbeat_age_seconds", "livelift_exporter_look_age_seconds"),
            "{{__name__}}",
            limit=30,
        ),
        Panel(
            "Regions behind by",
            "The clock against each region's watermark.",
            "s",
            ("livelift_coverage_lag_seconds",),
            "{{region}}",
            limit=10,
        ),
        Panel(
            "Newest decision",
            "How long ago, by kind.",
            "s",
            ("livelift_last_decision_age_seconds",),
            "{{kind}}",
        ),
        Panel(
            "Decisions come after",
            "From the crossing of the boundary to the decision; the latest of the last hour.",
            "s",
            ("livelift_decision_delay_seconds",),
            "{{kind}}",
            limit=60,
        ),
        Panel(
            "Rows in ClickHouse",
            "Versions that are not merged yet included.",
            "short",
            ("livelift_table_rows",),
            "{{table}}",
        ),
        Panel("Size in ClickHouse", "On disk.", "bytes", ("livelift_table_bytes",), "{{table}}"),
    ),
)

JOBS = Dashboard(
    "livelift-jobs",
    "livelift: the jobs",
    (
        Panel(
            "Restarts",
            "In the last half hour.",
            "short",
            ("increase(flink_jobmanager_job_numRestarts[30m])",),
            "{{job_name}}",
            limit=3,
        ),
        Panel(
            "Recovery",
            "For how long a job that is being restarted has not run.",
            "ms",
            ("flink_jobmanager_job_downtime",),
            "{{job_name}}",
            limit=60_000,
        ),
        Panel(
            "TaskManagers and free places",
            "A rebuild needs free places.",
            "short",
            ("flink_jobmanager_numRegisteredTaskManagers", "flink_jobmanager_taskSlotsAvailable"),
            "{{__name__}}",
        ),
        Panel(
            "Checkpoint duration",
            "Of the newest complete one.",
            "ms",
            ("flink_jobmanager_job_lastCheckpointDuration",),
            "{{job_name}}",
            limit=30_000,
        ),
        Panel(
            "Checkpoints per minute",
            "Complete ones, and failed ones.",
            "short",
            (
                "60 * rate(flink_jobmanager_job_numberOfCompletedCheckpoints[5m])",
                "60 * rate(flink_jobmanager_job_numberOfFailedCheckpoints[5m])",
            ),
            "{{job_name}}",
        ),
        Panel(
            "State size",
            "In the newest complete checkpoint.",
            "bytes",
            ("flink_jobmanager_job_lastCheckpointFullSize",),
            "{{job_name}}",
        ),
        Panel(
            "Busy",
            "Share of its time a task works; its busiest subtask.",
            "percentunit",
            ("max by (job_name, task_name) (flink_taskmanager_job_task_busyTimeMsPerSecond) / 1000",),
            "{{job_name}}: {{task_name}}",
        ),
        Panel(
            "Back-pressured",
            "Share of its time a task waits for those behind it; its slowest subtask.",
            "percentunit",
            (
                "max by (job_name, task_name) "
                "(flink_taskmanager_job_task_backPressuredTimeMsPerSecond) / 1000",
            ),
            "{{job_name}}: {{task_name}}",
            limit=0.5,
        ),
        Panel(
            "Records into each task",
            "Per second, all subtasks together.",
            "cps",
            ("sum by (job_name, task_name) (flink_taskmanager_job_task_numRecordsInPerSecond)",),
            "{{job_name}}: {{task_name}}",
        ),
        Panel(
            "Unread",
            "Records that sources know of and have not read.",
            "short",
            ("sum by (job_name, operator_name) (flink_taskmanager_job_task_operator_pendingRecords)",),
            "{{job_name}}: {{operator_name}}",
        ),
        Panel(
            "Time is behind by",
            "The clock against the least watermark of each job's tasks.",
            "s",
            ("time() - min by (job_name) (flink_taskmanager_job_task_currentInputWatermark > 0) / 1000",),
            "{{job_name}}",
        ),
        Panel(
            "Slots wait for",
            "How long changed slots are held back; totals, and so view all, are not.",
            "s",
            (
                "max by (job_name) (flink_taskmanager_job_task_currentInputWatermark "
                "- on (job_name, task_name, subtask_index) (flink_taskmanager_job_task_operator"
                '_currentOutputWatermark{operator_name="sums"} > 0)) / 1000',
            ),
            "{{job_name}}",
        ),
        Panel(
            "Heap",
            "Share in use, and share of the time in which garbage is collected.",
            "percentunit",
            (
                "flink_taskmanager_Status_JVM_Memory_Heap_Used "
                "/ flink_taskmanager_Status_JVM_Memory_Heap_Max",
                "flink_taskmanager_Status_JVM_GarbageCollector_All_TimeMsPerSecond / 1000",
            ),
            "{{tm_id}}",
        ),
    ),
)

TENANTS = Dashboard(
    "livelift-tenants",
    "livelift: tenants",
    (
        Panel(
            "Records per second",
            "Appended, by what they are.",
            "cps",
            (f"rate(livelift_log_records_total{{{ALL_TENANTS}}}[5m])",),
            "{{tenant}} {{kind}}",
        ),
        Panel(
            "Delay of the ledger",
            "How long the oldest record that is not in the ledger has waited.",
            "s",
            (f"livelift_count_delay_seconds{{{ALL_TENANTS}}}",),
            "{{tenant}}",
            limit=10,
        ),
        Panel(
            "Results behind slots",
            "By append time.",
            "s",
            (f"livelift_results_behind_seconds{{{ALL_TENANTS}}}",),
            "{{tenant}}",
            limit=10,
        ),
        Panel(
            "Newest record in results",
            "Large where the tenant is silent.",
            "s",
            (f"livelift_results_age_seconds{{{ALL_TENANTS}}}",),
            "{{tenant}}",
        ),
        Panel(
            "Refused, by the ledger",
            "Share of the records of the last ten minutes.",
            "percentunit",
            (f"livelift_rejected_share{{{ALL_TENANTS}}}",),
            "{{tenant}}",
        ),
        Panel(
            "Refused, by the tasks",
            "Share of the records of the last two minutes, at the task with the greatest.",
            "percentunit",
            (
                "max by (tenant) (flink_taskmanager_job_task_operator_livelift_tenant_rejected_share"
                f"{{{ALL_TENANTS}}})",
            ),
            "{{tenant}}",
        ),
        Panel(
            "Records without a fate",
            "Always 0.",
            "short",
            (f"livelift_ledger_residue_records{{{ALL_TENANTS}}}",),
            "{{tenant}}",
            limit=1,
        ),
    ),
    has_tenants=True,
)

DASHBOARDS = (OVERVIEW, JOBS, TENANTS)

SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def as_grafana(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana imports or provisions it; the reader picks the data source."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["livelift"],
        "schemaVersion": 39,
        "timezone": "utc",
        "refresh": "15s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": _variables(dashboard)},
        "panels": [_panel(number, panel) for number, panel in enumerate(dashboard.panels)],
    }


def _variables(dashboard: Dashboard) -> list[dict[str, Any]]:
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    tenant = {
        "name": "tenant",
        "label": "Tenant",
        "type": "query",
        "datasource": SOURCE,
        "query": "label_values(livelift_log_records_total, tenant)",
        "multi": True,
        "includeAll": True,
        "refresh": 2,
        "sort": 1,
    }
    return [source, tenant] if dashboard.has_tenants else [source]


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, COLUMNS)
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.limit is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.limit}]
        defaults |= {
            "thresholds": {"mode": "absolute", "steps": steps},
            "custom": {"thresholdsStyle": {"mode": "line"}},
        }
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "gridPos": {"h": HEIGHT, "w": WIDTH, "x": column * WIDTH, "y": row * HEIGHT},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {
            "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}
        },
        "targets": [
            {"refId": chr(ord("A") + each), "datasource": SOURCE, "expr": expr, "legendFormat": panel.legend}
            for each, expr in enumerate(panel.exprs)
        ],
    }
