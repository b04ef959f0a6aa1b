"""The stack that the tests of the stack share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from config.settings import ROOT, Settings, load
from infra.cluster import Cluster
from infra.lanes import running_lanes
from jobs.attribution.lane import Lane


@dataclass(frozen=True)
class RunningStack:
    """The running stack as a test sees it."""

    environment: Mapping[str, str]

    @property
    def settings(self) -> Settings:
        """Read anew at each use: the operator's token is there only once the stack came up."""
        return load(environ=self.environment)

    @property
    def everyone(self) -> Lane:
        """The lane of everyone: tests of rebuilds may have replaced the first one."""
        (lane,) = (lane for lane in running_lanes(Cluster(self.settings)) if not lane.tenant_id)
        return lane

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

    def disproof(self) -> str:
        """What is wrong with the views once all that was published is in them; empty when nothing is."""
        for command in ("wait", "verify", "reconcile"):
            done = self.livelift(command, timeout_s=300.0)
            if done.returncode != 0:
                return f"{command}: {done.stdout}{done.stderr}"
        return ""
