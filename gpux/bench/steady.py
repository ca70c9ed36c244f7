"""From which run on a series of timings is steady, as a change-point test tells; knows neither models nor when to give up."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gpux.bench import shape

WINDOW = 30
"""Runs that must have been steady: as many as show a change of half their own spread."""
_CHANCE = 0.15
_SHIFT = 0.01
_LEAST = 8


def steady(values: Sequence[float], *, window: int = WINDOW) -> bool:
    """Whether the last ``window`` runs or more are one steady state: none of the change points found lies among them.

    A series that is steady from its first run on is called so at ``window`` runs in about nine of ten cases. A change
    that is still to come cannot be known, and one of less than the noise cannot be seen: the caller sets a limit too.

    Args:
        values: Seconds of the runs so far, in order.
        window: At least 8.
    """
    return len(values) >= max(window, _LEAST) and len(values) - where(values) >= max(window, _LEAST)


def where(values: Sequence[float]) -> int:
    """Index of the first run of the steady state that the series ends in; 0 for a series that is steady throughout.

    After Barrett et al., "Virtual Machine Warmup Blows Hot and Cold", Proc. ACM Program. Lang. 1 (OOPSLA 2017): the series
    is cut at its change points, and what follows the last is the steady state. A change point is where Pettitt's rank test
    finds one ("A Non-parametric Approach to the Change-point Problem", Applied Statistics 28, 1979) at 15 % and the
    medians on its sides differ by 1 % or more; the test is then put to what follows it. A rank test does not see a few
    slow runs at the very beginning, so these are cut off as far as they lie beyond the fences of the rest.

    Args:
        values: Seconds of the runs, in order; finite.
    """
    data = np.asarray(values, np.float64)
    start = 0
    while (cut := _change(data[start:])) is not None:
        start += cut
    rest = data[start:]
    odd = shape.outliers(rest.tolist())
    # The outliers ascend, so an unbroken run of them from the first on has each at its own number.
    return start + sum(1 for number, index in enumerate(odd) if number == index)


def _change(data: NDArray[np.float64]) -> int | None:
    """Index of the first run after the likeliest change, where there is a change."""
    n = data.size
    if n < _LEAST:
        return None
    # Pettitt's U(t) by ranks: twice the rank sum of the first t less what it would be without a change.
    sums = 2 * np.cumsum(shape.ranks(data))[:-1] - np.arange(1, n) * (n + 1)
    cut = int(np.argmax(np.abs(sums))) + 1
    chance = 2 * math.exp(-6 * float(sums[cut - 1]) ** 2 / (n**3 + n**2))
    before, after = float(np.median(data[:cut])), float(np.median(data[cut:]))
    if chance > _CHANCE or abs(before - after) < _SHIFT * abs(after):
        return None
    return cut
