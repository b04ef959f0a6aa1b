"""What the attribution job refused, read from its topic."""

from __future__ import annotations

from config.settings import Settings
from infra.broker import Broker, Progress
from infra.registry import Registry
from jobs.wiring.rejected import REJECTED_TOPIC
from schemas.events import RejectedRecord, decode_rejected


def read_rejected(
    settings: Settings,
    *,
    tenant_id: str | None = None,
    reason: str | None = None,
    progress: Progress | None = None,
) -> list[RejectedRecord]:
    """Every refused record now on the topic, oldest first, each once however often the job wrote it.

    Args:
        tenant_id, reason: Only those.

    Raises:
        BrokerError, RegistryError: One of them does not answer.
    """
    registry = Registry(settings)
    found: dict[tuple[str | None, int | None, int | None], RejectedRecord] = {}
    for message in Broker(settings).read_to_end([REJECTED_TOPIC], progress):
        record = decode_rejected(message.value(), registry.writer_schema)
        if tenant_id in (None, record.tenant_id) and reason in (None, record.reason):
            found.setdefault((record.topic, record.partition, record.offset), record)
    return sorted(found.values(), key=lambda record: record.append_time or 0)
