"""What a series of timings looks like: outliers, spikes, drift, two modes. Flags, never drops; knows no unit and no remedy.

Every finding asks for significance and for a size that matters, so that neither noise nor a hundred thousand runs make one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpux.bench import intervals

Array = NDArray[np.float64]

FAR_OUT = 6.0
"""Half-spreads beyond the quartile from which a value is far out: Tukey's 3 interquartile ranges."""
SPIKE_SHARE, SPIKE_EXCESS, SPIKE_HEIGHT = 0.005, 0.01, 1.5
DRIFT_CHANGE, DRIFT_ERRORS, DRIFT_RUNS = 0.03, 3.29, 20
MODES_APART, MODES_SHARE, MODES_DIP, MODES_RUNS = 0.05, 0.1, 0.02, 30
VALLEY_CHANCE = 1e-3
THIN = 5000
"""At most so many quantiles stand for the distribution in the dip test: an error of at most 1 / 10,000."""
_CRITICAL = 0.62
"""√n · dip that 1 % of uniform samples exceed: 0.55 to 0.62 for n from 30 to 5,000 (simulated; the uniform is the worst case)."""
_BLUR = 0.01
"""Of the median."""


@dataclass(frozen=True, slots=True)
class Spikes:
    """Runs far slower than the rest.

    Attributes:
        count: How many.
        share: Their part of all runs, from 0 to 1.
        height: Their median / the median of all runs.
        excess: The part of all seconds that they took beyond the median, from 0 to 1.
    """

    count: int
    share: float
    height: float
    excess: float


@dataclass(frozen=True, slots=True)
class Drift:
    """A series that ends elsewhere than it began.

    Attributes:
        change: ``last`` / ``first`` - 1: above 0 it became slower.
        first: Median of the first quarter of the runs.
        last: Median of the last quarter.
        errors: Standard errors between the trend and none (Spearman's rank correlation with time).
    """

    change: float
    first: float
    last: float
    errors: float


@dataclass(frozen=True, slots=True)
class Modes:
    """A series that has two usual values.

    Attributes:
        centres: Medians of the runs of the faster mode and of the slower one.
        shares: Their parts of all runs, which add up to 1.
        dip: Hartigan's dip of the distribution, from 0 to 0.25.
    """

    centres: tuple[float, float]
    shares: tuple[float, float]
    dip: float


def outliers(values: Sequence[float], *, tick: float = 0.0) -> tuple[int, ...]:
    """Indices, ascending, of the values that lie far out on either side.

    The fences are Tukey's far-out ones ("Exploratory Data Analysis", 1977) with the half-spread of their own side, which
    suits skewed values (Kimber, "Exploratory Data Analysis for Possibly Censored Data from Skewed Distributions",
    Applied Statistics 39, 1990), on logarithms where all values are positive. A half-spread counts for at least the
    clock's step and 0.25 % of the median, so that values which mostly equal each other have no false outliers.

    Args:
        values: Finite.
        tick: The clock's resolution in the values' unit; the least difference between two values where that is more.

    Returns:
        Empty for fewer than 5 values.
    """
    low, high = _fences(np.asarray(values, np.float64), tick)
    data = np.asarray(values, np.float64)
    return tuple(np.flatnonzero((data < low) | (data > high)).tolist())


def spikes(values: Sequence[float], *, tick: float = 0.0) -> Spikes | None:
    """The slow outliers, where they are worth a word: two runs and 0.5 % of all, or 1 % of all seconds.

    Only runs of 1.5 medians or more count: what is far out of a narrow spread may still be no matter.

    Args:
        values: Seconds, finite and not negative.
        tick: As for :func:`outliers`.
    """
    data = np.asarray(values, np.float64)
    _, high = _fences(data, tick)
    if not data.size or (middle := float(np.median(data))) <= 0:
        return None
    tall = data[data > max(high, SPIKE_HEIGHT * middle)]
    if not tall.size:
        return None
    share, excess = tall.size / data.size, float((tall - middle).sum() / data.sum())
    if (tall.size < 2 or share < SPIKE_SHARE) and excess < SPIKE_EXCESS:
        return None
    return Spikes(tall.size, share, float(np.median(tall)) / middle, excess)


