"""Draws of medians and means as a bootstrap makes them, and what their quantiles say; knows no order and no unit of values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Means:
    """Means of resamples.

    Attributes:
        values: The means, one per resample.
        draws: Draws per resample.
        second: The variance of such a mean.
        third: Its third cumulant.
    """

    values: Array
    draws: int
    second: float
    third: float


def medians(ordered: Array, draws: int, resamples: int, random: np.random.Generator) -> Array:
    """Medians of so many draws from values, shape [n], in ascending order: exact, by the order statistics' distribution.

    The k-th of m draws is x_(⌈n·B⌉) with B from Beta(k, m + 1 - k).
    """
    n, k = ordered.size, (draws + 1) // 2
    first = random.beta(k, draws + 1 - k, resamples)
    below = ordered[_places(first, n)]
    if draws % 2:
        return below
    # The next order statistic is the least of the remaining uniform numbers above this one.
    second = first + (1 - first) * (1 - random.random(resamples) ** (1 / (draws - k)))
    return np.asarray((below + ordered[_places(second, n)]) / 2, np.float64)


def _places(parts: Array, n: int) -> NDArray[np.intp]:
    return np.clip(np.ceil(n * parts).astype(np.intp) - 1, 0, n - 1)


def order_interval(ordered: Array, draws: int, confidence: float) -> tuple[float, float]:
    """The distribution-free interval of the median between two order statistics (Conover, section 3.2)."""
    tail, place, total = (1 - confidence) / 2 * 2**draws, 0, 1
    while total <= tail:
        place += 1
        total += math.comb(draws, place)
    index = int(_places(np.array([(max(place, 1) - 0.5) / draws]), ordered.size)[0])
    return float(ordered[index]), float(ordered[ordered.size - 1 - index])


def means(residuals: Array, draws: int, resamples: int, random: np.random.Generator) -> Means:
    """Means of so many draws from residuals, shape [n], which add up to 0."""
    found = np.empty(resamples)
    # Small enough to stay in the processor's cache.
    chunk = max(1, 65_536 // draws)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        picked = random.integers(0, residuals.size, (rows, draws), dtype=np.int32)
        found[start : start + rows] = residuals[picked].mean(axis=1)
    second, third = float((residuals**2).mean()) / draws, float((residuals**3).mean()) / draws**2
    return Means(found, draws, second, third)


def corrected(
    found: Array, second: float, third: float, freedom: int, confidence: float
) -> tuple[float, float]:
    """The BCa ends of deviations from a statistic whose second and third cumulants are given."""
    normal = NormalDist()
    # Without a spread there is nothing to correct, and rounding must not be taken for one.
    spread = second > 1e-300
    acceleration = third / (6 * second**1.5) if spread else 0.0
    below = (np.count_nonzero(found < 0) + np.count_nonzero(found <= 0)) / 2
    bias = normal.inv_cdf(min(max(below / found.size, 0.01), 0.99)) if spread else 0.0
    reach = student(1 - (1 - confidence) / 2, freedom) * math.sqrt((freedom + 1) / freedom)
    places = [
        normal.cdf(bias + end / max(1 - acceleration * end, 0.1)) for end in (bias - reach, bias + reach)
    ]
    low, high = np.quantile(found, places)
    return float(low), float(high)


def student(part: float, freedom: int) -> float:
    """A quantile of Student's distribution by its expansion (Abramowitz and Stegun, 26.7.5): within 1 % from 5 degrees on."""
    z = NormalDist().inv_cdf(part)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def ends(found: Array, confidence: float) -> tuple[float, float]:
    """The percentile interval."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high)
