"""A process that sends the records of a shape at given rates: ``python -m infra.bench.generator``.

It reads one JSON object, ``{"shape": {…}, "pace": [[seconds, rate], …]}``, from its input and prints another
at its end: what it sent, how far it fell behind its pace at most, and its own processor time. Records are
encoded by the column, so it takes a small part of a core at any rate the jobs can follow.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import NamedTuple

from config.settings import ROOT, Settings, load
from infra.bench.dataset import DataSet, Encoder, Shape
from infra.bench.loading import BatchProducer
from infra.local.part import python
from infra.topics import register_schemas

TICK_S = 0.05
ENDS_WITHIN_S = 120.0


class Leg(NamedTuple):
    """So many events a second, for so long."""

    seconds: float
    rate: float


class Sent(NamedTuple):
    """What a generator did."""

    records: int
    began_at: float
    """``time.monotonic``, which is one clock for all processes of a machine."""
    seconds: float
    behind_s: float
    """The most it was behind its pace."""
    cpu_s: float
    exposures: int
    denominators: int
    """Both as the data set's ``Tally``."""


class Generator:
    """The process, from entering its ``with`` block until it has sent everything or the block is left.

    Args:
        shape: Its number of events and their pace in time follow from ``pace``.
    """

    def __init__(self, settings: Settings, shape: Shape, pace: Sequence[Leg]) -> None:
        self.settings = settings
        self._order = json.dumps({"shape": asdict(shape), "pace": [list(leg) for leg in pace]})
        self._longest_s = sum(leg.seconds for leg in pace) + ENDS_WITHIN_S

    def __enter__(self) -> Generator:
        self._process = subprocess.Popen(
            python("-m", "infra.bench.generator"),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def result(self) -> Sent:
        """Wait for its end.

        Raises:
            RuntimeError: It failed; what it printed on stderr says why.
        """
        printed, _ = self._process.communicate(self._order, timeout=self._longest_s)
        if self._process.returncode != 0:
            raise RuntimeError(f"the generator ended with {self._process.returncode}")
        return Sent(**json.loads(printed))

    def __exit__(self, *error: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def planned(pace: Sequence[Leg]) -> int:
    """How many events a pace has."""
    return round(sum(leg.seconds * leg.rate for leg in pace))


def due(pace: Sequence[Leg], elapsed_s: float) -> int:
    """How many of them are to be sent by then."""
    total = 0.0
    for leg in pace:
        spent = min(max(elapsed_s, 0.0), leg.seconds)
        total += spent * leg.rate
        elapsed_s -= leg.seconds
    return round(total)


def when(pace: Sequence[Leg], count: int) -> float:
    """Seconds after which so many are due."""
    at = 0.0
    for leg in pace:
        if count <= leg.seconds * leg.rate:
            return at + count / leg.rate
        at += leg.seconds
        count -= round(leg.seconds * leg.rate)
    return at


def send(settings: Settings, shape: Shape, pace: Sequence[Leg]) -> Sent:
    """Send the shape's records at the pace and return when all are delivered.

    Raises:
        BrokerError, RegistryError: One of them does not answer.
    """
    data = DataSet(shape)
    encoder = Encoder(shape, register_schemas(settings), int(time.time() * 1000))
    sent, behind_s = 0, 0.0
    began = time.monotonic()
    with BatchProducer(settings) as producer:
        for chunk in data.chunks():
            at = 0
            while at < len(chunk):
                elapsed_s = time.monotonic() - began
                count = min(due(pace, elapsed_s) - sent, len(chunk) - at)
                if count > 0:
                    behind_s = max(behind_s, elapsed_s - when(pace, sent + 1))
                    for batch in encoder.batches(chunk.rows(slice(at, at + count))):
                        producer.send(batch)
                    at += count
                    sent += count
                time.sleep(TICK_S if at < len(chunk) else 0)
    return Sent(
        records=sent,
        began_at=began,
        seconds=time.monotonic() - began,
        behind_s=behind_s,
        cpu_s=time.process_time(),
        exposures=data.tally.exposures,
        denominators=data.tally.denominators,
    )


def main() -> None:
    """Do what the input asks for."""
    order = json.load(sys.stdin)
    pace = [Leg(*leg) for leg in order["pace"]]
    print(json.dumps(send(load(), Shape(**order["shape"]), pace)._asdict()))


if __name__ == "__main__":
    main()
