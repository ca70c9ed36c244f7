"""The plots of a sweep: throughput and latency over an axis of numbers, a line per other configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpux.bench.render.html.plotting import WIDE, Unit, altair, finished, inline, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpux.bench.comparison import Estimate
    from gpux.bench.ranking import Standing

SHAPES = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "cross",
    "triangle-down",
    "triangle-right",
    "triangle-left",
)
ALL = "all"


@dataclass(frozen=True, slots=True)
class Point:
    """One configuration in a plot: its place, its figure, the line that it is on, and what is to be told of it."""

    at: float
    figure: Estimate | None
    line: str
    best: bool
    told: str


def swept(axes: dict[str, tuple[str, ...]]) -> list[str]:
    """The axes whose values are different numbers: those that a curve can be drawn over."""
    return [name for name, values in axes.items() if len({_number(value) for value in values} - {None}) > 1]


def points(axis: str, standings: Sequence[Standing], *, latency: bool) -> list[Point]:
    """The configurations along an axis, by their throughput or their seconds per run."""
    found = []
    for row in standings:
        at = _number(row.axes.get(axis, ""))
        if at is None:
            continue
        others = [
            f"{name} {value}" if _number(value) is not None else value
            for name, value in row.axes.items()
            if name != axis
        ]
        told = row.reason.message if row.reason is not None else row.quality or ""
        figure = row.run if latency else row.throughput
        found.append(Point(at, figure, " · ".join(others) or ALL, row.best, told))
    return found


def curve(axis: str, found: Sequence[Point], title: str, *, latency: bool) -> dict[str, Any] | None:
    """A curve with 95 % error bars; the best is ringed, and one without figures is a cross at the foot.

    Args:
        axis: What is varied.
        found: The configurations.
        title: What is measured; its unit is added to times.
        latency: Whether the figures are seconds.
    """
    known = [(point, point.figure) for point in found if point.figure is not None]
    if not known:
        return None
    alt = altair()
    unit = Unit(max(figure.value for _, figure in known)) if latency else None
    scaled = unit.of if unit is not None else short
    rows = [
        {
            "at": point.at, "value": scaled(figure.value), "line": point.line, "proof": point.told, "best": point.best,
            "low": scaled(figure.value if figure.low is None else figure.low),
            "high": scaled(figure.value if figure.high is None else figure.high),
        }
        for point, figure in known
    ]  # fmt: skip
    places = sorted({point.at for point in found})
    wide = places[0] > 0 and places[-1] >= WIDE * places[0]
    # Powers of two, as batches and lengths are swept; a little room on both sides.
    domain = (
        [places[0] / 1.15, places[-1] * 1.15]
        if wide
        else [places[0] - (room := (places[-1] - places[0] or 1) * 0.05), places[-1] + room]
    )
    scale = (
        alt.Scale(type="log", base=2, domain=domain, nice=False)
        if wide
        else alt.Scale(domain=domain, nice=False)
    )
    x = alt.X("at:Q", title=axis, scale=scale, axis=alt.Axis(values=places, format="d", grid=False))
    named = f"{title} ({unit.name})" if unit is not None else title
    highest = max(float(str(row["high"])) for row in rows)
    y = alt.Y("value:Q", title=named, scale=alt.Scale(domain=[0, highest * 1.12 or 1], nice=False))
    names = list(dict.fromkeys(point.line for point in found))
    colour = alt.Color(
        "line:N", scale=alt.Scale(domain=names), legend=alt.Legend(columns=3) if len(names) > 1 else None
    )
    shape = alt.Shape(
        "line:N", scale=alt.Scale(domain=names, range=[SHAPES[i % len(SHAPES)] for i in range(len(names))])
    )
    shown = [
        *(["line:N"] if len(names) > 1 else []), alt.Tooltip("at:Q", title=axis), alt.Tooltip("value:Q", title=named),
        alt.Tooltip("low:Q", title="95 % from"), alt.Tooltip("high:Q", title="to"), "proof:N",
    ]  # fmt: skip
    plot = alt.Chart(inline(rows)).encode(x=x, color=colour)
    layers = [
        plot.mark_line(strokeWidth=2).encode(y=y),
        plot.mark_rule(strokeWidth=1.6).encode(y=alt.Y("low:Q", title=named), y2="high"),
        plot.mark_point(filled=True, size=60, opacity=1).encode(y=y, shape=shape, tooltip=shown),
        *_best(plot, y),
        *_failed(found),
    ]
    return finished(alt.layer(*layers), height=270)


def _best(plot: Any, y: Any) -> list[Any]:
    alt = altair()
    chosen = plot.transform_filter("datum.best")
    ring = chosen.mark_point(size=260, strokeWidth=2.2, filled=False, fillOpacity=0)
    label = chosen.mark_text(dy=-17, fontWeight="bold").encode(
        y=y, text=alt.value("best"), color=alt.value("var(--best)")
    )
    return [ring.encode(y=y, color=alt.value("var(--best)")), label]


def _failed(found: Sequence[Point]) -> list[Any]:
    rows = [
        {"at": point.at, "line": point.line, "why": point.told, "value": 0}
        for point in found
        if point.figure is None
    ]
    if not rows:
        return []
    alt = altair()
    marks = alt.Chart(inline(rows)).mark_point(
        shape="M-1,-1L1,1M1,-1L-1,1",
        size=46,
        strokeWidth=2.4,
        opacity=1,
        yOffset=-10,
        stroke="var(--bad)",
    )
    return [
        marks.encode(
            x="at:Q",
            y="value:Q",
            tooltip=["line:N", "at:Q", alt.Tooltip("why:N", title="no figures")],
        )
    ]


def _number(text: str) -> float | None:
    return float(text) if text.isdecimal() and text.isascii() else None
