"""A stack for the bench alone: ports and a folder of its own, empty, gone at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from config.settings import ROOT, Settings, load
from infra.local import stack
from infra.local.elsewhere import free_environment

RUN_DIR = ROOT / ".livelift" / "bench"

WITHOUT_JOBS = (
    "broker",
    "registry",
    "jobmanager",
    "taskmanager",
    "clickhouse",
    "contracts",
    "migrations",
    "heartbeat",
)
"""The contenders are submitted one at a time; nothing else runs beside them."""

MACHINE = {
    "LIVELIFT_FLINK_CHECKPOINT_INTERVAL_MS": "10000",
    "LIVELIFT_LOCAL_TASKMANAGER_PROCESS_MB": "6144",
    "LIVELIFT_LOCAL_CLICKHOUSE_MEMORY_MB": "8192",
}
"""What differs from an ordinary stack of one machine, for every question of the bench."""


@contextmanager
def own_stack(
    *parts: str, changes: Mapping[str, str] | None = None, run_dir: Path = RUN_DIR
) -> Iterator[Settings]:
    """The settings of a stack that came up empty; they are the environment's until it is stopped.

    Args:
        parts: Only these; all by default.
        changes: Settings as environment variables, over those of ``MACHINE``.

    Raises:
        StackError: It did not come up.
    """
    environment = {**free_environment(run_dir), **MACHINE, **(changes or {})}
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    settings = load()
    try:
        stack.down(settings)
        stack.wipe(settings)
        stack.up(settings, names=parts)
        yield load()  # once more: the operator's token is there now
    finally:
        stack.down(settings)
        for name, text in before.items():
            os.environ.pop(name) if text is None else os.environ.update({name: text})