def drift(values: Sequence[float]) -> Drift | None:
    """The change from the first quarter of the runs to the last, where it is at least 3 % and no accident.

    The test is Spearman's rank correlation with the run's number at 3.29 standard errors (1 in 1,000) of Fisher's z
    (Fieller, Hartley and Pearson, "Tests for Rank Correlation Coefficients", Biometrika 44, 1957), for as many
    independent runs as the ranks are worth once the trend, or the one step where that fits better, is taken out: Hamed
    and Rao, "A Modified Mann-Kendall Trend Test for Autocorrelated Data", Journal of Hydrology 204 (1998).

    Args:
        values: In the order in which they were measured; finite.

    Returns:
        ``None`` where there is none, or for fewer than 20 values.
    """
    data = np.asarray(values, np.float64)
    n = data.size
    if n < DRIFT_RUNS:
        return None
    quarter = n // 4
    first, last = float(np.median(data[:quarter])), float(np.median(data[-quarter:]))
    if first <= 0 or abs(last / first - 1) < DRIFT_CHANGE:
        return None
    time, place = np.arange(n) - (n - 1) / 2, ranks(data) - (n + 1) / 2
    slope = float(time @ place) / float(time @ time)
    correlation = slope * math.sqrt(float(time @ time) / float(place @ place))
    rest = min(place - slope * time, _without_step(place), key=lambda left: float(left @ left))
    # Less autocorrelation shows in a short series than it has, and what is left of a fit shows less again.
    independent = (1 - 1.5 / math.sqrt(n)) * intervals.effective(rest)
    errors = math.atanh(min(abs(correlation), 1 - 1e-12)) * math.sqrt(max(independent - 3, 0.0) / 1.06)
    if errors < DRIFT_ERRORS or (correlation > 0) != (last > first):
        return None
    return Drift(last / first - 1, first, last, errors)


def modes(values: Sequence[float], *, tick: float = 0.0) -> Modes | None:
    """Two modes, where one is refused at 1 % and they are at least 5 % of the median apart, each with 10 % of the runs.

    One mode is refused by Hartigan's dip test, whose dip must be 0.02 or more however many runs there are; or, since that
    test is slow to see a small mode beside a large one, by a valley: with one mode no stretch between the two centres is
    emptier than the stretch around the lesser of them, so of the runs in both less than half would be the latter's
    (a sign test at 1 in 1,000, and at least twice as many). Values are blurred by the clock's step or 1 % of the
    median, whichever is more, for a clock that counts in steps makes a comb of any distribution. The modes are parted
    where the variance within them is least.

    Args:
        values: Finite.
        tick: As for :func:`outliers`.

    Returns:
        ``None`` where there is one mode, or for fewer than 30 values.
    """
    data = np.sort(np.asarray(values, np.float64))
    n = data.size
    if n < MODES_RUNS or (middle := float(np.median(data))) <= 0:
        return None
    blur = max(_step(data, tick), _BLUR * middle)
    # Multiples of the golden ratio spread any stretch of neighbours evenly.
    spread = (np.arange(n) * 0.6180339887498949) % 1 - 0.5
    blurred = np.sort(data + blur * spread)
    cut = _parting(data, blurred)
    low, high = float(np.median(data[:cut])), float(np.median(data[cut:]))
    if high - low < max(MODES_APART * middle, 2 * blur):
        return None
    found = dip(_thin(blurred))
    if found < max(MODES_DIP, _CRITICAL / math.sqrt(n)) and not _valley(blurred, low, high):
        return None
    return Modes((low, high), (cut / n, 1 - cut / n), found)


def dip(ordered: Sequence[float] | Array) -> float:
    """The dip: the least distance between the empirical distribution and a unimodal one.

    Hartigan and Hartigan, "The Dip Test of Unimodality", Annals of Statistics 13 (1985), section 4: the greatest convex
    minorant and the least concave majorant, taken anew between the points where they lie farthest apart.

    Args:
        ordered: At least one value, in ascending order.

    Returns:
        Between 1 / 2n and 1/4.
    """
    points, first = np.unique(np.asarray(ordered, np.float64), return_index=True)
    n = len(ordered)
    below = first.astype(np.float64)
    upto = np.append(below[1:], n)
    left, right, found = 0, points.size - 1, 1.0
    while left < right:
        x, low, high = points[left : right + 1], below[left : right + 1], upto[left : right + 1]
        convex, concave = _hull(x, low), _hull(x, -high)
        minorant, majorant = np.interp(x, x[convex], low[convex]), np.interp(x, x[concave], high[concave])
        knots = np.union1d(convex, concave)
        gaps = (majorant - minorant)[knots]
        widest = int(knots[np.argmax(gaps)])
        if float(gaps.max()) <= found + 1e-9:
            break
        start = int(convex[np.searchsorted(convex, widest, "right") - 1])
        end = int(concave[np.searchsorted(concave, widest, "left")])
        # Both ends are left out: a jump of the distribution may be its mode.
        found = float(max(found, *(high - minorant)[:start], *(majorant - low)[end + 1 :]))
        left, right = left + start, left + end
    return found / (2 * n)


