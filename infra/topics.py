"""Topics and schema subjects as ``schemas/`` describes them, created where they are missing.

A topic that exists is left as it is: its partitions and retention are the operator's to change.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka.cimpl import NewTopic

from config.settings import Settings
from infra.broker import Broker
from infra.registry import Registry
from infra.strict_yaml import read_documents
from schemas import AVRO_RECORDS, FOLDER

DAY_MS = 86_400_000
COMPATIBILITY = "FULL_TRANSITIVE"


class TopicFileError(ValueError):
    """A file of ``schemas/topics`` that does not describe a topic."""


@dataclass(frozen=True, slots=True)
class TopicFile:
    """One file of ``schemas/topics``: a topic, or a pattern with ``{tenant_id}`` in its name."""

    topic: str
    owner: str
    key: str
    value: dict[str, str]
    compatibility: str
    cleanup: str
    retention_days: int | str
    timestamp_type: str
    partitions: int | str
    examples: str

    @property
    def is_per_tenant(self) -> bool:
        """Whether each tenant has one of its own."""
        return "{tenant_id}" in self.topic

    def new_topic(self, settings: Settings, tenant_id: str = "") -> NewTopic:
        """What to ask the broker for; ``tenant_id`` fills the pattern."""
        return NewTopic(
            self.topic.format(tenant_id=tenant_id),
            num_partitions=self._partitions(settings),
            replication_factor=settings.kafka.replication,
            config={
                "cleanup.policy": self.cleanup,
                "retention.ms": str(self.retention_ms),
                "message.timestamp.type": self.timestamp_type,
            },
        )

    @property
    def retention_ms(self) -> int:
        """How long records stay; -1 is for ever."""
        return -1 if self.retention_days == "forever" else int(self.retention_days) * DAY_MS

    def _partitions(self, settings: Settings) -> int:
        """A number, or the name of the setting that has it."""
        if isinstance(self.partitions, int):
            return self.partitions
        section, name = self.partitions.split(".")
        return int(getattr(getattr(settings, section), name))


def topic_files(folder: Path = FOLDER / "topics") -> list[TopicFile]:
    """All files of ``schemas/topics``, by name.

    Raises:
        TopicFileError: A file misses a field or has one too many.
    """
    return [_topic_file(path) for path in sorted(folder.glob("*.yaml"))]


def create_all(settings: Settings) -> list[str]:
    """Creates the internal topics that are missing; returns their names.

    Raises:
        BrokerError: No broker answers, or it refuses.
    """
    wanted = [each.new_topic(settings) for each in topic_files() if not each.is_per_tenant]
    return Broker(settings).create(wanted)


def create_tenant(settings: Settings, tenant_id: str) -> list[str]:
    """Creates the tenant's topics that are missing; returns their names.

    Raises:
        BrokerError: No broker answers, or it refuses.
    """
    wanted = [each.new_topic(settings, tenant_id) for each in topic_files() if each.is_per_tenant]
    return Broker(settings).create(wanted)


def register_schemas(settings: Settings) -> dict[str, int]:
    """Registers every Avro record under its own name, to be changed only compatibly; returns the ids.

    Doing it again changes nothing.

    Raises:
        RegistryError: The registry does not answer, or a schema is incompatible with the registered one.
    """
    registry = Registry(settings)
    return {record: registry.register(record, COMPATIBILITY) for record in AVRO_RECORDS}


def _topic_file(path: Path) -> TopicFile:
    (document,) = read_documents(path)
    content: dict[str, Any] = document.content
    fields = set(TopicFile.__dataclass_fields__)
    for name in sorted(fields ^ content.keys()):
        raise TopicFileError(f"{path}: {name} {'is missing' if name in fields else 'is no field of a topic'}")
    return TopicFile(**content)
