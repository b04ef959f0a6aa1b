"""The read limit: how fast can this machine count raw records from Kafka, doing nothing else?

``python -m infra.bench.contenders.read_limit`` submits the job and prints its id.
"""

from __future__ import annotations

from pyflink.table import EnvironmentSettings, TableEnvironment

from config.settings import Settings, load
from infra.bench.contenders.submitting import job_id, options, read

TOPICS = r"livelift\.[a-z0-9-]{1,40}\.(assignments|outcomes)"
MINI_BATCH_MS = 2000


def submit(settings: Settings) -> str:
    """Start the job and return its id."""
    running = options(settings, "bench-read-limit", MINI_BATCH_MS)
    tables = TableEnvironment.create(
        EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(running).build()
    )
    tables.execute_sql(read(settings, "records", "record_value BYTES", TOPICS, {"format": "raw"}))
    tables.execute_sql("CREATE TEMPORARY TABLE counted (records BIGINT) WITH ('connector' = 'blackhole')")
    return job_id(tables.execute_sql("INSERT INTO counted SELECT COUNT(*) FROM records"))


if __name__ == "__main__":
    print(submit(load()))
