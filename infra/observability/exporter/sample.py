"""What a look yields, and how the number of series is kept within bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from jobs.wiring.metric_names import MOST_TENANTS, OTHER_TENANTS


class Sample(NamedTuple):
    """One series' value now; the labels in the order of the catalogue."""

    name: str
    labels: tuple[str, ...]
    value: float


def by_tenant(
    name: str, values: Mapping[str, float], together: Callable[[Iterable[float]], float], *labels: str
) -> Iterator[Sample]:
    """A series for each tenant; beyond ``MOST_TENANTS``, by name, one for all the others together.

    Args:
        together: Makes one value of many: ``sum`` or ``max``.
        labels: Follow the tenant's.
    """
    tenants = sorted(values)
    for tenant_id in tenants[:MOST_TENANTS]:
        yield Sample(name, (tenant_id, *labels), values[tenant_id])
    others = tenants[MOST_TENANTS:]
    if others:
        yield Sample(name, (OTHER_TENANTS, *labels), together(values[tenant_id] for tenant_id in others))
