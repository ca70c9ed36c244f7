"""A model's results over time, by configuration: a spark line, the results, and the change since the one before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gpux.bench.render import comma_separated as csv
from gpux.bench.render import markdown as md
from gpux.bench.render import units
from gpux.bench.render.lines import ended
from gpux.bench.render.screen import Screen, aligned, width

if TYPE_CHECKING:
    from gpux.bench.history import Course, Entry, Trend

SHOWN = 10
"""Results of a configuration that are shown one by one, the newest."""

TITLES = ("started", "median", "proof", "95% interval", "items/s", "runs", "peak memory")
RIGHT = frozenset({1, 4, 5, 6})
COLUMNS = (
    "configuration", "started", "n", "median", "median_low", "median_high", "mean", "std", "p95", "p99", "throughput",
    "quality", "min_cosine", "peak", "joules", "failures", "interrupted", "facts",
)  # fmt: skip

_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.-=+*#@"


def table(trend: Trend, screen: Screen) -> str:
    """Every configuration with its newest results, and what changed since the last."""
    text = screen.wrap(trend.reference, rest="  ")
    if not trend.courses:
        text += ["", *screen.wrap("no result is kept of it", first="  ")]
    for course in trend.courses:
        text += ["", *screen.flow(course.label.split(" · "), joint=" · ", rest="  ")]
        text += _line(course, screen)
        text += _grid(course.entries[-SHOWN:], screen)
        for sentence in filter(None, (course.sentence, course.since_sentence)):
            text += screen.wrap(sentence, first="  ", rest="    ")
    return ended(text)


def spark(values: Sequence[float], columns: int, *, plain: bool) -> str:
    """The newest of the values as a line of bars: the lowest for the least, the highest for the most."""
    kept = values[-columns:]
    bars = _ASCII_BARS if plain else _BARS
    low, high = min(kept), max(kept)
    if high <= low:
        return bars[3] * len(kept)
    return "".join(bars[round((value - low) / (high - low) * (len(bars) - 1))] for value in kept)


def markdown(trend: Trend, screen: Screen) -> str:  # noqa: ARG001 - one signature for all formats
    """A heading and a table per configuration."""
    lines = [f"## {md.cell(trend.reference)}"]
    for course in trend.courses:
        rows = [(*_cells(entry), ", ".join(_remarks(entry))) for entry in course.entries]
        lines += ["", f"### {md.cell(course.label)}", "", *md.grid((*TITLES, "remarks"), rows, right=RIGHT)]
        for sentence in filter(None, (course.sentence, course.since_sentence)):
            lines += ["", md.cell(sentence)]
    return ended(lines)


def comma_separated(trend: Trend, screen: Screen) -> str:  # noqa: ARG001
    """A row per result."""
    rows = []
    for course in trend.courses:
        for entry in course.entries:
            low, high = entry.interval or (None, None)
            row = {name: getattr(entry, name) for name in COLUMNS if hasattr(entry, name)}
            row |= {"configuration": course.label, "median_low": low, "median_high": high}
            rows.append(row | {"facts": "; ".join(f"{name} {said}" for name, said in entry.facts.items())})
    return csv.written(COLUMNS, rows)


def _line(course: Course, screen: Screen) -> list[str]:
    many = len(course.entries)
    if many < 2:
        return []
    medians = [entry.median for entry in course.entries]
    said = f"{many} results, oldest first" + (f", the newest {SHOWN} below" if many > SHOWN else "")
    line = spark(medians, screen.columns - 4, plain=screen.plain)
    return screen.flow([line, said], joint="  ", first="  ", rest="  ")


def _grid(entries: Sequence[Entry], screen: Screen) -> list[str]:
    rows = [[screen.show(text) for text in row] for row in (TITLES, *map(_cells, entries))]
    kept = [number for number in range(len(TITLES)) if any(row[number] for row in rows[1:])]
    while True:
        cells = [[row[number] for number in kept] for row in rows]
        lines = aligned(cells, right=frozenset(i for i, number in enumerate(kept) if number in RIGHT))
        if max(map(width, lines)) + 2 <= screen.columns or len(kept) == 1:
            break
        kept.pop()
    text = [f"  {lines[0]}"]
    for line, entry in zip(lines[1:], entries, strict=True):
        text.append(f"  {line}")
        for remark in _remarks(entry):
            text += screen.wrap(remark, first="    ", rest="    ")
    return text


def _cells(entry: Entry) -> tuple[str, ...]:
    return (
        entry.started[:16].replace("T", " "),
        units.duration(entry.median),
        entry.quality,
        units.span(*entry.interval) if entry.interval else "",
        "" if entry.throughput is None else units.number(entry.throughput),
        f"{entry.n:,}",
        "" if entry.peak is None else units.size(entry.peak),
    )


def _remarks(entry: Entry) -> list[str]:
    found = [f"{units.count(entry.failures, 'run')} failed, in no figure"] if entry.failures else []
    return [*found, "interrupted"] if entry.interrupted else found
