"""What every plot shares: Altair where it is installed, one unit per axis, and the specification without its defaults."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

from gpux.bench.render import units
from gpux.bench.render.html.sheet import missing

NAMES = {"s": "seconds", "ms": "milliseconds", "µs": "microseconds", "ns": "nanoseconds"}
WIDE = 8.0
"""From so many times between the ends on, an axis grows by a factor."""


def altair() -> ModuleType:
    """The library that the plots are written with; its import takes a third of a second.

    Raises:
        GpuxError: The extra ``report`` is not installed.
    """
    try:
        import altair as alt
    except ImportError as error:
        raise missing("altair") from error
    module: ModuleType = alt
    return module


class Unit:
    """The unit of an axis of times: the largest that leaves a whole part of a typical value."""

    def __init__(self, seconds: float) -> None:
        self.size, sign = units.unit_of(seconds)
        self.name = NAMES.get(sign, sign)

    def of(self, seconds: float) -> float:
        """The figure in this unit, with the digits that a plot shows."""
        return short(seconds / self.size)


def short(value: float) -> float:
    """A figure with six significant digits: what a plot shows, in little space."""
    return float(f"{value:.6g}")


def inline(rows: Iterable[dict[str, Any]]) -> Any:
    """Rows as a data set that stands in the plot itself."""
    return altair().InlineData(values=list(rows))


def finished(chart: Any, *, height: int) -> dict[str, Any]:
    """The specification of a chart as wide as its place.

    What every page says once, the configuration, is left out, and so is the address of the schema.
    """
    found: dict[str, Any] = chart.properties(width="container", height=height).to_dict(validate=False)
    return {name: value for name, value in found.items() if name not in {"$schema", "config"}}


def numeric(
    name: str, title: str | None, *, wide: bool = False, zero: bool = False, **axis: Any
) -> dict[str, Any]:
    """The arguments of an axis of figures.

    Args:
        name: Of the field.
        title: Of the axis.
        wide: Whether it grows by a factor.
        zero: Whether it begins at 0.
        axis: What else is said of it.
    """
    alt = altair()
    scale = alt.Scale(type="log", nice=False) if wide else alt.Scale(zero=zero, nice=zero)
    return {
        "shorthand": name,
        "type": "quantitative",
        "title": title,
        "scale": scale,
        "axis": alt.Axis(**axis),
    }