def ranks(data: Array) -> Array:
    """Ranks from 1, the mean rank for equal values."""
    _, inverse, counts = np.unique(data, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse], np.float64)


def _without_step(place: Array) -> Array:
    """Centred values less the two means on either side of the step that explains most."""
    n = place.size
    before, sums = np.arange(1, n), np.cumsum(place)[:-1]
    cut = int(np.argmax(sums**2 / (before * (n - before)))) + 1
    left, right = place[:cut], place[cut:]
    return np.concatenate([left - left.mean(), right - right.mean()])


def _hull(x: Array, y: Array) -> NDArray[np.intp]:
    """Indices of the lower convex hull of points whose x ascends."""
    kept: list[int] = []
    xs, ys = x.tolist(), y.tolist()
    for index in range(len(xs)):
        while len(kept) > 1:
            a, b = kept[-2], kept[-1]
            if (ys[b] - ys[a]) * (xs[index] - xs[a]) < (ys[index] - ys[a]) * (xs[b] - xs[a]):
                break
            kept.pop()
        kept.append(index)
    return np.array(kept, np.intp)


def _thin(ordered: Array) -> Array:
    if ordered.size <= THIN:
        return ordered
    return ordered[(np.arange(THIN) + 0.5).astype(np.int64) * ordered.size // THIN]


def _parting(data: Array, blurred: Array) -> int:
    """Where the slower mode begins: the cut of least squares (Fisher, 1958), far-out values pulled in."""
    low, high = _fences(blurred, 0.0)
    pulled = np.clip(data, low, high)
    sums, n = np.cumsum(pulled), data.size
    counts = np.arange(1, n)
    between = (sums[:-1] * n - sums[-1] * counts) ** 2 / (counts * (n - counts))
    least = math.ceil(MODES_SHARE * n)
    return least + int(np.argmax(between[least - 1 : n - least]))


def _valley(ordered: Array, low: float, high: float) -> bool:
    """Whether a stretch of a third of the way between two centres is emptier than the one around either."""
    width = (high - low) / 3
    starts = np.linspace(low + width / 2, high - 1.5 * width, 9)
    edges = np.concatenate([[low - width / 2, high - width / 2], starts])
    counts = np.searchsorted(ordered, edges + width) - np.searchsorted(ordered, edges)
    lesser, valley = int(counts[:2].min()), int(counts[2:].min())
    if lesser < 2 * valley:
        return False
    # Chernoff's bound on a fair coin's tail, which never says too little: total · (ln 2 - entropy of the parts).
    total = lesser + valley
    evidence = sum(count * math.log(2 * count / total) for count in (lesser, valley) if count)
    return evidence >= -math.log(VALLEY_CHANCE)


def _fences(data: Array, tick: float) -> tuple[float, float]:
    if data.size < 5:
        return -math.inf, math.inf
    logarithms = bool(data.min() > 0)
    scale = np.log(data) if logarithms else data
    quartiles = np.quantile(data, [0.25, 0.5, 0.75])
    step = max(_step(np.sort(data), tick), 0.0025 * abs(float(quartiles[1])))
    if logarithms:
        step = math.log1p(step / float(quartiles[1]))
    lower, middle, upper = np.quantile(scale, [0.25, 0.5, 0.75]).tolist()
    # Quartiles of few values are unsure themselves.
    reach = FAR_OUT * (1 + 8 / data.size)
    low = lower - reach * max(middle - lower, step)
    high = upper + reach * max(upper - middle, step)
    return (math.exp(low), math.exp(min(high, 700.0))) if logarithms else (low, high)


def _step(ordered: Array, tick: float) -> float:
    gaps = np.diff(ordered)
    gaps = gaps[gaps > 0]
    return max(tick, float(gaps.min()) if gaps.size else 0.0)
