"""Plots with a row per configuration: ratios with their intervals around 1, and how far each one's runs spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpux.bench.render import units
from gpux.bench.render.html.plotting import WIDE, Unit, altair, finished, inline, numeric, short
from gpux.bench.render.html.style import SERIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpux.bench.intervals import Ratio
    from gpux.bench.stats import Summary

STEP = 46
VERDICTS = {"faster": "var(--good)", "same": "var(--soft)", "slower": "var(--bad)"}


def forest(found: Sequence[tuple[str, Ratio]], title: str) -> dict[str, Any] | None:
    """A point with its interval per name, on a scale of factors with a line at 1.

    Args:
        found: Names and ratios, from top to bottom.
        title: What a ratio is.
    """
    if not found:
        return None
    alt = altair()
    rows = [
        {
            "row": index, "name": name, "ratio": short(ratio.value), "verdict": ratio.verdict,
            "low": short(ratio.low or ratio.value), "high": short(ratio.high or ratio.value),
            "said": f"{units.ratio(ratio.value)} ×",
        }
        for index, (name, ratio) in enumerate(found)
    ]  # fmt: skip
    lowest = min(1.0, *(float(str(row["low"])) for row in rows))
    highest = max(1.0, *(float(str(row["high"])) for row in rows))
    margin = max((highest / lowest) ** 0.08, 1.01)
    x = numeric("ratio", title, wide=highest > 3 * lowest, tickCount=6, format="~r")
    x["scale"].domain = [lowest / margin, highest * margin]
    y = _rows(len(rows))
    plot = alt.Chart(inline(rows)).encode(y=y)
    colour = alt.Color("verdict:N", scale=alt.Scale(domain=list(VERDICTS), range=list(VERDICTS.values())))
    shown = [
        "name:N",
        "ratio:Q",
        alt.Tooltip("low:Q", title="from"),
        alt.Tooltip("high:Q", title="to"),
        "verdict:N",
    ]
    one = (
        alt.Chart(inline([{"ratio": 1}]))
        .mark_rule(color="var(--ink)", strokeDash=[4, 3])
        .encode(x=alt.X(**x))
    )
    layers = [
        one,
        plot.mark_rule(strokeWidth=2.2).encode(x="low:Q", x2="high", color=colour),
        *(plot.mark_tick(thickness=2.2, size=12).encode(x=end, color=colour) for end in ("low:Q", "high:Q")),
        plot.mark_point(filled=True, size=90, opacity=1).encode(x="ratio:Q", color=colour, tooltip=shown),
        *_named(plot, -14),
        plot.mark_text(align="right", dy=-14).encode(x=alt.value("width"), text="said:N"),
    ]
    return finished(alt.layer(*layers), height=STEP * len(rows) + 10)


def spread(found: Sequence[tuple[str, Summary, bool]]) -> dict[str, Any] | None:
    """Per name a bar from the fastest run to the 95th percentile, a line to the 99th, and the median.

    Args:
        found: Names, seconds, and whether it is the best, from top to bottom.
    """
    if not found:
        return None
    alt = altair()
    lowest, highest = min(summary.min for _, summary, _ in found), max(summary.p99 for _, summary, _ in found)
    wide = lowest > 0 and highest > WIDE * lowest
    unit = Unit((lowest * highest) ** 0.5 if wide else highest)
    rows = [
        {
            "row": index, "name": name, "best": best, "min": unit.of(summary.min), "median": unit.of(summary.median),
            "p95": unit.of(summary.p95), "p99": unit.of(summary.p99), "said": units.duration(summary.median),
        }
        for index, (name, summary, best) in enumerate(found)
    ]  # fmt: skip
    x = numeric("min", f"one run ({unit.name})", wide=wide, zero=not wide, tickCount=7, format="~r")
    if not wide:
        x["scale"].domain = [0, unit.of(highest) * 1.04]
    plot = alt.Chart(inline(rows)).encode(y=_rows(len(rows)))
    colour = alt.condition("datum.best", alt.value("var(--best)"), alt.value(SERIES[0]))
    shown = ["name:N", "min:Q", alt.Tooltip("median:Q", title=f"median ({unit.name})"), "p95:Q", "p99:Q"]
    layers = [
        plot.mark_rule(strokeWidth=1.6).encode(x=alt.X(**x), x2="p99", color=colour),
        plot.mark_bar(height=12, opacity=0.75, cornerRadius=2).encode(
            x="min:Q", x2="p95", color=colour, tooltip=shown
        ),
        plot.mark_tick(thickness=3, size=20, color="var(--ink)").encode(x="median:Q", tooltip=shown),
        *_named(plot, -17),
        plot.mark_text(align="right", dy=-17).encode(x=alt.value("width"), text="said:N"),
    ]
    return finished(alt.layer(*layers), height=STEP * len(rows) + 10)


def _named(plot: Any, above: int) -> list[Any]:
    """The rows' names above them, on a ground of their own, for lines may pass behind."""
    alt = altair()
    said = {"align": "left", "dy": above, "fontWeight": 500, "limit": 420}
    ground = plot.mark_text(stroke="var(--card)", strokeWidth=6, strokeJoin="round", **said)
    return [text.encode(x=alt.value(0), text="name:N") for text in (ground, plot.mark_text(**said))]


def _rows(count: int) -> Any:
    alt = altair()
    return alt.Y("row:Q", axis=None, scale=alt.Scale(domain=[count - 0.45, -0.65], nice=False, zero=False))
