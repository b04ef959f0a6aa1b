"""How long an event takes from its publication until ``results`` shows it, measured by marker events.

Each marker is the assignment of a new unit to an experiment made for the measurement. ``results`` counts
one unit more once it is visible, so the k-th marker is visible as soon as k units are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from config.settings import Settings
from infra.clickhouse import connect
from infra.definitions import Limits, draft_of, publish
from infra.producer import EventProducer
from infra.strict_yaml import Document
from udfs.attribution.reference import EFFECT_MS, Assignment

TENANT = "freshness-probe"
VARIANTS = ("control", "treatment")
LOOK_EVERY_S = 0.05
GRACE_S = 180.0
"""How long the last markers are waited for at the end, if they are not all seen before: more than a job needs
to recover and to catch up on a busy machine."""

VISIBLE_UNITS = """
SELECT max(n_control + n_treatment) FROM results
WHERE tenant_id = {tenant:String} AND experiment_id = {experiment:String} AND view = 'all' AND segment = ''
"""


class Freshness(NamedTuple):
    """Seconds from published to visible. ``missing`` markers never were; there are no figures without any."""

    p50_s: float
    p99_s: float
    markers: int
    missing: int

    def __str__(self) -> str:
        line = f"freshness: p50 {self.p50_s:.1f} s, p99 {self.p99_s:.1f} s"
        return line if not self.missing else f"{line} ({self.missing} of {self.markers} never visible)"


class Marker(NamedTuple):
    """One marker event: when it was published (``time.monotonic``), and seconds until it was visible."""

    published_at: float
    age_s: float


class FreshnessProbe:
    """Publishes markers and looks for them, from entering its ``with`` block until leaving it.

    Args:
        settings: Where Kafka and ClickHouse are.
        interval_s: Between two markers.
        look_every_s: Between two looks, each a query; a marker may be visible so long before it is seen.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        interval_s: float = 0.25,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._settings = settings
        self._interval_s = interval_s
        self._look_every_s = look_every_s
        self._experiment_id = f"markers-{time.time_ns()}"
        self._published: list[float] = []
        self._visible: list[float] = []
        self._failure: Exception | None = None
        self._is_over = Event()
        self._threads = [Thread(target=self._guarded, args=(work,)) for work in (self._publish, self._look)]

    def __enter__(self) -> Self:
        content = {
            "tenant_id": TENANT,
            "experiment_id": self._experiment_id,
            "config_version": 1,
            "variants": dict.fromkeys(VARIANTS, 0.5),
            "planned_units": 1000,
            "metrics": [{"id": "none", "kind": "mean"}],
        }
        publish(self._settings, [draft_of(Document(TENANT, content, {}), Limits.of(self._settings))])
        # A marker that had to wait for its definition would say how long definitions take.
        time.sleep(2 * EFFECT_MS / 1000)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def result(self) -> Freshness:
        """The figures so far; complete after the ``with`` block.

        Raises:
            RuntimeError: Publishing or looking failed, or no marker was ever visible.
        """
        if self._failure is not None:
            raise RuntimeError(f"freshness was not measured: {self._failure}") from self._failure
        if not self._visible:
            raise RuntimeError(f"freshness was not measured: none of {len(self._published)} markers was seen")
        p50, p99 = np.percentile([marker.age_s for marker in self.markers()], (50, 99))
        missing = len(self._published) - len(self._visible)
        return Freshness(float(p50), float(p99), len(self._published), missing)

    def markers(self) -> list[Marker]:
        """Those that were seen, in the order of their publication."""
        return [
            Marker(published, visible - published)
            for published, visible in zip(self._published, self._visible, strict=False)
        ]

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # a thread has nobody to raise to: ``result`` raises it
            self._failure = error

    def _publish(self) -> None:
        with EventProducer(self._settings) as producer:
            while not self._is_over.wait(self._interval_s):
                number = len(self._published)
                self._published.append(time.monotonic())
                producer.send(
                    Assignment(
                        tenant_id=TENANT,
                        # Of this probe alone: another's units have sent events of these ids before.
                        unit_id=f"{self._experiment_id}-{number}",
                        event_id=f"marker-{number}",
                        experiment_id=self._experiment_id,
                        variant_id=VARIANTS[number % 2],
                        assigned_at=time.time_ns() // 1_000_000,
                    )
                )

    def _look(self) -> None:
        client = connect(self._settings)
        parameters = {"tenant": TENANT, "experiment": self._experiment_id}
        given_up_at = float("inf")
        while time.monotonic() < given_up_at:
            (row,) = client.query(VISIBLE_UNITS, parameters=parameters).result_rows
            now = time.monotonic()
            self._visible += [now] * (int(row[0]) - len(self._visible))
            if self._is_over.wait(self._look_every_s):
                if len(self._visible) >= len(self._published):
                    return
                given_up_at = min(given_up_at, now + GRACE_S)
                time.sleep(self._look_every_s)
