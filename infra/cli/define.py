"""``livelift define``: experiments from YAML files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from config.settings import load
from infra.cli.output import note
from infra.cli.refusals import refusals
from infra.definitions import DefinitionKey, Limits, Published, publish, read_definitions, read_published
from jobs.scorecard.definitions import Definition


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(define)


def define(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="YAML; several documents per file.")],
) -> None:
    """Publish definitions of experiments; all of them, or none if one is wrong.

    A version that is published already with the same content is left as it is; with other content it is
    refused: a change is a new config_version. A version with `ended_at` ends the experiment: the command
    returns when that is in effect, so assignments made after it and published from then on are refused.
    Metrics that a version counts in another way than the one before are named, as they cannot be combined.
    """
    settings = load()
    with refusals():
        drafts = read_definitions(files, Limits.of(settings))
        new = publish(settings, drafts)
        later = [draft.key for draft in new if draft.key.config_version > 1]
        changed = metrics_changed(later, read_published(settings)) if later else []
    keys = {draft.key for draft in new}
    for draft in drafts:
        print(f"{draft.key} {'published' if draft.key in keys else 'unchanged'}")
    for line in changed:
        note(line)


def metrics_changed(new: Sequence[DefinitionKey], published: Mapping[DefinitionKey, Published]) -> list[str]:
    """A line for each new version in which metrics mean another thing than in the version before it."""
    lines = []
    for key in new:
        earlier = [other for other in published if other[:2] == key[:2] and other < key]
        if not earlier:
            continue
        before = max(earlier)
        was, now = (_meanings(published[each]) for each in (before, key))
        changed = [metric for metric, meaning in now.items() if was.get(metric, meaning) != meaning]
        if changed:
            lines.append(
                f"{key} counts {', '.join(changed)} in another way than version {before.config_version}: "
                "once it has users, results over all versions are undetermined (metric_changed); ask for one"
            )
    return lines


def _meanings(published: Published) -> dict[str, tuple[object, ...]]:
    definition = Definition.from_content(published.content)
    return {metric.metric_id: definition.meaning_of(metric) for metric in definition.metrics}
