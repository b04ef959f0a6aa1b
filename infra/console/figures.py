"""Numbers and times as people read them: signs that are signs, no digit that says nothing."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

from markupsafe import Markup, escape

SPACE = "\u00a0"
"""Between a number and its unit: the two stay on one line."""
MINUS = "\u2212"
NOTHING = "–"
MOST_DECIMALS = 4
BEGIN, END = "\u2068", "\u2069"
"""Around what is no word of its sentence: Unicode's isolates, which nothing shows and no id needs."""
_APART = re.compile(f"{BEGIN}([^{BEGIN}{END}]*){END}")


class Interval(NamedTuple):
    """Both ends, the lower one first."""

    lower: float
    upper: float

    def excludes(self, value: float) -> bool:
        """Whether the value lies outside."""
        return not self.lower <= value <= self.upper

    def scaled(self, factor: float) -> Interval:
        """The same on another scale; a negative factor turns it round."""
        ends = sorted((self.lower * factor, self.upper * factor))
        return Interval(*ends)


def interval(row: dict[str, Any], name: str) -> Interval | None:
    """The columns ``<name>_lower`` and ``<name>_upper``; none where either is absent."""
    lower, upper = row.get(f"{name}_lower"), row.get(f"{name}_upper")
    return None if lower is None or upper is None else Interval(float(lower), float(upper))


def whole(value: float) -> str:
    """A count with its thousands apart."""
    return f"{value:,.0f}"


def users(count: int) -> str:
    """So many users."""
    return "1 user" if count == 1 else f"{count:,} users"


def number(value: float | None) -> str:
    """A value in a metric's unit with four digits."""
    if value is None:
        return NOTHING
    size = abs(value)
    if size == 0:
        text = "0"
    elif size >= 1000:
        text = f"{size:,.0f}"
    elif size >= 0.001:
        text = f"{size:#.4g}".rstrip(".")
    else:
        text = f"{size:.1e}"
    return f"{MINUS}{text}" if value < 0 else text


def percent(share: float, decimals: int | None = None, *, signed: bool = False) -> str:
    """A share as percent: ``+0.9 %``; with as many decimals as it needs where none are asked for."""
    shown = decimals_for(share) if decimals is None else decimals
    text = f"{abs(100 * share):,.{shown}f}"
    is_zero = not text.strip("0.,")
    sign = MINUS if share < 0 and not is_zero else "+" if signed and not is_zero else ""
    return f"{sign}{text}{SPACE}%"


def decimals_for(*shares: float) -> int:
    """Decimals at which the widest share is readable, and no share that is not 0 looks like it."""
    sizes = [abs(100 * share) for share in shares if share]
    if not sizes:
        return 1
    needed = 0 if max(sizes) >= 100 else 1 if max(sizes) >= 1 else 2
    while needed < MOST_DECIMALS and any(round(size, needed) == 0 for size in sizes):
        needed += 1
    return needed


def span(found: Interval) -> str:
    """An interval of shares: ``+0.9 % … +5.3 %``."""
    decimals = decimals_for(*found)
    return " … ".join(percent(end, decimals, signed=True) for end in found)


def probability(value: float | None) -> str:
    """A probability of an error; nothing below 0.0001 is told apart."""
    if value is None:
        return NOTHING
    return f"{value:.2f}" if value >= 0.1 else f"{value:.4f}" if value >= 0.0001 else f"below{SPACE}0.0001"


def one_in(value: float) -> str:
    """A probability as experiments: ``1 of 480 experiments``."""
    if value >= 0.5:
        return "most experiments"
    if value < 1e-6:
        return "fewer than 1 of a million experiments"
    return f"1 of {_two_digits(1 / value):,} experiments"


def _two_digits(value: float) -> int:
    if value < 10:
        return round(value)
    step = 10 ** (math.floor(math.log10(value)) - 1)
    return int(round(value / step) * step)


def duration(seconds: float) -> str:
    """A length of time in its greatest unit: ``2 s``, ``14 min``, ``5 h``, ``12 days``."""
    whole_s = max(0, int(seconds))
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if whole_s >= 2 * size:
            return f"{whole_s // size}{SPACE}{unit}"
    return f"{whole_s}{SPACE}s"


def days(value: float) -> str:
    """Days still to come: ``about 5 days``, ``less than a day``."""
    if value < 1:
        return "less than a day"
    found = math.ceil(value)
    return "about a day" if found == 1 else f"about {found:,} days"


def moment(value: datetime) -> str:
    """A moment to the second: ``21 Nov 2026 14:05:03 UTC``."""
    found = value.astimezone(UTC)
    return f"{found.day} {found:%b %Y %H:%M:%S} UTC"


def day(value: datetime) -> str:
    """A day in UTC: ``21 Nov 2026``."""
    found = value.astimezone(UTC)
    return f"{found.day} {found:%b %Y}"


def moment_iso(value: datetime) -> str:
    """A moment for machines, and for URLs."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def apart(text: str) -> str:
    """An id or a command as a part of a sentence; ``told`` shows it as code, ``plain`` as it is."""
    return f"{BEGIN}{plain(text)}{END}"


def told(text: str) -> Markup:
    """A sentence for a page: escaped, and what is set apart as code."""
    return Markup(_APART.sub(r"<code>\1</code>", str(escape(text))))


def plain(text: str) -> str:
    """The same for a place that holds text only."""
    return text.replace(BEGIN, "").replace(END, "")


def words(code: str) -> str:
    """A code of ours as words: ``unknown_variant`` is read ``unknown variant``."""
    return code.replace("_", " ").strip() or code


def listed(words: list[str]) -> str:
    """Words as a sentence lists them: ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
