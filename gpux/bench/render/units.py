"""Figures as people read them: seconds, bytes, rates, shares and intervals with the digits that they are good for."""

from __future__ import annotations

import math

_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_JOULES = ((1e3, "kJ"), (1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"))
UNKNOWN = "n/a"


def duration(seconds: float) -> str:
    """Seconds in the largest unit that leaves a whole part, with four significant digits."""
    size, unit = unit_of(seconds)
    return f"{digits(seconds / size)} {unit}" if seconds else "0 s"


def unit_of(seconds: float) -> tuple[float, str]:
    """The largest unit that leaves a whole part once rounded: its seconds and its name."""
    return _unit(seconds, _SECONDS)


def digits(value: float) -> str:
    """Four significant digits where they are few enough to read, without an exponent from 0.001 up."""
    size = abs(value)
    if size >= 1e12:
        return f"{value:.4g}"
    if size >= 999.95:
        return f"{value:,.0f}" if size >= 9999.5 else f"{value:,.1f}"
    return f"{value:.{1 if size >= 99.995 else 2 if size >= 9.9995 else 3}f}"


def number(value: float) -> str:
    """A measured figure with four significant digits, thousands parted by commas."""
    if 999.95 <= abs(value) < 1e12:
        return f"{value:,.0f}"
    if abs(value) >= 0.9995:
        return digits(value)
    return f"{value:.4g}"


def span(low: float, high: float) -> str:
    """Two durations, with one unit where they share it: ``6.512 to 6.623 ms``."""
    size, unit = unit_of(max(abs(low), abs(high)))
    if low and unit_of(low) == (size, unit):
        return f"{digits(low / size)} to {digits(high / size)} {unit}"
    return f"{duration(low)} to {duration(high)}"


def interval(low: float, high: float) -> str:
    """Two figures: ``149.1 to 155.0``."""
    return f"{number(low)} to {number(high)}"


def ratio(value: float) -> str:
    """How many times: ``1.23``."""
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"


def energy(joules: float) -> str:
    """Joules in a unit that leaves a whole part."""
    size, unit = _unit(joules, _JOULES)
    return f"{digits(joules / size)} {unit}" if joules else "0 J"


def size(count: float | None) -> str:
    """Bytes: ``86.1 MiB``."""
    if count is None:
        return UNKNOWN
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1023.95 or (unit == "B" and abs(count) < 1024):
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def percent(share: float) -> str:
    """A share of 1: never rounded up to the whole, nor down to nothing."""
    text = f"{share:.1%}"
    if text == "100.0%" and share < 1:
        return "99.9%"
    return "<0.1%" if text == "0.0%" and share > 0 else text.replace(".0%", "%")


def cosine(value: float) -> str:
    """Rounded down beyond float64's own noise: a proof must not read better than it is."""
    return f"{math.floor((value + 1e-9) * 1e6) / 1e6:.6f}"


def count(many: int, noun: str) -> str:
    """``1 run``, ``2 runs``, by the noun in the singular."""
    return f"{many:,} {noun}" if many == 1 else f"{many:,} {noun}s"


def items(many: int, noun: str) -> str:
    """``1 sentence``, ``8 sentences``, by the noun in the plural."""
    return f"{many:,} {singular(noun) if many == 1 else noun}"


def singular(noun: str) -> str:
    """One of what a noun in the plural counts."""
    if noun.endswith("ies"):
        return f"{noun[:-3]}y"
    return noun[:-1] if noun.endswith("s") and not noun.endswith("ss") else noun


def _unit(value: float, units: tuple[tuple[float, str], ...]) -> tuple[float, str]:
    # What rounds to a thousand of one unit is one of the next.
    return next(((size, unit) for size, unit in units if abs(value) >= size * 0.99995), units[-1])
