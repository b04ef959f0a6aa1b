"""The Flink cluster: one JobManager, one TaskManager, both from the Python package's own distribution.

They are started as plain Java processes, not by ``bin/*.sh``, which would start one more JVM each to work out
the memory.
"""

from __future__ import annotations

import os
import sys
import time
from abc import abstractmethod
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import yaml

from config.settings import Local, Settings, port_of
from infra.local import java
from infra.local.part import Part, Port, get
from jobs.wiring.metric_names import flink_filter

METASPACE_MB = 320
JVM_OVERHEAD_MB = 256
FRAMEWORK_MB = 128
"""Flink's own part of the heap, and as much again outside it."""
NETWORK_MB = 128
LEAST_TASK_HEAP_MB = 256


class _FlinkProcess(Part):
    entrypoint: ClassVar[str]

    def lacks(self) -> str:
        return java.lack(flink_home() / "lib")

    def prepare(self) -> None:
        write_configuration(self.settings, self.local)

    def command(self) -> list[str]:
        return [
            java.executable(),
            *self._java_options(),
            "-XX:+ExitOnOutOfMemoryError",
            *_default_java_options().split(),
            f"-Dlog.file={self.settings.logs_dir / self.name}-web.log",
            f"-Dlog4j.configurationFile={configuration_dir(self.settings) / 'log4j-console.properties'}",
            "-cp",
            ":".join(map(str, _class_path())),
            self.entrypoint,
            "--configDir",
            str(configuration_dir(self.settings)),
            # Both processes read one file, and each listens on a port of its own.
            f"-Dmetrics.reporter.prometheus.port={self.metrics_port}",
        ]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), **client_environment(self.settings)}

    @property
    @abstractmethod
    def metrics_port(self) -> int:
        """Where Prometheus reads the metrics of this process."""

    @abstractmethod
    def _java_options(self) -> list[str]:
        """Of this process: heap, collector, limits."""


class JobManager(_FlinkProcess):
    """Plans, schedules and restarts the jobs; serves the web page."""

    name = "jobmanager"
    entrypoint = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"

    @property
    def ports(self) -> tuple[Port, ...]:
        return (
            Port(port_of(self.settings.flink.rest_url), "LIVELIFT_FLINK_REST_URL"),
            Port(self.local.flink_rpc_port, "LIVELIFT_LOCAL_FLINK_RPC_PORT"),
            Port(self.metrics_port, "LIVELIFT_LOCAL_JOBMANAGER_METRICS_PORT"),
        )

    @property
    def metrics_port(self) -> int:
        return self.local.jobmanager_metrics_port

    def is_healthy(self) -> bool:
        return get(f"{self.settings.flink.rest_url}/overview") is not None

    def _java_options(self) -> list[str]:
        heap = self.local.jobmanager_process_mb - METASPACE_MB - JVM_OVERHEAD_MB
        return [f"-Xmx{heap}m", f"-XX:MaxMetaspaceSize={METASPACE_MB}m", "-XX:+UseSerialGC"]


class TaskManager(_FlinkProcess):
    """Runs the jobs' tasks and their Python workers."""

    name = "taskmanager"
    needs = ("jobmanager",)
    entrypoint = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
    stop_deadline_s = 5.0

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port(self.metrics_port, "LIVELIFT_LOCAL_TASKMANAGER_METRICS_PORT"),)

    @property
    def metrics_port(self) -> int:
        return self.local.taskmanager_metrics_port

    def prepare(self) -> None:
        super().prepare()
        # A killed one stays listed until its heartbeat times out; the name tells its successor from it.
        self._name_file.write_text(f"taskmanager-{time.time_ns()}", encoding="ascii")

    def command(self) -> list[str]:
        return [*super().command(), f"-Dtaskmanager.resource-id={self._resource_id()}"]

    def is_healthy(self) -> bool:
        found = get(f"{self.settings.flink.rest_url}/taskmanagers")
        listed = found.json()["taskmanagers"] if found else []
        return self._resource_id() in {each["id"] for each in listed}

    def _resource_id(self) -> str:
        return self._name_file.read_text(encoding="ascii")

    @property
    def _name_file(self) -> Path:
        return configuration_dir(self.settings).parent / "taskmanager-name"

    def _java_options(self) -> list[str]:
        heap = task_heap_mb(self.local) + FRAMEWORK_MB
        direct = FRAMEWORK_MB + NETWORK_MB
        return [
            f"-Xmx{heap}m",
            f"-XX:MaxDirectMemorySize={direct}m",
            f"-XX:MaxMetaspaceSize={METASPACE_MB}m",
            "-XX:+UseG1GC",
            # Millions of units are looked up in no order: an eighth less time an event with 4 million.
            "-XX:+UseTransparentHugePages",
            # Or a profile names the last safepoint instead of the line that takes the time.
            "-XX:+UnlockDiagnosticVMOptions",
            "-XX:+DebugNonSafepoints",
        ]


