"""A model's readiness: a grade per line, with the figure and the rule that gave it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpux.bench.render import comma_separated as csv
from gpux.bench.render import markdown as md
from gpux.bench.render import units
from gpux.bench.render.lines import ended
from gpux.bench.render.screen import Screen, padded, width

if TYPE_CHECKING:
    from gpux.bench.assess import Assessment, Finding

COLUMNS = ("name", "grade", "value", "unit", "rule")


def table(found: Assessment, screen: Screen) -> str:
    """The whole grade, then every line."""
    return ended([*screen.wrap(f"readiness: {found.grade}"), "", *lines(found, screen)])


def lines(found: Assessment, screen: Screen) -> list[str]:
    """Every finding: its grade, its name and its figure, and the rule beside or below."""
    rows = [tuple(map(screen.show, (line.grade, line.name, figure(line)))) for line in found.findings]
    if not rows:
        return []
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    beside = sum(widths) + 8
    text: list[str] = []
    for (grade, name, value), finding in zip(rows, found.findings, strict=True):
        first = (
            f"  {padded(grade, widths[0])}  {padded(name, widths[1])}  {padded(value, widths[2], right=True)}"
        )
        if screen.columns - beside >= 30:
            text += screen.wrap(finding.rule, first=f"{first}  ", rest=" " * beside)
        else:
            text += [
                *screen.wrap(first.strip(), first="  "),
                *screen.wrap(finding.rule, first="    ", rest="    "),
            ]
    return text


def figure(finding: Finding) -> str:
    """The figure in its unit."""
    if finding.value is None:
        return units.UNKNOWN
    shown = {"share": units.percent, "seconds": units.duration}
    if finding.unit in shown:
        return shown[finding.unit](finding.value)
    return f"{units.number(finding.value)} {finding.unit.replace('per second', '/s')}".replace(" /s", "/s")


def markdown(found: Assessment, screen: Screen) -> str:  # noqa: ARG001 - one signature for all formats
    """The same as a Markdown table."""
    rows = [(line.grade, line.name, figure(line), line.rule) for line in found.findings]
    return ended(
        [
            f"## Readiness: {md.cell(found.grade)}",
            "",
            *md.grid(("grade", "name", "value", "rule"), rows, right=(2,)),
        ]
    )


def comma_separated(found: Assessment, screen: Screen) -> str:  # noqa: ARG001
    """A row per line."""
    return csv.written(COLUMNS, ({name: getattr(line, name) for name in COLUMNS} for line in found.findings))
