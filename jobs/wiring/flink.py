"""How a job is run: on which cluster, with which checkpoints, jars and parameters."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from pyflink.common import Configuration
from pyflink.table import TableEnvironment

from config.settings import ROOT, Settings

JAVA_PACKAGE = "io.livelift.attribution.flink"

MAX_PARALLELISM = 128
"""Number of key groups: state cannot be spread wider, and the number cannot change while there is state."""

ROCKSDB = {
    # A key is in one file of a dozen; without a filter a read looks into most of them.
    "state.backend.rocksdb.use-bloom-filter": "true",
    # A unit's bytes are hashes and short numbers, which get no shorter, and each read would undo a block.
    "state.backend.rocksdb.compression.per.level": "NO_COMPRESSION",
}
"""What RocksDB is told; the other state backend does not ask. Measured in ``docs/performance.md``."""


def configuration(
    settings: Settings, name: str, *, restore: str | None = None, parameters: Mapping[str, str] | None = None
) -> Configuration:
    """``job_options`` in Flink's own form; starts the JVM of PyFlink."""
    result = Configuration()
    for key, value in job_options(settings, name, restore=restore, parameters=parameters).items():
        result.set_string(key, value)
    return result


def job_options(
    settings: Settings, name: str, *, restore: str | None = None, parameters: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Everything Flink needs to know of a job besides what it does.

    Args:
        name: The job's name, and the name of its folder of checkpoints.
        restore: URI of the savepoint or retained checkpoint to begin from; None begins with empty state.
        parameters: What the job's Java functions can ask for.
    """
    cluster = urlsplit(settings.flink.rest_url)
    return {
        "execution.target": "remote",
        "execution.attached": "false",
        "rest.address": cluster.hostname or "",
        "rest.port": str(cluster.port),
        "pipeline.name": name,
        "pipeline.jars": ";".join(jar.as_uri() for jar in (settings.attribution_jar, *settings.flink_jars)),
        "pipeline.max-parallelism": str(MAX_PARALLELISM),
        "pipeline.object-reuse": "true",
        "pipeline.global-job-parameters": _flink_map(parameters or {}),
        "parallelism.default": str(settings.flink.parallelism),
        **_state(settings, name),
        **(_recovery(restore) if restore else {}),
    }


def declare_functions(tables: TableEnvironment, functions: Mapping[str, str]) -> None:
    """Make Java functions known to SQL: classes of ``JAVA_PACKAGE``, by the names they have there."""
    for name, java_class in functions.items():
        tables.execute_sql(f"CREATE TEMPORARY FUNCTION {name} AS '{JAVA_PACKAGE}.{java_class}'")


def python_workers(bundle_ms: int) -> dict[str, str]:
    """Options of a job with operators in Python: processes of this interpreter that find this repository.

    Args:
        bundle_ms: Records wait this long for each other at every operator in Python.
    """
    return {
        "python.execution-mode": "process",
        "python.executable": sys.executable,
        "python.pythonpath": str(ROOT),
        "python.fn-execution.bundle.time": str(bundle_ms),
    }


def _state(settings: Settings, name: str) -> dict[str, str]:
    return {
        "state.backend.type": settings.flink.state_backend,
        "table.exec.state.ttl": "0 ms",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.interval": f"{settings.flink.checkpoint_interval_ms} ms",
        "execution.checkpointing.dir": f"{settings.flink.checkpoint_dir}/{name}",
        "execution.checkpointing.savepoint-dir": settings.flink.savepoint_dir,
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.incremental": str(settings.flink.state_backend == "rocksdb").lower(),
        **ROCKSDB,
        # A checkpoint that fails is tried again; only the last good one counts.
        "execution.checkpointing.tolerable-failed-checkpoints": "10",
    }


def _recovery(path: str) -> dict[str, str]:
    # A retained checkpoint has served once the next one is complete; a savepoint is the operator's to delete.
    is_checkpoint = PurePosixPath(path).name.startswith("chk-")
    return {
        "execution.state-recovery.path": path,
        "execution.state-recovery.claim-mode": "CLAIM" if is_checkpoint else "NO_CLAIM",
    }


def _flink_map(entries: Mapping[str, str]) -> str:
    """Flink's text form of a map: YAML on one line, in which quotes and escapes allow for any letter."""
    return "{" + ", ".join(f"{_quoted(key)}: {_quoted(value)}" for key, value in entries.items()) + "}"


def _quoted(text: str) -> str:
    plain = (each if " " <= each <= "~" and each not in '"\\' else f"\\U{ord(each):08x}" for each in text)
    return '"' + "".join(plain) + '"'
