"""Statistics of a list of numbers; knows neither seconds nor models."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

RESAMPLES = 2000
LONG = 2000
"""From so many numbers on, numpy earns its import; the figures are the same."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a list of numbers comes to, in their own unit.

    Attributes:
        n: How many there are.
        mean: Arithmetic mean.
        std: Sample standard deviation (n - 1 in the denominator); ``None`` for one number.
        min: The smallest.
        max: The largest.
        median: The middle; the same figure as ``p50``.
        p50: The 50th percentile; see :func:`percentile` for the definition of all four.
        p90: The 90th percentile.
        p95: The 95th percentile.
        p99: The 99th percentile.
        mad: Median absolute deviation from the median, unscaled.
        variation: Coefficient of variation, standard deviation / mean; ``None`` for one number or a mean of zero.
    """

    n: int
    mean: float
    std: float | None
    min: float
    max: float
    median: float
    p50: float
    p90: float
    p95: float
    p99: float
    mad: float
    variation: float | None


def summarise(values: Sequence[float]) -> Summary | None:
    """The summary of finite numbers, or ``None`` where there are none; the mean is rounded once."""
    if not values:
        return None
    ordered = _ascending(values)
    mean = math.fsum(ordered) / len(ordered)
    # Rounding can push the mean of equal numbers one step outside them.
    mean = min(max(mean, ordered[0]), ordered[-1])
    middle = percentile(ordered, 50)
    deviation = _deviation(ordered, mean)
    return Summary(
        n=len(ordered),
        mean=mean,
        std=deviation,
        min=ordered[0],
        max=ordered[-1],
        median=middle,
        p50=middle,
        p90=percentile(ordered, 90),
        p95=percentile(ordered, 95),
        p99=percentile(ordered, 99),
        mad=_absolute_deviation(ordered, middle),
        variation=None if deviation is None or mean == 0 else deviation / abs(mean),
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The percentile of numbers in ascending order, interpolated linearly.

    Definition 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages" (1996), which is numpy's default: the
    value at position (n - 1) · percent / 100, counted from 0.
    """
    position = (len(ordered) - 1) * percent / 100
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    low, high, part = ordered[below], ordered[above], position - below
    # Each end's own formula, so that neither end is missed by rounding.
    return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)


def bootstrap_interval(
    draw: Callable[..., float],
    *groups: Sequence[float],
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """A percentile bootstrap interval of a statistic of one or several independent groups.

    Every resample draws from each group as many values as it has, with replacement (Efron and Tibshirani, "An
    Introduction to the Bootstrap", chapter 13). The same seed gives the same interval.

    Args:
        draw: The statistic: one float64 array per group in, one number out.
        groups: The samples, at least one value each.
        confidence: The interval's confidence, between 0 and 1.
        resamples: How many resamples.
        seed: Of the random numbers.

    Returns:
        The lower and the upper end.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    arrays = [np.asarray(group, np.float64) for group in groups]
    found = [
        draw(*(array[random.integers(0, array.size, array.size)] for array in arrays))
        for _ in range(resamples)
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high)


def _ascending(values: Sequence[float]) -> list[float]:
    if len(values) < LONG:
        return sorted(map(float, values))
    import numpy as np

    ordered: list[float] = np.sort(np.asarray(values, np.float64)).tolist()
    return ordered


def _deviation(values: list[float], mean: float) -> float | None:
    if len(values) < 2:
        return None
    squares: list[float]
    if len(values) < LONG:
        squares = [(value - mean) ** 2 for value in values]
    else:
        import numpy as np

        squares = ((np.asarray(values) - mean) ** 2).tolist()
    return math.sqrt(math.fsum(squares) / (len(values) - 1))


def _absolute_deviation(ordered: list[float], middle: float) -> float:
    if len(ordered) < LONG:
        return percentile(sorted(abs(value - middle) for value in ordered), 50)
    import numpy as np

    return percentile(np.sort(np.abs(np.asarray(ordered) - middle)).tolist(), 50)
