"""Pictures of what was found. Needs matplotlib, of the development packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BLUE, GREY = "#2b6cb0", "#a0aec0"
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "livelift",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def bars(path: Path, values: Mapping[str, float], *, title: str, unit: str, ours: Sequence[str]) -> None:
    """Horizontal bars, the first on top, ``ours`` in colour."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(7.0, 0.8 + 0.42 * len(values)))
    names = list(values)
    drawn = axes.barh(names, list(values.values()), color=[BLUE if name in ours else GREY for name in names])
    axes.bar_label(drawn, labels=[f"{value:,.0f}" for value in values.values()], padding=4)
    axes.invert_yaxis()
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel(unit)
    axes.set_xticks([])
    axes.margins(x=0.12)
    _save(figure, path)


def lines(
    path: Path,
    series: Mapping[str, Mapping[float, float]],
    *,
    title: str,
    x: str,
    y: str,
    is_x_log: bool = False,
) -> None:
    """One line for each series, from zero on."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(7.0, 3.2))
    for name, points in series.items():
        axes.plot(list(points), list(points.values()), marker="o", label=name)
    if is_x_log:
        axes.set_xscale("log")
        measured = sorted({each for points in series.values() for each in points})
        axes.set_xticks(measured, labels=[f"{each:,.0f}" for each in measured])
        axes.set_xticks([], minor=True)
    axes.set_ylim(0)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.legend()
    _save(figure, path)


def _pyplot() -> Any:
    import matplotlib as mpl  # not a package of the product: only who draws needs it

    mpl.use("svg")
    mpl.rcParams.update(STYLE)
    from matplotlib import pyplot as plt

    return plt


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    _pyplot().close(figure)
