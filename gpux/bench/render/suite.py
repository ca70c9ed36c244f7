"""A suite for a terminal: a row per configuration, or a block where the terminal is narrow, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gpux.bench.render import facts, standings, units
from gpux.bench.render.lines import Line, ended, laid
from gpux.bench.render.screen import Screen, padded, width
from gpux.bench.render.standings import AS_FAST, BEST, LEGEND, Column

if TYPE_CHECKING:
    from gpux.bench.ranking import Ranking, Standing
    from gpux.bench.suite import Suite

TABLES = 3
"""Most tables that the columns are spread over; where they need more, every configuration is a block."""


def table(suite: Suite, screen: Screen) -> str:
    """The suite as one table, with the ranking's sentences and the warnings below."""
    from gpux.bench import ranking

    ranked = ranking.rank(suite)
    text = heading(suite, ranked, screen)
    text += [""] if text else []
    text += body(suite, ranked, screen)
    text += legend(ranked, screen)
    text += conclusions(ranked, screen)
    return ended([*text, *warnings(suite, screen)])


def heading(suite: Suite, ranked: Ranking, screen: Screen) -> list[str]:
    """The model and how its configurations were measured."""
    first = next(iter(suite.reports), None)
    done = f"{len(suite.reports)} of {units.count(len(suite.rows), 'configuration')}"
    many = done if len(suite.reports) < len(suite.rows) else units.count(len(suite.rows), "configuration")
    turns = "measured in turns, round by round" if suite.interleaved else "measured one after another"
    parts = [many, turns, *(["interrupted"] if suite.interrupted else [])]
    if first is None:
        return screen.flow(parts, joint=" · ", rest="  ")
    text = screen.flow(facts.title(first.identity)[:2], joint=" · ", rest="  ")
    lines = [Line("measured", tuple(parts)), facts.work(first)]
    ran = {standings.placement(row) for row in ranked.standings if row.provider is not None}
    if len(ran) == 1:
        lines.append(Line(standings.RAN_ON, (*ran, f"{first.identity.machine.processor}")))
    return [*text, "", *laid(lines, screen)]


def body(suite: Suite, ranked: Ranking, screen: Screen) -> list[str]:
    """One row per configuration, in as many tables as the columns need; or one block each."""
    found = standings.columns(suite, ranked.standings)
    label = min(
        max([width("configuration"), *(width(screen.show(row.label)) for row in ranked.standings)]), 36
    )
    tables = _packed(found, ranked.standings, screen, label)
    if not tables or len(tables) > TABLES:
        return _blocks(found, ranked.standings, screen)
    text = _grid(tables[0], ranked.standings, screen, label, reasons=True)
    for columns in tables[1:]:
        text += ["", *_grid(columns, ranked.standings, screen, label, reasons=False)]
    return text


def legend(ranked: Ranking, screen: Screen) -> list[str]:
    """What the marks mean, of those that were set."""
    used = {standings.mark(row) for row in ranked.standings}
    said = [f"{sign} {LEGEND[sign]}" for sign in (BEST, AS_FAST) if sign in used]
    return ["", *screen.flow(said, joint="   ", first="  ", rest="  ")] if said else []


def conclusions(ranked: Ranking, screen: Screen) -> list[str]:
    """What to tell a reader first; an empty line before."""
    lines = [""] if ranked.sentences else []
    for sentence in ranked.sentences:
        lines += screen.wrap(sentence, first="  ", rest="    ")
    return lines


def warnings(suite: Suite, screen: Screen) -> list[str]:
    """Every warning once, with the labels that it concerns and its action; an empty line before."""
    found = standings.gathered(suite)
    lines = [""] if found else []
    for caution in found:
        first, rest = "warning: ", " " * 9
        for message, labels in caution.said:
            if len(labels) == len(suite.rows) > 1:
                lines += screen.wrap(f"{message};", first=first, rest=rest)
            else:
                *some, last = labels
                concerned = [*(f"{label}," for label in some), f"{last}:"]
                lines += screen.flow([*concerned, f"{message};"], first=first, rest=rest)
            first = rest
        lines += screen.wrap(caution.hint, first=rest, rest=rest)
    return lines


def _cells(columns: Sequence[Column], rows: Sequence[Standing], screen: Screen) -> list[list[str]]:
    """By column, the title first."""
    return [
        [screen.show(column.title), *(screen.show(column.cell(row)) for row in rows)] for column in columns
    ]


def _packed(
    columns: Sequence[Column], rows: Sequence[Standing], screen: Screen, label: int
) -> list[list[Column]]:
    """The columns in order, in tables that fit; none where a column does not fit beside the labels."""
    tables: list[list[Column]] = [[]]
    used = 0
    for column, cells in zip(columns, _cells(columns, rows, screen), strict=True):
        needed = 2 + max(map(width, cells))
        if 4 + label + needed > screen.columns:
            return []
        if 4 + label + used + needed > screen.columns:
            tables.append([])
            used = 0
        tables[-1].append(column)
        used += needed
    return tables


def _grid(
    columns: Sequence[Column], rows: Sequence[Standing], screen: Screen, label: int, *, reasons: bool
) -> list[str]:
    """One table; with the reasons of rows without figures, or without these rows."""
    cells = _cells(columns, rows, screen)
    widths = [max(map(width, column)) for column in cells]

    def line(sign: str, name: str, number: int) -> str:
        figures = "".join(
            f"  {padded(column[number], size, right=kind.right)}"
            for column, size, kind in zip(cells, widths, columns, strict=True)
        )
        return f"  {sign:<1} {padded(screen.cut(name, label), label)}{figures}".rstrip()

    text = [line("", "configuration", 0)]
    beside = " " * (label + 6)
    for number, row in enumerate(rows, 1):
        if row.run is not None:
            text.append(line(standings.mark(row), row.label, number))
        elif reasons:
            name = padded(screen.cut(row.label, label), label)
            text += screen.flow(standings.remarks(row), joint="; ", first=f"    {name}  ", rest=beside)
        if row.run is not None and reasons:
            for remark in standings.remarks(row):
                text += screen.wrap(remark, first=beside, rest=beside)
    return text


def _blocks(columns: Sequence[Column], rows: Sequence[Standing], screen: Screen) -> list[str]:
    text: list[str] = []
    for row in rows:
        lines = [Line(column.title, (cell,)) for column in columns if (cell := column.cell(row))]
        text += [""] if text else []
        sign = standings.mark(row)
        text += screen.wrap(row.label, first=f"{sign} " if sign else "", rest="  ")
        text += laid(lines, screen, indent="    ", label=13)
        for remark in standings.remarks(row):
            text += screen.wrap(remark, first="    ", rest="    ")
    return text
