"""The plots of one report: how its runs lie, their course, where their time goes, and the memory meanwhile."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from gpux.bench.render import histogram, timeline
from gpux.bench.render.html import thinning
from gpux.bench.render.html.plotting import Unit, altair, finished, inline, numeric, short
from gpux.bench.render.html.style import SERIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpux.bench.report import Report
    from gpux.bench.stats import Summary

SLICES = 240
ROUNDS = 40
"""Most rounds whose beginnings are drawn."""
POINTS = 600
"""Most points of memory over time; of each slice the highest stays."""
_HEIGHT = 240


def distribution(
    ordered: Sequence[float], steady: Summary, interval: tuple[float, float] | None
) -> dict[str, Any]:
    """Counts of ascending seconds, with the median, its interval and two percentiles."""
    alt, unit, found = altair(), Unit(steady.median), thinning.bins(ordered)
    if found.edges[0] == found.edges[-1]:
        half = found.edges[0] * 0.01 or unit.size * 0.01
        edges = [found.edges[0] - half, found.edges[0] + half]
    else:
        edges = list(found.edges)
    rows = [
        {"from": unit.of(low), "to": unit.of(high), "runs": many, "none": 0}
        for (low, high), many in zip(pairwise(edges), found.counts, strict=True)
    ]
    ends = [unit.of(edges[0]), unit.of(edges[-1])]
    x = numeric("from", unit.name, wide=found.logarithmic, tickCount=7)
    x["scale"].domain = ends
    bars = (
        alt.Chart(inline(rows))
        .mark_rect(color=SERIES[0], opacity=0.85, stroke="var(--card)", strokeWidth=0.5)
        .encode(
            x=alt.X(**x), x2="to", y=alt.Y("runs:Q", title="runs", axis=alt.Axis(tickMinStep=1)), y2="none",
            tooltip=[alt.Tooltip("from:Q", title=f"from ({unit.name})"), alt.Tooltip("to:Q"), alt.Tooltip("runs:Q")],
        )
    )  # fmt: skip
    marks = {
        "median": (steady.median, "var(--ink)", [1, 0]),
        "p95": (steady.p95, SERIES[1], [6, 3]),
        "p99": (steady.p99, SERIES[6], [2, 2]),
    }
    lines = [
        (name, unit.of(at), colour, dash)
        for name, (at, colour, dash) in marks.items()
        if ends[0] <= unit.of(at) <= ends[1]
    ]
    names, _, colours, dashes = zip(*lines, strict=True) if lines else ((), (), (), ())
    rules = (
        alt.Chart(inline({"at": at, "mark": name} for name, at, _, _ in lines))
        .mark_rule(strokeWidth=2)
        .encode(
            x="at:Q",
            color=alt.Color("mark:N", scale=alt.Scale(domain=list(names), range=list(colours))),
            strokeDash=alt.StrokeDash("mark:N", scale=alt.Scale(domain=list(names), range=list(dashes))),
            tooltip=["mark:N", alt.Tooltip("at:Q", title=unit.name)],
        )
    )
    layers = [bars, rules]
    if interval is not None:
        band = alt.Chart(inline([{"low": unit.of(interval[0]), "high": unit.of(interval[1])}]))
        layers.insert(1, band.mark_rect(color="var(--ink)", opacity=0.18).encode(x="low:Q", x2="high:Q"))
    return finished(alt.layer(*layers), height=_HEIGHT)


def cumulative(groups: Sequence[tuple[str, Sequence[float]]], title: str = "") -> dict[str, Any]:
    """The share of runs that take no longer, for one or several groups of ascending seconds."""
    alt = altair()
    unit = Unit(groups[0][1][(len(groups[0][1]) - 1) // 2])
    lowest, highest = min(group[1][0] for group in groups), max(group[1][-1] for group in groups)
    rows = [
        {"at": unit.of(value), "share": short(share), "name": name}
        for name, ordered in groups
        for value, share in thinning.levels(ordered)
    ]
    names = [name for name, _ in groups]
    x = numeric(
        "at",
        f"{title or 'no more than'} ({unit.name})",
        wide=lowest > 0 and highest > 3 * lowest,
        tickCount=6,
    )
    colour = alt.Color(
        "name:N", scale=alt.Scale(domain=names), legend=alt.Legend(columns=1) if len(names) > 1 else None
    )
    y = alt.Y("share:Q", title="share of runs", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1]))
    chart = alt.Chart(inline(rows)).mark_line(interpolate="step-after", strokeWidth=2)
    shown = [
        alt.Tooltip("at:Q", title=unit.name),
        alt.Tooltip("share:Q", format=".2%", title="share of runs"),
    ]
    return finished(chart.encode(x=alt.X(**x), y=y, color=colour, tooltip=shown), height=_HEIGHT)


def course(report: Report, ordered: Sequence[float]) -> dict[str, Any] | None:
    """The runs in their order, in slices, with every outlier; nothing for a few runs."""
    series, steady = report.samples.steady, report.summaries.steady
    count = len(series)
    if steady is None or count < timeline.FEW:
        return None
    alt, unit = altair(), Unit(steady.median)
    low, high = histogram.ends(ordered)
    found = timeline.slices(series.seconds, SLICES)
    rows = []
    for index, part in enumerate(found):
        first, last = index * count // len(found), (index + 1) * count // len(found)
        rows.append({
            "run": (first + last + 1) / 2, "runs": f"{first + 1} to {last}" if last > first + 1 else str(last),
            "low": unit.of(max(part.low, low)), "median": unit.of(part.median), "high": unit.of(min(part.high, high)),
            "fastest": unit.of(part.low), "slowest": unit.of(part.high),
        })  # fmt: skip
    # The scale is that of the bulk; a slice of many runs is no outlier, wherever it lies.
    middles = [part.median for part in found] if count >= 5 * len(found) else []
    top, bottom = max([*middles, high]), min([*middles, low])
    margin = (top - bottom) * 0.06 or top * 0.1
    y = numeric("median", unit.name)
    y["scale"] = alt.Scale(
        domain=[unit.of(max(0.0, bottom - margin)), unit.of(top + margin)], clamp=True, nice=False
    )
    x = alt.X(
        "run:Q",
        title="run, in order",
        scale=alt.Scale(domain=[0, count + 1], nice=False),
        axis=alt.Axis(tickMinStep=1),
    )
    shown = ["runs:N", "fastest:Q", alt.Tooltip("median:Q", title=f"median ({unit.name})"), "slowest:Q"]
    plot = alt.Chart(inline(rows))
    layers = []
    begins = [index for index in range(1, count) if series.round[index] != series.round[index - 1]]
    if 0 < len(begins) <= ROUNDS:
        edges = alt.Chart(inline({"run": index + 0.5} for index in begins))
        layers.append(edges.mark_rule(color="var(--line)", strokeDash=[3, 3]).encode(x="run:Q"))
    if count > len(found):
        layers.append(
            plot.mark_area(color=SERIES[0], opacity=0.22).encode(x=x, y=alt.Y("low:Q", **_rest(y)), y2="high")
        )
    dots = len(found) <= SLICES // 2 and alt.OverlayMarkDef(size=16, color=SERIES[0])
    line = plot.mark_line(color=SERIES[0], strokeWidth=1.6, point=dots)
    layers += [line.encode(x=x, y=alt.Y(**y), tooltip=shown), *_far(report, unit, y)]
    return finished(alt.layer(*layers), height=_HEIGHT)


def _far(report: Report, unit: Unit, y: dict[str, Any]) -> list[Any]:
    """A mark per outlier; one beyond the scale stands at its end and points outwards."""
    steady, series = report.summaries.steady, report.samples.steady
    if steady is None or not report.summaries.outliers:
        return []
    alt, (bottom, top) = altair(), y["scale"].domain
    rows = []
    for position in thinning.farthest(series.seconds, report.summaries.outliers, steady.median):
        value = unit.of(series.seconds[position])
        shape = "triangle-up" if value > top else "triangle-down" if value < bottom else "circle"
        rows.append({
            "run": position + 1, "took": value, "shape": shape, "median": min(max(value, bottom), top),
            "at": short(series.start[position]),
        })  # fmt: skip
    points = alt.Chart(inline(rows)).mark_point(color=SERIES[1], filled=True, size=42, opacity=0.9)
    shown = [
        "run:Q",
        alt.Tooltip("took:Q", title=f"took ({unit.name})"),
        alt.Tooltip("at:Q", title="began at (seconds)"),
    ]
    return [points.encode(x="run:Q", y="median:Q", shape=alt.Shape("shape:N", scale=None), tooltip=shown)]


def _rest(axis: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in axis.items() if name not in {"shorthand", "type"}}


def shares(report: Report) -> dict[str, Any] | None:
    """Each stage's part of all steady seconds, as one bar."""
    found = {name: part for name, part in report.summaries.shares.items() if part > 0}
    if not found:
        return None
    alt = altair()
    rows = [
        {"stage": name, "share": short(part), "order": index}
        for index, (name, part) in enumerate(found.items())
    ]
    chart = alt.Chart(inline(rows)).mark_bar(height=30, stroke="var(--card)", strokeWidth=1)
    domain = [0, max(1.0, sum(found.values()))]
    return finished(
        chart.encode(
            x=alt.X(
                "share:Q",
                title=None,
                stack="zero",
                axis=alt.Axis(format="%", tickCount=5),
                scale=alt.Scale(domain=domain, nice=False),
            ),
            color=alt.Color("stage:N", scale=alt.Scale(domain=list(found)), legend=alt.Legend(columns=4)),
            order="order:Q",
            tooltip=["stage:N", alt.Tooltip("share:Q", format=".1%")],
        ),
        height=46,
    )


