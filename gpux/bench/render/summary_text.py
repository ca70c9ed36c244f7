"""A model-performance report in words and sections: size, memory, timing, throughput, readiness, energy, system, warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpux.bench.render import assessment, facts, report, resources, standings, suite, units
from gpux.bench.render.lines import Block, Line, blocks, cautions, ended
from gpux.bench.render.screen import Screen, width
from gpux.bench.render.units import UNKNOWN, size

if TYPE_CHECKING:
    from gpux.bench.report import Report
    from gpux.bench.suite import Suite


def text(document: Report | Suite, screen: Screen) -> str:
    """One report, or the reports of a suite one after another with what follows from them at the end."""
    from gpux.bench.report import Report

    if isinstance(document, Report):
        return ended(
            [
                *screen.flow(("MODEL PERFORMANCE", *facts.title(document.identity)), joint=" · "),
                *_body(document, screen),
            ]
        )
    return ended(_suite(document, screen))


def _suite(found: Suite, screen: Screen) -> list[str]:
    from gpux.bench import ranking

    ranked = ranking.rank(found)
    lines = [*screen.wrap("MODEL PERFORMANCE"), *suite.heading(found, ranked, screen)]
    for row, standing in zip(found.rows, ranked.standings, strict=True):
        title = screen.wrap(row.label)
        lines += ["", *title, ("=" if screen.plain else "═") * min(max(map(width, title)), screen.columns)]
        if row.reason is not None:
            lines += screen.wrap(standings.why(row.reason), first="  ", rest="  ")
        if row.report is not None:
            lines += _body(row.report, screen)
        if standing.agreement is not None:
            said = f"its answers agree with the first configuration's: cosine ≥ {units.cosine(standing.agreement)}"
            lines += ["", *screen.wrap(said, first="  ", rest="  ")]
    return [*lines, "", *screen.wrap("COMPARISON"), *suite.conclusions(ranked, screen)]


def _body(found: Report, screen: Screen) -> list[str]:
    from gpux.bench import assess

    graded = assess.assess(found)
    cost = resources.cost(found)
    sections = [
        Block("MODEL SIZE", tuple(_sizes(found))),
        Block("MEMORY", (*resources.memory(found), *(resources.devices(found) or [_no_device()]))),
        Block("TIMING", (*facts.phases(found), *_timing(found), facts.method(found), facts.work(found))),
    ]
    lines = blocks(sections, screen)
    lines += report.stages(found, screen)
    rest = [
        Block(
            "THROUGHPUT", tuple(line for line in facts.speed(found) if line.label in {"throughput", "tokens"})
        ),
        Block("PROOF", (facts.proof(found.identity), facts.placement(found.identity))),
    ]
    lines += blocks(rest, screen)
    lines += ["", *screen.wrap(f"READINESS: {graded.grade}"), *assessment.lines(graded, screen)]
    lines += blocks([Block("ENERGY AND COST", (resources.energy(found), *([cost] if cost else [])))], screen)
    lines += blocks([Block("SYSTEM", (resources.machine(found), *resources.conditions(found)))], screen)
    lines += ["", *screen.wrap("WARNINGS")]
    return [*lines, *(cautions(found.cautions, screen)[1:] or screen.wrap("none", first="  "))]


def _sizes(found: Report) -> list[Line]:
    memory = found.memory
    lines = [] if memory.parameters is None else [Line("parameters", (f"{memory.parameters:,}",))]
    for variant, components in memory.disk.items():
        parts = [f"{name} {size(count)}" for name, count in components.items()] if len(components) > 1 else []
        measured = ["measured here"] if variant == found.identity.variant else []
        lines.append(Line(variant, (f"{size(sum(components.values()))} on disk", *parts, *measured)))
    return lines or [Line("on disk", (UNKNOWN,))]


def _no_device() -> Line:
    return Line("gpu", ("none that NVML shows",))


def _timing(found: Report) -> list[Line]:
    return [
        *(line for line in facts.speed(found) if line.label not in {"throughput", "tokens"}),
        *facts.doubts(found),
    ]
