"""A time line in text: the runs in their order, cut into slices, each with its median and its extremes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gpux.bench.render import histogram, units
from gpux.bench.render.screen import Screen, padded, width
from gpux.bench.samples import Series
from gpux.bench.stats import percentile

HEIGHT = 7
"""Rows."""

FEW = 10
"""Fewer runs show no course."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Some runs in a row: the fastest, the median and the slowest, in seconds."""

    low: float
    median: float
    high: float


def slices(seconds: Sequence[float], count: int) -> list[Slice]:
    """So many slices, or as many as there are runs; all of a length as nearly as can be."""
    count = min(count, len(seconds))
    edges = [index * len(seconds) // count for index in range(count + 1)]
    found = []
    for first, last in pairwise(edges):
        ordered = sorted(seconds[first:last])
        found.append(Slice(ordered[0], percentile(ordered, 50), ordered[-1]))
    return found


def drawn(series: Series, screen: Screen) -> list[str]:
    """Lines of a time line of at least :data:`FEW` runs; none for fewer."""
    if len(series) < FEW:
        return []
    low, high = _scale(series)
    labels = {0: high, HEIGHT // 2: (low + high) / 2, HEIGHT - 1: low}
    texts = [screen.show(units.duration(labels[row])) if row in labels else "" for row in range(HEIGHT)]
    label = max(map(width, texts))
    found = slices(series.seconds, screen.columns - label - 4)
    columns = [_column(part, low, high, plain=screen.plain) for part in found]
    tick, side, corner, floor = "+|+-" if screen.plain else "┤│└─"
    lines = [
        f"  {padded(text, label, right=True)} {tick if text else side}{''.join(column[row] for column in columns)}".rstrip()
        for row, text in enumerate(texts)
    ]
    space = " " * (label + 3)
    lines.append(f"{space}{corner}{floor * len(columns)}")
    return [*lines, *_foot(series, len(columns), screen, space + " ")]


def legend(series: Series, screen: Screen) -> str:
    """What the signs mean, of those that are drawn."""
    low, high = _scale(series)
    label = max(width(screen.show(units.duration(value))) for value in (low, (low + high) / 2, high))
    many = len(series) > screen.columns - label - 4
    said = ["● median of each slice", "│ fastest to slowest"] if many else ["● each run"]
    if max(series.seconds) > high:
        said.append("▲ beyond the scale")
    if min(series.seconds) < low:
        said.append("▼ below it")
    return ", ".join(said)


def _scale(series: Series) -> tuple[float, float]:
    low, high = histogram.ends(sorted(series.seconds))
    return (low, high) if high > low else (low * 0.9, high * 1.1 or 1.0)


def _foot(series: Series, columns: int, screen: Screen, space: str) -> list[str]:
    ended = max(begin + took for begin, took in zip(series.start, series.seconds, strict=True))
    first = screen.show("run 1")
    last = screen.show(f"run {len(series):,}, {units.duration(ended - series.start[0])} later")
    gap = columns - width(first) - width(last)
    if gap < 1:
        beside = space if width(space) + width(last) + 9 <= screen.columns else "  "
        return screen.wrap(f"{first} to {last}", first=beside, rest=beside)
    return [f"{space}{first}{' ' * gap}{last}"]


def _column(part: Slice, low: float, high: float, *, plain: bool) -> list[str]:
    line, dot, up, down = "|o^v" if plain else "│●▲▼"

    def row(value: float) -> int:
        place = (high - value) / (high - low) * (HEIGHT - 1)
        return min(max(round(place), 0), HEIGHT - 1)

    cells = [" "] * HEIGHT
    for index in range(row(part.high), row(part.low) + 1):
        cells[index] = line
    cells[row(part.median)] = dot
    # What lies beyond the scale is not drawn as if it were on it.
    if part.high > high:
        cells[0] = up
    if part.low < low:
        cells[-1] = down
    return cells
