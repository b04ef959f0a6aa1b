"""The attribution job: records of all tenants in, slots and refused records out.

received ── records ── attribute (by tenant and unit) ── deltas ─┬─ sums per slot ── slots
                                                                 └─ rejected
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from pyflink.table import StatementSet, TableEnvironment

from config.settings import Settings
from jobs.wiring import kafka, rejected

NAME = "livelift-attribution"
FOLDER = Path(__file__).parent

FUNCTIONS = {
    "tenant_of": "TenantOf",
    "attribute": "Attribute",
    "exact_sum": "ExactSum",
    "emission_version": "EmissionVersion",
}
JAVA_PACKAGE = "io.livelift.attribution.flink"


def options(settings: Settings) -> dict[str, str]:
    """How the planner must plan; part of the plan and so of the state's layout, except for the latency."""
    return {
        "table.exec.mini-batch.enabled": "true",
        "table.exec.mini-batch.allow-latency": f"{settings.attribution.mini_batch_ms} ms",
        "table.exec.mini-batch.size": "50000",
        "table.optimizer.agg-phase-strategy": "TWO_PHASE",
        # Both sinks read one function with one state; planned apart they would be two.
        "table.optimizer.reuse-sub-plan-enabled": "true",
        # The plan names tables and leaves their options, and so the environment, out.
        "table.plan.compile.catalog-objects": "IDENTIFIER",
    }


def parameters(settings: Settings) -> dict[str, str]:
    """What the Java functions ask for (``JobParameters.java``)."""
    values = {
        "bootstrap": settings.kafka.bootstrap,
        "definitions_topic": kafka.DEFINITIONS_TOPIC,
        "registry_url": settings.registry.url,
        "region": settings.region,
        "epoch": settings.attribution.epoch,
        "horizon_ms": settings.attribution.horizon_ms,
        "future_ms": settings.attribution.future_ms,
        "retention_ms": settings.attribution.retention_ms,
    }
    return {f"livelift.{name}": str(value) for name, value in values.items()}


def attribution(tables: TableEnvironment, settings: Settings) -> StatementSet:
    """The whole job, declared in an environment that has ``options``."""
    for name, java_class in FUNCTIONS.items():
        tables.execute_sql(f"CREATE TEMPORARY FUNCTION {name} AS '{JAVA_PACKAGE}.{java_class}'")
    for ends in (
        kafka.received(settings),
        kafka.slots_written(settings),
        rejected.rejected_written(settings),
    ):
        tables.execute_sql(ends)
    _view(tables, "records")
    _view(tables, "deltas")
    statements = tables.create_statement_set()
    statements.add_insert_sql(_sql("slots"))
    statements.add_insert_sql(_sql("rejected"))
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


def submit(tables: TableEnvironment, settings: Settings) -> str:
    """Start the job and return its id.

    The compiled plan is what runs: the state's names are the plan's, so a new start finds its state again.
    """
    plan = compiled(attribution(tables, settings))
    with NamedTemporaryFile("w", suffix=".json") as file:
        file.write(plan)
        file.flush()
        # By statement: in Flink 2.3.0 Python's CompiledPlan.execute() calls a method that is not there.
        result = tables.execute_sql(f"EXECUTE PLAN '{Path(file.name).as_uri()}'")
    client: Any = result.get_job_client()
    return str(client.get_job_id())


def _view(tables: TableEnvironment, name: str) -> None:
    # From a query and not from a statement: Flink 2.3.0 cannot read back its own text of a named argument.
    tables.create_temporary_view(name, tables.sql_query(_sql(name)))


def _sql(name: str) -> str:
    text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    return text.format(heartbeat_topic=kafka.HEARTBEAT_TOPIC)