def configuration_dir(settings: Settings) -> Path:
    """Flink's own configuration folder of this deployment."""
    return settings.run_dir / "flink" / "conf"


def client_environment(settings: Settings) -> dict[str, str]:
    """What a process that talks to Flink through PyFlink needs in its environment, besides its own."""
    return {
        "FLINK_CONF_DIR": str(configuration_dir(settings)),
        "FLINK_HOME": str(flink_home()),
        "FLINK_LOG_DIR": str(settings.logs_dir),
        "JAVA_HOME": str(java.home()),
        # PyFlink's worker script calls whatever `python` comes first.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }


@cache
def flink_home() -> Path:
    """The Flink distribution inside the installed ``pyflink`` package."""
    found = find_spec("pyflink")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("pyflink is not installed: run `make setup`")
    return Path(found.origin).parent


def task_heap_mb(local: Local) -> int:
    """Heap left for the tasks of the TaskManager within its whole process.

    Raises:
        ValueError: There is too little; one line that names the settings.
    """
    others = METASPACE_MB + JVM_OVERHEAD_MB + 2 * FRAMEWORK_MB + NETWORK_MB + managed_mb(local)
    heap = local.taskmanager_process_mb - others
    if heap < LEAST_TASK_HEAP_MB:
        raise ValueError(
            f"local.taskmanager_process_mb must be at least {others + LEAST_TASK_HEAP_MB} for "
            f"{local.taskmanager_slots} slots (local.taskmanager_slots) with "
            f"{local.taskmanager_managed_mb_per_slot} MB each (local.taskmanager_managed_mb_per_slot), "
            f"not {local.taskmanager_process_mb}"
        )
    return heap


def managed_mb(local: Local) -> int:
    """Memory Flink shares out to the slots of the TaskManager, in equal parts."""
    return local.taskmanager_managed_mb_per_slot * local.taskmanager_slots


def write_configuration(settings: Settings, local: Local) -> None:
    """Write ``config.yaml`` and the logging files; the same settings give the same files."""
    directory = configuration_dir(settings)
    directory.mkdir(parents=True, exist_ok=True)
    configuration = yaml.safe_dump(_configuration(settings, local), sort_keys=False, width=10_000)
    for name, content in {
        "config.yaml": configuration,
        "log4j-console.properties": SERVER_LOGGING,
        "log4j.properties": CLIENT_LOGGING,
        "log4j-cli.properties": CLIENT_LOGGING,
    }.items():
        _replace(directory / name, content)


def _replace(file: Path, content: str) -> None:
    """Both processes write the same files; a reader must never see half of one."""
    draft = file.with_suffix(f".{os.getpid()}.draft")
    draft.write_text(content, encoding="utf-8")
    draft.rename(file)


def _configuration(settings: Settings, local: Local) -> dict[str, str | int | float | bool]:
    rest = urlsplit(settings.flink.rest_url)
    host = rest.hostname or "127.0.0.1"
    return {
        "rest.address": host,
        "rest.port": port_of(settings.flink.rest_url),
        "rest.bind-address": host,
        "jobmanager.rpc.address": host,
        "jobmanager.rpc.port": local.flink_rpc_port,
        "jobmanager.bind-host": host,
        "taskmanager.host": host,
        "taskmanager.bind-host": host,
        "taskmanager.numberOfTaskSlots": local.taskmanager_slots,
        "taskmanager.cpu.cores": float(local.taskmanager_slots),
        "taskmanager.memory.framework.heap.size": f"{FRAMEWORK_MB}m",
        "taskmanager.memory.framework.off-heap.size": f"{FRAMEWORK_MB}m",
        "taskmanager.memory.task.heap.size": f"{task_heap_mb(local)}m",
        "taskmanager.memory.task.off-heap.size": "0m",
        "taskmanager.memory.network.min": f"{NETWORK_MB}m",
        "taskmanager.memory.network.max": f"{NETWORK_MB}m",
        "taskmanager.memory.managed.size": f"{managed_mb(local)}m",
        "taskmanager.memory.jvm-metaspace.size": f"{METASPACE_MB}m",
        "taskmanager.memory.jvm-overhead.min": f"{JVM_OVERHEAD_MB}m",
        "taskmanager.memory.jvm-overhead.max": f"{JVM_OVERHEAD_MB}m",
        # A killed TaskManager is noticed within the timeout and its tasks wait for the next one.
        "heartbeat.interval": f"{local.heartbeat_timeout_ms // 4} ms",
        "heartbeat.timeout": f"{local.heartbeat_timeout_ms} ms",
        # Tasks without a slot wait for the next TaskManager; otherwise they fail at once, again and again.
        # Longer than 248 days the scheduler refuses.
        "resourcemanager.standalone.start-up-time": "200 d",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "5 s",
        "restart-strategy.exponential-delay.attempts-before-reset-backoff": INFINITE,
        "jobmanager.execution.failover-strategy": "region",
        "state.backend.type": settings.flink.state_backend,
        "execution.checkpointing.dir": settings.flink.checkpoint_dir,
        "execution.checkpointing.savepoint-dir": settings.flink.savepoint_dir,
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.num-retained": 2,
        # `wait` asks how far time has come; with Flink's 10 s it would learn it that much too late.
        "metrics.fetcher.update-interval": "1 s",
        "metrics.reporters": "prometheus",
        "metrics.reporter.prometheus.factory.class": PROMETHEUS,
        "metrics.reporter.prometheus.filter.includes": flink_filter(),
        # Otherwise tenants `a-b` and `a_b` are one.
        "metrics.reporter.prometheus.filterLabelValueCharacters": "false",
        "io.tmp.dirs": _made(settings.run_dir / "flink" / "tmp"),
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        # PyFlink's client loads `pipeline.jars` for a remote cluster only with these --add-opens.
        "env.java.opts.all": _default_java_options(),
    }


def _made(directory: Path) -> str:
    directory.mkdir(parents=True, exist_ok=True)
    return str(directory)


@cache
def _default_java_options() -> str:
    shipped = yaml.safe_load((flink_home() / "conf" / "config.yaml").read_text(encoding="utf-8"))
    return str(shipped["env"]["java"]["opts"]["all"])


def _class_path() -> list[Path]:
    """Flink, and PyFlink's Java side, which otherwise every job would upload and load anew."""
    jars = sorted(
        (flink_home() / "lib").glob("*.jar"), key=lambda jar: (jar.name.startswith("flink-dist"), jar)
    )
    return [
        *jars,
        *(flink_home() / "opt").glob("flink-python-*.jar"),
        # As a plugin it would be looked for where the process was started, with every other reporter.
        *(flink_home() / "plugins" / "metrics-prometheus").glob("*.jar"),
    ]


INFINITE = 2_147_483_647
PROMETHEUS = "org.apache.flink.metrics.prometheus.PrometheusReporterFactory"

SERVER_LOGGING = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
rootLogger.appenderRef.file.ref = File
appender.console.name = Console
appender.console.type = Console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %c{1} - %m%n
appender.file.name = File
appender.file.type = RollingFile
appender.file.fileName = ${sys:log.file}
appender.file.filePattern = ${sys:log.file}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{ISO8601} %-5p %c{1} - %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 20MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
logger.kafka.name = org.apache.kafka
logger.kafka.level = WARN
"""
"""On the console for the part's log, and in the file the web page shows."""

CLIENT_LOGGING = """\
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = Console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %c{1} - %m%n
"""
