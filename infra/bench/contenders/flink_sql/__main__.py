"""``python -m infra.bench.contenders.flink_sql`` submits the job and prints its id."""

from __future__ import annotations

from pathlib import Path

from pyflink.table import EnvironmentSettings, TableEnvironment

from config.settings import Settings, load
from infra.bench.contenders.submitting import job_id, options, read, written
from infra.bench.dataset import CAP, DAY_MS, WINDOW_DAYS

FOLDER = Path(__file__).parent
MINI_BATCH_MS = 2000

ASSIGNMENTS = "tenant_id STRING, unit_id STRING, experiment_id STRING, variant_id STRING, assigned_at BIGINT"
OUTCOMES = (
    "tenant_id STRING, unit_id STRING, metric_id STRING, `value` DOUBLE, weight DOUBLE, occurred_at BIGINT"
)
VARIANT = "tenant_id STRING, experiment_id STRING, variant_id STRING"
EXPOSED = f"{VARIANT}, n BIGINT, PRIMARY KEY (tenant_id, experiment_id, variant_id) NOT ENFORCED"
MOMENTS = (
    f"{VARIANT}, source STRING, y DOUBLE, d DOUBLE, yy DOUBLE, yd DOUBLE, dd DOUBLE, "
    "PRIMARY KEY (tenant_id, experiment_id, variant_id, source) NOT ENFORCED"
)
EXPOSED_TOPIC = "bench.flink-sql.exposed"
MOMENTS_TOPIC = "bench.flink-sql.moments"


def submit(settings: Settings) -> str:
    """Start the job and return its id."""
    running = options(settings, "bench-flink-sql", MINI_BATCH_MS)
    tables = TableEnvironment.create(
        EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(running).build()
    )
    for name, columns in {"assignments": ASSIGNMENTS, "outcomes": OUTCOMES}.items():
        topics = rf"livelift\.[a-z0-9-]{{1,40}}\.{name}"
        # Only the columns that are used are decoded.
        avro = {"format": "avro-confluent", "avro-confluent.url": settings.registry.url}
        tables.execute_sql(read(settings, name, columns, topics, avro))
    tables.execute_sql(written(settings, "exposed", EXPOSED, EXPOSED_TOPIC))
    tables.execute_sql(written(settings, "moments", MOMENTS, MOMENTS_TOPIC))
    for view in ("exposures", "totals"):
        tables.create_temporary_view(view, tables.sql_query(_sql(view)))
    statements = tables.create_statement_set()
    statements.add_insert_sql(_sql("exposed"))
    statements.add_insert_sql(_sql("moments"))
    return job_id(statements.execute())


def _sql(name: str) -> str:
    text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    return text.format(cap=CAP, window_ms=WINDOW_DAYS * DAY_MS)


if __name__ == "__main__":
    print(submit(load()))
