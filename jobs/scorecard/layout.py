"""The form of what the scorecard job keeps in Flink's state, by number."""

from __future__ import annotations

LAYOUT = 6
"""1 knew no epochs, 2 no cohorts, 3 no totals, 4 kept each apart, 5 each kind of text; none was released."""

LOOKS_LAYOUT = 5
"""Of looks, which ClickHouse keeps too: they outlive changes of the rest."""


def check_layout(what: str, layout: int, known: int = LAYOUT) -> None:
    """Refuse what another release wrote.

    Raises:
        ValueError: The layout is unknown.
    """
    if layout != known:
        raise ValueError(
            f"layout {layout} of the {what} in state is unknown: this release knows {known};"
            " start the job without --restore"
        )
