"""A report for a terminal: the figure that people quote first, its proof beside it, and how the runs lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpux.bench.render import facts, histogram, resources, timeline, units
from gpux.bench.render.lines import Line, cautions, ended, label_width, laid
from gpux.bench.render.screen import Screen, padded, width

if TYPE_CHECKING:
    from gpux.bench.report import Report


def table(report: Report, screen: Screen) -> str:
    """The report as a compact table with two plots."""
    groups = lines(report)
    label = label_width((line for group in groups for line in group), screen)
    text = screen.flow(facts.title(report.identity), joint=" · ", rest="  ")
    text += ["", *laid(groups[0], screen, label=label)]
    text += ["", *laid(groups[1], screen, label=label)]
    text += stages(report, screen)
    for group in groups[2:]:
        text += ["", *laid(group, screen, label=label)] if group else []
    text += plots(report, screen)
    return ended([*text, *cautions(report.cautions, screen)])


def lines(report: Report) -> list[list[Line]]:
    """The report in groups: speed, then proof and method, then what came before, then resources."""
    optional = (resources.disk(report), *resources.memory(report), *resources.devices(report))
    taken = [*optional, resources.energy(report), resources.cost(report)]
    return [
        facts.speed(report),
        [
            facts.proof(report.identity),
            facts.placement(report.identity),
            facts.method(report),
            facts.work(report),
            *facts.doubts(report),
        ],
        facts.phases(report),
        [line for line in taken if line is not None],
        [resources.machine(report)],
    ]


def stages(report: Report, screen: Screen) -> list[str]:
    """Where a run's time goes: each stage with its median, its share and a bar; an empty line before."""
    found = report.summaries
    if not found.shares:
        return []
    names = [screen.cut(name, 16) for name in found.shares]
    medians = [
        screen.show(units.duration(found.stages[name].median)) if name in found.stages else ""
        for name in found.shares
    ]
    shares = [units.percent(share) for share in found.shares.values()]
    widths = [max(map(width, column)) for column in (names, medians, shares)]
    room = min(screen.columns - sum(widths) - 8, 40)
    rows = [
        f"  {padded(name, widths[0])}  {padded(median, widths[1], right=True)}  {padded(share, widths[2], right=True)}  "
        f"{histogram.bar(min(part, 1.0), max(room, 1), plain=screen.plain)}".rstrip()
        for name, median, share, part in zip(names, medians, shares, found.shares.values(), strict=True)
    ]
    return ["", *screen.wrap("where a run's time goes: median, share", first="  "), *rows]


def plots(report: Report, screen: Screen) -> list[str]:
    """The histogram and the time line; an empty line before each."""
    steady = report.samples.steady
    if not len(steady):
        return []
    runs = units.count(len(steady), "run")
    text = ["", *screen.wrap(f"distribution of {runs}", first="  "), *histogram.drawn(steady.seconds, screen)]
    course = timeline.drawn(steady, screen)
    if course:
        said = f"time line: {timeline.legend(steady, screen)}"
        text += ["", *screen.wrap(said, first="  ", rest="  "), *course]
    return text
