"""The attribution job: records of all tenants in, slots, counts and refused records out.

received ── attribute (by tenant and unit) ── sums (by slot or minute) ── counted ─┬─ slots
                                                                                   ├─ counts
                                                                                   └─ rejected
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from pyflink.table import StatementSet, TableEnvironment

from config.settings import DAY_MS, Settings
from jobs.attribution.lane import Lane
from jobs.attribution.takeover import layout_sha256, must_match, plan_sha256
from jobs.wiring import kafka, rejected
from jobs.wiring.flink import declare_functions

FOLDER = Path(__file__).parent

FUNCTIONS = {"emission_version": "EmissionVersion"}


class PlanError(Exception):
    """The queries give another plan than the one that is kept; one line."""


OPTIONS = {
    # All sinks read one source with one state; planned apart they would be three.
    "table.optimizer.reuse-sub-plan-enabled": "true",
    # The plan names tables and leaves their options, and so the environment, out.
    "table.plan.compile.catalog-objects": "IDENTIFIER",
}
"""How the planner must plan; part of the plan."""


def parameters(settings: Settings, lane: Lane) -> dict[str, str]:
    """What the Java functions ask for (``JobParameters.java``)."""
    return {
        "livelift.bootstrap": settings.kafka.bootstrap,
        "livelift.definitions_topic": kafka.DEFINITIONS_TOPIC,
        "livelift.slots_topic": kafka.SLOTS_TOPIC,
        "livelift.counts_topic": kafka.COUNTS_TOPIC,
        "livelift.registry_url": settings.registry.url,
        "livelift.max_skew_ms": str(settings.attribution.max_skew_ms),
        "livelift.rejected_percent_limit": str(settings.attribution.rejected_percent_limit),
        **must_match(settings),
        **lane.parameters,
    }


def keep_minutes_ms(settings: Settings) -> int:
    """How long after its last change a minute's sums are kept: nothing may come for them then.

    A record can change what became of it until its retention has passed and the exposure that claimed it is
    final, two horizons later; the rest is for a job that stood still, because Flink's clock goes on.
    """
    of = settings.attribution
    return max(60 * DAY_MS, of.retention_ms + 2 * of.horizon_ms + 18 * DAY_MS)


def attribution(tables: TableEnvironment, settings: Settings, lane: Lane) -> StatementSet:
    """The whole job, declared in an environment that has ``OPTIONS``."""
    declare_functions(tables, FUNCTIONS)
    for ends in (
        kafka.counted(
            settings,
            group=lane.name,
            topics=lane.topic_pattern,
            keep_minutes_ms=keep_minutes_ms(settings),
        ),
        kafka.slots_written(settings),
        kafka.counts_written(settings),
        rejected.rejected_written(settings),
    ):
        tables.execute_sql(ends)
    statements = tables.create_statement_set()
    for insert in ("slots", "counts", "rejected"):
        statements.add_insert_sql((FOLDER / f"{insert}.sql").read_text(encoding="utf-8"))
    return statements


def compiled(statements: StatementSet) -> str:
    """The plan as JSON; equal statements and options give equal text, whatever the environment.

    Flink numbers a plan's nodes on from the last one it planned, and names the state of all operators but the
    function after these numbers: they are counted from 1 here.
    """
    plan = json.loads(statements.compile_plan().as_json_string())
    numbers = {node["id"]: number for number, node in enumerate(plan["nodes"], start=1)}
    for node in plan["nodes"]:
        node["id"] = numbers[node["id"]]
    for edge in plan["edges"]:
        edge["source"], edge["target"] = numbers[edge["source"]], numbers[edge["target"]]
    return json.dumps(plan, indent=2) + "\n"


def submit(tables: TableEnvironment, settings: Settings, lane: Lane) -> str:
    """Start the job and return its id.

    The compiled plan is what runs: the state's names are the plan's, so a new start finds its state again.

    Raises:
        PlanError: Its layout is not the one that ``plan.json`` says everyone knows of.
    """
    plan = compiled(attribution(tables, settings, lane))
    if layout_sha256(plan) != plan_sha256():
        raise PlanError(
            "the queries do not give the plan that jobs/attribution/plan.json keeps; running jobs cannot be "
            "taken over by it: python -m jobs.attribution --plan > jobs/attribution/plan.json, then rebuild"
        )
    with NamedTemporaryFile("w", suffix=".json") as file:
        file.write(plan)
        file.flush()
        # By statement: in Flink 2.3.0 Python's CompiledPlan.execute() calls a method that is not there.
        result = tables.execute_sql(f"EXECUTE PLAN '{Path(file.name).as_uri()}'")
    client: Any = result.get_job_client()
    return str(client.get_job_id())
