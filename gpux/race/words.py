"""A race's figures and comparisons as people read them; knows the numbers only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpux.bench import comparison as factors
from gpux.bench.intervals import Ratio
from gpux.bench.render import units

if TYPE_CHECKING:
    from gpux.race.record import Versus


def figure(value: float, unit: str, noun: str = "") -> str:
    """A figure with its unit; with what it is of where that is named, in the plural."""
    if unit == "B":
        return f"{value / (1 << 20):,.0f} MiB"
    return units.duration(value) + (f" per {noun.removesuffix('s')}" if noun else "")


def comparison(versus: Versus | None, unit: str, rival: str = "", *, left: bool = False) -> str:
    """How a candidate compares.

    Args:
        versus: Its figure over another's.
        unit: ``s`` or ``B``.
        rival: Whom it is held against, where that is not the winner.
        left: Whether it was sent away as clearly worse.
    """
    if versus is None:
        return "it took no turns with another"
    than, times = f" than {rival}" if rival else "", factors.factor(versus.value)
    if unit == "B":
        said = f"{times} × as much"
        return "no measurable difference" if versus.verdict == "same" else said + than.replace("than", "as")
    if versus.low is None or versus.high is None:
        return f"{times} × slower{than} in every run" if left else f"too few runs to tell ({times} ×)"
    ratio = Ratio(versus.value, versus.low, versus.high, 0.99, versus.verdict)
    if versus.verdict == "same":
        span = factors.span(versus.low, versus.high)
        if left:
            return f"{times} × slower{than} in every turn ({span})"
        return f"no measurable difference{than.replace('than', 'from')} ({span})"
    times, span = factors.times(ratio)
    return f"{times} × {versus.verdict}{than} ({span})"
