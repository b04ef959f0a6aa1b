"""What the last look saw, in the form that Prometheus reads."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from infra.observability.exporter.sample import Sample
from jobs.wiring.metric_names import EXPORTER, Metric

AGE = "livelift_exporter_look_age_seconds"


class Page(Collector):
    """The samples of one look, all replaced at once by those of the next."""

    def __init__(self) -> None:
        self._seen: tuple[float, tuple[Sample, ...]] = (time.monotonic(), ())

    def show(self, samples: Iterable[Sample]) -> None:
        """Replace what is served."""
        self._seen = (time.monotonic(), tuple(samples))

    def collect(self) -> Iterator[Family]:
        """Every family of the catalogue, also those of which nothing was seen."""
        seen_at, samples = self._seen
        families = {metric.name: _family(metric) for metric in EXPORTER}
        for name, labels, value in (*samples, Sample(AGE, (), time.monotonic() - seen_at)):
            families[name].add_metric(labels, value)
        yield from families.values()


def _family(metric: Metric) -> GaugeMetricFamily | CounterMetricFamily:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return kind(metric.name, metric.says, labels=metric.labels)
