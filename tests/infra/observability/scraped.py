"""What a scrape holds, and what rules and panels ask for in vain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from infra.observability.panels import DASHBOARDS
from tests.infra.observability.rules_kept import names_in, recorded, rules

Scraped = Mapping[str, Sequence[Sample]]
"""Samples by name; a name that is only declared (``# TYPE``) is there with none."""


def read_scrape(*texts: str) -> Scraped:
    """What the pages say together."""
    found: dict[str, list[Sample]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            found.setdefault(family.name + ("_total" if family.type == "counter" else ""), [])
            for sample in family.samples:
                found.setdefault(sample.name, []).append(sample)
    return found


@dataclass(frozen=True)
class Lacking:
    """Names that rules and panels ask for in vain, each with who asks; true when there are none."""

    names: Mapping[str, Collection[str]]
    declared: Collection[str]

    @classmethod
    def of(cls, scraped: Scraped) -> Lacking:
        """A name without a sample is asked for in vain, be it declared or not."""
        known = {name for name, samples in scraped.items() if samples} | recorded()
        lacking = defaultdict(list)
        for who, expr in _asked():
            for name in names_in(expr) - known:
                lacking[name].append(who)
        return cls(lacking, scraped.keys() & lacking.keys())

    def __bool__(self) -> bool:
        return not self.names

    def __repr__(self) -> str:
        return "".join(
            f"\n  {name} ({'declared, no sample' if name in self.declared else 'absent'}): {', '.join(who)}"
            for name, who in sorted(self.names.items())
        )


def _asked() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield f"rule {rule.get('alert') or rule['record']}", rule["expr"]
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            yield f"panel {dashboard.uid}/{panel.title}", " + ".join(panel.exprs)
