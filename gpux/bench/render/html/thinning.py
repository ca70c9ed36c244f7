"""Many runs → few marks that still tell of all of them: counts, levels and slices; knows no plot."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gpux.bench.render import histogram
from gpux.bench.stats import LONG

BINS = 60
LEVELS = 200
TAIL = 40
"""The slowest runs that are levels of their own."""

MOST = 500
"""Most outliers that are drawn; the farthest are."""


@dataclass(frozen=True, slots=True)
class Bins:
    """Counts between edges.

    Attributes:
        edges: Ascending, one more than ``counts``; both the same where all runs are.
        counts: Runs from one edge to the next; the last holds its upper edge too.
        logarithmic: Whether the edges grow by a factor.
        below: Runs below the first edge.
        above: Runs above the last.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    logarithmic: bool
    below: int
    above: int


def ascending(values: Sequence[float]) -> list[float]:
    """The values in order."""
    if len(values) < LONG:
        return sorted(values)
    import numpy as np

    ordered: list[float] = np.sort(np.asarray(values, np.float64)).tolist()
    return ordered


def bins(ordered: Sequence[float]) -> Bins:
    """Count ascending values, at least one, in at most :data:`BINS` bins over their bulk.

    About 2·∛n of them (the Rice rule), between round numbers, or by equal factors where the bulk spans magnitudes.
    """
    low, high = histogram.ends(ordered)
    if high <= low:
        below, above = bisect_left(ordered, low), _above(ordered, low)
        return Bins((low, low), (len(ordered) - below - above,), logarithmic=False, below=below, above=above)
    wanted = max(5, min(BINS - 2, math.ceil(2 * len(ordered) ** (1 / 3))))
    edges: tuple[float, ...]
    logarithmic = low > 0 and high / low > histogram.DECADE
    if logarithmic:
        edges = (*(low * (high / low) ** (i / wanted) for i in range(wanted)), high)
    else:
        step = histogram.round_up((high - low) / wanted)
        first = math.floor(low / step + 1e-9)
        last = max(math.ceil(high / step - 1e-9), first + 1)
        edges = tuple(i * step for i in range(first, last + 1))
    marks = [bisect_left(ordered, edge) for edge in edges]
    above = _above(ordered, edges[-1])
    marks[-1] = len(ordered) - above
    return Bins(edges, tuple(b - a for a, b in pairwise(marks)), logarithmic, marks[0], above)


def levels(ordered: Sequence[float]) -> list[tuple[float, float]]:
    """Points of the empirical distribution of ascending values: a value, and the share of runs no slower, from 0 to 1.

    All of them where they are few, else about :data:`LEVELS` evenly spread and the :data:`TAIL` slowest.
    """
    count = len(ordered)
    if count <= LEVELS + TAIL:
        chosen = set(range(count))
    else:
        chosen = {index * (count - 1) // LEVELS for index in range(LEVELS + 1)} | set(
            range(count - TAIL, count)
        )
    return [(ordered[index], (index + 1) / count) for index in sorted(chosen)]


def farthest(seconds: Sequence[float], positions: Sequence[int], middle: float) -> list[int]:
    """Those of the positions whose values lie farthest from the middle, at most :data:`MOST`, in their order."""
    far = sorted(positions, key=lambda position: abs(seconds[position] - middle), reverse=True)
    return sorted(far[:MOST])


def _above(ordered: Sequence[float], edge: float) -> int:
    return len(ordered) - bisect_left(ordered, math.nextafter(edge, math.inf))
