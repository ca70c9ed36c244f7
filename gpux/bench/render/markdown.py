"""Reports and suites in Markdown (GitHub's tables), and the tables that other records are written with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gpux.bench.render import facts, histogram, report, standings, timeline, units
from gpux.bench.render.lines import Line, ended
from gpux.bench.render.screen import Screen, one_line

if TYPE_CHECKING:
    from gpux.bench.report import Report
    from gpux.bench.suite import Suite

_MARKS = re.compile(r"[\\`*_\[\]|~$#]")
_PLOTS = Screen(80)


def text(document: Report | Suite) -> str:
    """A report or a suite as headings, tables and quotes."""
    from gpux.bench.report import Report

    return ended(_report(document) if isinstance(document, Report) else _suite(document))


def cell(said: str) -> str:
    """A text that is nothing but text to a Markdown reader, and stays in its cell."""
    shown = one_line(said).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKS.sub(r"\\\g<0>", shown)


def grid(titles: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> list[str]:
    """A table; the columns of these numbers stand on the right."""
    numbers = set(right)
    rules = ["---:" if index in numbers else "---" for index in range(len(titles))]
    lines = [[cell(title) for title in titles], rules, *([cell(said) for said in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def quote(said: str) -> str:
    """A warning."""
    return f"> **Warning:** {cell(said)}"


def _report(found: Report) -> list[str]:
    title = " · ".join(facts.title(found.identity))
    rows = [line for group in report.lines(found) for line in group]
    lines = [f"## {cell(title)}", "", *grid(["", ""], map(_row, rows))]
    if found.summaries.shares:
        lines += ["", *grid(["stage", "median", "share"], _stages(found), right=(1, 2))]
    lines += [
        line for caution in found.cautions for line in ("", quote(f"{caution.message}; {caution.hint}"))
    ]
    if not len(found.samples.steady):
        return lines
    drawn = ["Distribution", "", *histogram.drawn(found.samples.steady.seconds, _PLOTS)]
    course = timeline.drawn(found.samples.steady, _PLOTS)
    legend = timeline.legend(found.samples.steady, _PLOTS)
    drawn += ["", f"Time line: {legend}", "", *course] if course else []
    return [*lines, "", "```text", *drawn, "```"]


def _row(line: Line) -> tuple[str, str]:
    return line.label, line.joint.join(line.parts)


def _stages(found: Report) -> Iterable[tuple[str, str, str]]:
    for name, share in found.summaries.shares.items():
        summary = found.summaries.stages.get(name)
        yield name, "" if summary is None else units.duration(summary.median), units.percent(share)


def _suite(found: Suite) -> list[str]:
    from gpux.bench import ranking

    ranked = ranking.rank(found)
    columns = standings.columns(found, ranked.standings)
    rows = []
    for row in ranked.standings:
        name = f"{standings.mark(row)} {row.label}".strip()
        rows.append([name, *(column.cell(row) for column in columns), "; ".join(standings.remarks(row))])
    right = [index for index, column in enumerate(columns, 1) if column.right]
    titles = ["configuration", *(column.title for column in columns), "remarks"]
    first = next(iter(found.reports), None)
    title = " · ".join(facts.title(first.identity)[:2]) if first else "benchmark"
    used = {standings.mark(row) for row in ranked.standings}
    legend = [f"{sign} {said}" for sign, said in standings.LEGEND.items() if sign in used]
    lines = [f"## {cell(title)}", "", *grid(titles, rows, right=right)]
    lines += ["", cell(", ".join(legend))] if legend else []
    lines += ["", *(f"- {cell(sentence)}" for sentence in ranked.sentences)] if ranked.sentences else []
    for caution in standings.gathered(found):
        said = "; ".join(f"{', '.join(labels)}: {message}" for message, labels in caution.said)
        lines += ["", quote(f"{said}; {caution.hint}")]
    return lines
