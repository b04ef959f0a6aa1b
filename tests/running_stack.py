"""A stack of its own for the tests: free ports, a folder of its own, the same code as for everyone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.settings import ROOT, Settings, load
from infra.local.processes import free_ports


def free_environment(run_dir: Path) -> dict[str, str]:
    """Settings, as environment variables, that collide with no other stack on this machine."""
    broker, controller, registry, rest, rpc, clickhouse = free_ports(6)
    return {
        "LIVELIFT_RUN_DIR": str(run_dir),
        "LIVELIFT_KAFKA_BOOTSTRAP": f"127.0.0.1:{broker}",
        "LIVELIFT_LOCAL_KAFKA_CONTROLLER_PORT": str(controller),
        "LIVELIFT_REGISTRY_URL": f"http://127.0.0.1:{registry}/apis/ccompat/v7",
        "LIVELIFT_FLINK_REST_URL": f"http://127.0.0.1:{rest}",
        "LIVELIFT_LOCAL_FLINK_RPC_PORT": str(rpc),
        "LIVELIFT_CLICKHOUSE_URL": f"http://127.0.0.1:{clickhouse}",
    }


@dataclass(frozen=True)
class RunningStack:
    """The running stack as a test sees it."""

    environment: Mapping[str, str]

    @property
    def settings(self) -> Settings:
        """Read anew at each use: the operator's token is there only once the stack came up."""
        return load(environ=self.environment)

    def livelift(
        self, *arguments: str, stdin: str = "", timeout_s: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run one command of the command line to its end; its exit status is the caller's to judge."""
        return subprocess.run(
            [sys.executable, "-m", "infra.cli.main", *arguments],
            cwd=ROOT,
            env={**os.environ, **self.environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