def memory(report: Report) -> dict[str, Any] | None:
    """Resident memory over time, with its peak and what it was before and after the load; nothing for a few points."""
    found = report.memory
    if len(found.trace.seconds) < 3:
        return None
    alt = altair()
    known = {"before load": found.before, "loaded": found.loaded, "peak": found.peak}
    highest = max(*found.trace.bytes, *(value for value in known.values() if value is not None))
    size, name = (1 << 30, "GiB") if highest >= 2 << 30 else (1 << 20, "MiB")
    rows = [
        {"at": short(at), "memory": short(many / size)}
        for at, many in _highest(found.trace.seconds, found.trace.bytes)
    ]
    ends = [rows[0]["at"], rows[-1]["at"]]
    x = alt.X("at:Q", title="seconds", scale=alt.Scale(domain=ends, nice=False))
    y = alt.Y("memory:Q", title=name, scale=alt.Scale(domainMin=0))
    shown = [alt.Tooltip("at:Q", title="seconds"), alt.Tooltip("memory:Q", title=name)]
    curve = alt.Chart(inline(rows))
    area = curve.mark_area(color=SERIES[2], opacity=0.2, interpolate="step-after").encode(x=x, y=y)
    line = curve.mark_line(color=SERIES[2], strokeWidth=1.6, interpolate="step-after").encode(
        x=x, y=y, tooltip=shown
    )
    levels = [
        {"level": label, "memory": short(many / size)} for label, many in known.items() if many is not None
    ]
    colours = alt.Color(
        "level:N", scale=alt.Scale(domain=list(known), range=["var(--soft)", SERIES[0], SERIES[1]])
    )
    rules = alt.Chart(inline(levels)).mark_rule(strokeDash=[5, 4], strokeWidth=1.5)
    rules = rules.encode(
        y="memory:Q", color=colours, tooltip=["level:N", alt.Tooltip("memory:Q", title=name)]
    )
    return finished(alt.layer(area, line, rules) if levels else alt.layer(area, line), height=200)


def _highest(seconds: Sequence[float], sizes: Sequence[int]) -> list[tuple[float, int]]:
    count = min(POINTS, len(seconds))
    edges = [index * len(seconds) // count for index in range(count + 1)]
    chosen = [max(range(first, last), key=sizes.__getitem__) for first, last in pairwise(edges)]
    return [(seconds[index], sizes[index]) for index in chosen]
