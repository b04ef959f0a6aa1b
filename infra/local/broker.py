"""The Kafka broker: one KRaft node that is broker and controller."""

from __future__ import annotations

import socket
import subprocess
from contextlib import closing, suppress
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from config.settings import port_of
from infra.local import java
from infra.local.part import HEALTH_TIMEOUT_S, Part, Port

CLUSTER_ID = "bGl2ZWxpZnQtbG9jYWwtMQ"
"""Any 16 bytes in URL-safe base64; fixed, because one machine has one cluster."""


class Broker(Part):
    """Takes and keeps every event; its storage is formatted once and survives ``down``."""

    name = "broker"

    def lacks(self) -> str:
        return java.lack(self.settings.jars_dir / "kafka")

    @property
    def ports(self) -> tuple[Port, ...]:
        return (
            Port(port_of(self.settings.kafka.bootstrap), "LIVELIFT_KAFKA_BOOTSTRAP"),
            Port(self.local.kafka_controller_port, "LIVELIFT_LOCAL_KAFKA_CONTROLLER_PORT"),
        )

    def prepare(self) -> None:
        self._home.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(self._configuration(), encoding="utf-8")
        (self._home / "log4j2.properties").write_text(LOGGING, encoding="utf-8")
        if not (self._data / "meta.properties").is_file():
            self._format()

    def command(self) -> list[str]:
        return [
            java.executable(),
            f"-Xmx{self.local.kafka_heap_mb}m",
            "-XX:+UseG1GC",
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
            *self._classpath(),
            "kafka.Kafka",
            str(self._properties),
        ]

    def is_healthy(self) -> bool:
        host, _, port = self.settings.kafka.bootstrap.rpartition(":")
        # librdkafka complains on stderr when nobody listens, so that is looked at first.
        try:
            with closing(socket.create_connection((host, int(port)), timeout=HEALTH_TIMEOUT_S)):
                pass
        except OSError:
            return False
        with suppress(KafkaException):
            client = AdminClient({"bootstrap.servers": self.settings.kafka.bootstrap})
            return bool(client.list_topics(timeout=HEALTH_TIMEOUT_S).brokers)
        return False

    def _format(self) -> None:
        command = [
            java.executable(),
            "-XX:TieredStopAtLevel=1",
            *self._classpath(),
            "kafka.tools.StorageTool",
        ]
        arguments = ["format", "--cluster-id", CLUSTER_ID, "--config", str(self._properties)]
        with self.log.open("ab") as log:
            subprocess.run([*command, *arguments], stdout=log, stderr=log, check=True)

    def _classpath(self) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self._home / 'log4j2.properties'}"
        return [logging, "-cp", str(self.settings.jars_dir / "kafka" / "*")]

    @property
    def _home(self) -> Path:
        return self.settings.run_dir / "broker"

    @property
    def _data(self) -> Path:
        return self._home / "data"

    @property
    def _properties(self) -> Path:
        return self._home / "server.properties"

    def _configuration(self) -> str:
        host = self.settings.kafka.bootstrap.rpartition(":")[0]
        client, controller = (port.number for port in self.ports)
        return "\n".join(
            f"{key}={value}"
            for key, value in {
                "process.roles": "broker,controller",
                "node.id": 1,
                "controller.quorum.voters": f"1@{host}:{controller}",
                "listeners": f"PLAINTEXT://{host}:{client},CONTROLLER://{host}:{controller}",
                "advertised.listeners": f"PLAINTEXT://{host}:{client}",
                "controller.listener.names": "CONTROLLER",
                "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
                "log.dirs": self._data,
                # Topics are files in schemas/topics; a misspelt one must fail, not appear.
                "auto.create.topics.enable": "false",
                "offsets.topic.num.partitions": 4,
                "offsets.topic.replication.factor": 1,
                "transaction.state.log.replication.factor": 1,
                "transaction.state.log.min.isr": 1,
                "share.coordinator.state.topic.replication.factor": 1,
                "share.coordinator.state.topic.min.isr": 1,
                "group.initial.rebalance.delay.ms": 0,
                "num.network.threads": 2,
                "num.io.threads": 4,
            }.items()
        )


LOGGING = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = Console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %c{1} - %m%n
"""
