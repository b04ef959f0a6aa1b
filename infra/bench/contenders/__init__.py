"""The jobs that are compared. Each is a module that submits its job and prints its id, as the product's is.

All read the tenants' topics from their beginning, on the same cluster, as wide as ``flink.parallelism``
says, with the checkpoints the settings ask for; those that compute something write it to a topic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

HASHMAP = {"LIVELIFT_FLINK_STATE_BACKEND": "hashmap"}
ROCKSDB = {"LIVELIFT_FLINK_STATE_BACKEND": "rocksdb"}


@dataclass(frozen=True)
class Contender:
    """A job to be measured: ``python -m module`` submits it, with ``settings`` on top of the environment."""

    name: str
    title: str
    module: str
    settings: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    longest_s: float = 300.0
    """A slow one is measured over what it reads in this time."""


READ_LIMIT = Contender("read_limit", "read limit (count raw records)", "infra.bench.contenders.read_limit")
LIVELIFT_HASHMAP = Contender("livelift_hashmap", "livelift, hashmap", "jobs.attribution", HASHMAP)
LIVELIFT_ROCKSDB = Contender("livelift_rocksdb", "livelift, RocksDB", "jobs.attribution", ROCKSDB)
FLINK_SQL = Contender(
    "flink_sql", "plain Flink SQL", "infra.bench.contenders.flink_sql", HASHMAP, longest_s=120.0
)
PYFLINK_DATASTREAM = Contender(
    "pyflink_datastream",
    "PyFlink DataStream",
    "infra.bench.contenders.pyflink_datastream",
    HASHMAP,
    ("thread",),
    longest_s=90.0,
)

CONTENDERS = (READ_LIMIT, LIVELIFT_HASHMAP, LIVELIFT_ROCKSDB, FLINK_SQL, PYFLINK_DATASTREAM)
"""In the order of their turns."""
