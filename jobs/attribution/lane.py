"""Lanes: instances of the attribution job side by side, each for whom and at which rebuild epoch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

from config.settings import GREATEST_EPOCH
from jobs.wiring import kafka

TENANT_ID = re.compile(r"[a-z0-9-]{1,40}")
NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")
LONGEST_READABLE = 40


@dataclass(frozen=True, order=True)
class Lane:
    """Whom one instance of the job serves, and at which rebuild epoch its rows are written.

    Lanes of different epochs write no row with the same key, for the epoch is in every key. All run the same
    code and the same plan.

    Args:
        tenant_id: Whose topics are read; '' for everyone's.
        experiment_id: Whose slots and activity are written; '' for all experiments', with the ledger and the
            refused records.
        epoch: 0 to 2047.

    Raises:
        ValueError: There can be no such lane; one line.
    """

    tenant_id: str = ""
    experiment_id: str = ""
    epoch: int = 0

    def __post_init__(self) -> None:
        """Refuse what would be a lane of nobody."""
        if self.tenant_id and not TENANT_ID.fullmatch(self.tenant_id):
            raise ValueError(f"tenant {self.tenant_id!r} does not match {TENANT_ID.pattern}")
        if self.experiment_id and not self.tenant_id:
            raise ValueError(f"experiment {self.experiment_id!r} of which tenant?")
        if not 0 <= self.epoch <= GREATEST_EPOCH:
            raise ValueError(f"epoch {self.epoch} is not in 0..{GREATEST_EPOCH}")

    @property
    def name(self) -> str:
        """The job's name, its consumer group and its folder of checkpoints; no two lanes share one.

        ``livelift-attribution`` for everyone at epoch 0; else whom and the epoch follow. It says nothing of
        the settings, so a deployment whose epoch is raised begins anew instead of taking over state of
        another epoch.
        """
        if not self.tenant_id and self.epoch == 0:
            return kafka.ATTRIBUTION_GROUP
        whom = [part for part in (self.tenant_id, _slug(self.experiment_id)) if part]
        return "-".join([kafka.ATTRIBUTION_GROUP, *whom, f"e{self.epoch}"])

    @property
    def topic_pattern(self) -> str:
        """The topics it reads."""
        return kafka.received_topics(self.tenant_id)

    @property
    def parameters(self) -> dict[str, str]:
        """What the Java functions must know of it (``JobParameters.java``)."""
        return {
            "livelift.tenant": self.tenant_id,
            "livelift.experiment": self.experiment_id,
            "livelift.epoch": str(self.epoch),
        }


def _slug(experiment_id: str) -> str:
    """A name for an id of any letters: readable, and with a dot, which no tenant's id has, before what tells
    two of them apart."""
    if not experiment_id:
        return ""
    readable = NOT_IN_A_NAME.sub("-", experiment_id.lower()).strip("-")[:LONGEST_READABLE]
    return f"{readable}.{sha256(experiment_id.encode()).hexdigest()[:8]}"
