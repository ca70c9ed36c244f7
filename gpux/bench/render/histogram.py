"""A histogram in text: a row per bin, and the runs far from the rest in a row at the edge, with their number."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from gpux.bench.render import units
from gpux.bench.render.screen import Screen, padded, width
from gpux.bench.stats import percentile

ROWS = 12
"""Most bins."""

FEW = 5
"""Fewer runs are told one by one."""

FAR = 3.0
"""Interquartile ranges beyond the quartiles from which on a run is far (Tukey's far-out fences)."""

TAIL = 5
"""Most runs of each side that may be called far, in percent: more are no tail but a part of the distribution."""

DECADE = 8.0
"""From so many times between the ends on, the bins grow by a factor."""

_EIGHTHS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True)
class Row:
    """A bin: its name, its runs, and a word on it."""

    name: str
    count: int
    note: str = ""


def drawn(seconds: Sequence[float], screen: Screen) -> list[str]:
    """Lines of a histogram of at least one run."""
    ordered = sorted(seconds)
    if len(ordered) < FEW:
        return screen.flow(map(units.duration, seconds), joint="   ", first="  ", rest="  ")
    low, high = ends(ordered)
    edges = bounds(low, high, len(ordered))
    before = [bisect_left(ordered, edge) for edge in edges]
    # The last bin holds its upper end too.
    before[-1] = bisect_right(ordered, edges[-1])
    counts = [later - earlier for earlier, later in pairwise(before)]
    rows = [Row(name, count) for name, count in zip(names(edges), counts, strict=True)]
    middle = sum(edge <= percentile(ordered, 50) for edge in edges[1:-1])
    rows[middle] = replace(rows[middle], note="median")
    first, last = (text for text, _ in _ends(edges))
    if before[0]:
        rows.insert(0, Row(f"below {first}", before[0], f"from {units.duration(ordered[0])}"))
    if before[-1] < len(ordered):
        above = len(ordered) - before[-1]
        rows.append(Row(f"above {last}", above, f"up to {units.duration(ordered[-1])}"))
    return _rows(rows, screen)


def ends(ordered: Sequence[float]) -> tuple[float, float]:
    """Between which of ascending numbers the bulk lies: the fences are on logarithms where none is 0."""
    first, middle, third = (percentile(ordered, percent) for percent in (25, 50, 75))
    if _of_a_clock(ordered[0], ordered[-1]):
        factor = max(third / first, 1.0025) ** FAR
        low, high = first / factor, third * factor
    else:
        reach = FAR * max(third - first, 0.0025 * abs(middle))
        low, high = first - reach, third + reach
    low, high = min(low, percentile(ordered, TAIL)), max(high, percentile(ordered, 100 - TAIL))
    return ordered[bisect_left(ordered, low)], ordered[bisect_right(ordered, high) - 1]


def bounds(low: float, high: float, count: int) -> list[float]:
    """Edges of the bins of so many values between two: round numbers, evenly apart or by factors over magnitudes.

    There are about 2·∛n bins (the Rice rule), and never more than :data:`ROWS`.
    """
    if high <= low:
        return [low, low]
    if _of_a_clock(low, high) and high / low > DECADE:
        return _factors(low, high)
    step = round_up((high - low) / min(ROWS - 1, math.ceil(2 * count ** (1 / 3))))
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [i * step for i in range(first, last + 1)]


def _of_a_clock(low: float, high: float) -> bool:
    """Whether these can be seconds that a clock told: a file may hold any number, and powers of some overflow."""
    return low >= 1e-12 and high <= 1e12


def _factors(low: float, high: float) -> list[float]:
    """Round numbers about equal factors apart, from the one below to the one above."""
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    for series in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        marks = [mantissa * 10.0**decade for decade in decades for mantissa in series]
        first = max(bisect_right(marks, low) - 1, 0)
        last = bisect_left(marks, high)
        if last - first <= ROWS:
            return marks[first : last + 1]
    return [low * (high / low) ** (index / ROWS) for index in range(ROWS)] + [high]


def round_up(step: float) -> float:
    """The next of 1, 2, 2.5, 5 and 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= step * (1 - 1e-9))


def names(edges: Sequence[float]) -> list[str]:
    """What each bin is called: both of its ends, in one unit where they share it."""
    if edges[0] == edges[-1]:
        return [units.duration(edges[0])]
    found = []
    for (first, unit), (last, same) in pairwise(_marks(edges)):
        found.append(f"{first.removesuffix(f' {unit}') if unit == same else first} – {last}")
    return found


def _marks(edges: Sequence[float]) -> list[tuple[str, str]]:
    """Each edge with its unit, and the unit: with as many decimals as the step between them asks for."""
    step = edges[1] - edges[0]
    size, unit = units.unit_of(max(map(abs, edges)))
    if abs(edges[-1] - edges[-2] - step) > 1e-6 * step:
        each = [units.unit_of(edge) for edge in edges]
        return [(f"{edge / size:.3g} {unit}", unit) for edge, (size, unit) in zip(edges, each, strict=True)]
    places = next((n for n in range(9) if abs(round(step / size, n) * size - step) <= 1e-6 * step), 9)
    return [
        (f"{edge / size:.{places}f} {unit}" if edge < 1e9 else f"{edge:.4g} {unit}", unit) for edge in edges
    ]


def _ends(edges: Sequence[float]) -> tuple[tuple[str, str], tuple[str, str]]:
    if edges[0] == edges[-1]:
        return (units.duration(edges[0]), ""), (units.duration(edges[0]), "")
    marks = _marks(edges)
    return marks[0], marks[-1]


def bar(share: float, columns: int, *, plain: bool) -> str:
    """A bar of a share, from 0 to 1, of so many columns; what is above nothing is seen."""
    if plain:
        return "#" * max(round(share * columns), 1 if share > 0 else 0)
    eighths = max(round(share * columns * 8), 1 if share > 0 else 0)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _rows(rows: Sequence[Row], screen: Screen) -> list[str]:
    labels = [screen.show(row.name) for row in rows]
    counts = [f"{row.count:,}" for row in rows]
    notes = [screen.show(f"◂ {row.note}") if row.note else "" for row in rows]
    label, digits, beside = (max(map(width, texts)) for texts in (labels, counts, notes))
    room = screen.columns - label - digits - beside - 8
    if room < 8:
        # On a narrow terminal a note stands where its own bar leaves room, or nowhere.
        room = screen.columns - label - digits - 6
    most = max(row.count for row in rows)
    text = []
    for name, count, note, row in zip(labels, counts, notes, rows, strict=True):
        drawn = bar(row.count / most, max(room, 1), plain=screen.plain)
        line = f"  {padded(name, label, right=True)}  {count:>{digits}}  {drawn}"
        column = screen.columns - beside
        if note and width(line) + 1 <= column:
            line = padded(line, column) + note
        text.append(line.rstrip())
    return text
