"""A stack beside the others: ports and a folder of its own."""

from __future__ import annotations

from pathlib import Path

from infra.local.processes import free_ports


def free_environment(run_dir: Path) -> dict[str, str]:
    """Settings, as environment variables, that collide with no other stack on this machine."""
    broker, controller, registry, rest, rpc, clickhouse, console, *metrics = free_ports(10)
    return {
        "LIVELIFT_RUN_DIR": str(run_dir),
        "LIVELIFT_KAFKA_BOOTSTRAP": f"127.0.0.1:{broker}",
        "LIVELIFT_LOCAL_KAFKA_CONTROLLER_PORT": str(controller),
        "LIVELIFT_REGISTRY_URL": f"http://127.0.0.1:{registry}/apis/ccompat/v7",
        "LIVELIFT_FLINK_REST_URL": f"http://127.0.0.1:{rest}",
        "LIVELIFT_LOCAL_FLINK_RPC_PORT": str(rpc),
        "LIVELIFT_CLICKHOUSE_URL": f"http://127.0.0.1:{clickhouse}",
        "LIVELIFT_CONSOLE_PORT": str(console),
        "LIVELIFT_LOCAL_JOBMANAGER_METRICS_PORT": str(metrics[0]),
        "LIVELIFT_LOCAL_TASKMANAGER_METRICS_PORT": str(metrics[1]),
        "LIVELIFT_EXPORTER_URL": f"http://127.0.0.1:{metrics[2]}",
    }
