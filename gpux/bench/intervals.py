"""How sure a median, a mean, a rate or a ratio is: bootstrap intervals that stay cheap for 100,000 values.

Knows neither models nor units. Runs that come in bursts count for less than as many independent ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gpux.bench import resampling

Array = NDArray[np.float64]

RESAMPLES = 10_000
FEW = 25
"""Up to so many draws, the bootstrap of the median is narrower than it says."""
BLOCKS = 512
"""Up to so many values, the mean is resampled value by value; beyond, in so many blocks of neighbours."""
_BURST = 2.576
"""Standard errors above which a sum of autocorrelations is no accident; of independent series 4 % have one that large."""


TURNS = 5
"""Rounds from which on they say how far they differ from each other."""

Verdict = Literal["faster", "slower", "same"]


@dataclass(frozen=True, slots=True)
class Ratio:
    """How a series compares with a baseline.

    Attributes:
        value: Statistic of ``other`` / statistic of ``baseline``: above 1 the other is slower.
        low: Lower end of the interval; ``None`` where there are too few runs for one of this confidence.
        high: Its upper end, or ``None``.
        confidence: The interval's confidence, between 0 and 1.
        verdict: Of ``other``: ``slower`` where the whole interval lies above 1, ``faster`` where it lies below, else
            ``same``: no difference that these runs can show, which is no proof that there is none.
    """

    value: float
    low: float | None
    high: float | None
    confidence: float
    verdict: Verdict


def fewest(confidence: float = 0.95) -> int:
    """How many values an interval of this confidence needs: the range of n covers the median with 1 - 2^(1 - n)."""
    return max(2, math.ceil(1 - math.log2(1 - confidence) - 1e-9))


def median(
    values: Sequence[float], *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """A percentile bootstrap interval of the median (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993).

    The medians of resamples are drawn from their own distribution, without resampling the values: the k-th of n draws
    from the values x is x_(⌈n·B⌉) with B from Beta(k, n + 1 - k) (Efron, "Bootstrap Methods", 1979, section 3). A series
    that comes in bursts is drawn as often as it has independent values. Of 25 draws or fewer the bootstrap is too
    narrow; there the interval holds the distribution-free one of the order statistics (Conover, "Practical
    Nonparametric Statistics", section 3.2) as well.

    Args:
        values: In the order in which they were measured; finite.
        confidence: Of the interval, between 0 and 1.
        resamples: How many resamples.
        seed: Of the random numbers: the same gives the same interval.

    Returns:
        The lower and the upper end; ``None`` for fewer values than :func:`fewest`.
    """
    if len(values) < fewest(confidence):
        return None
    data = np.asarray(values, np.float64)
    ordered = np.sort(data)
    draws = max(fewest(confidence), _draws(_sides(data, ordered)))
    low, high = resampling.ends(
        resampling.medians(ordered, draws, resamples, np.random.default_rng(seed)), confidence
    )
    if draws <= FEW:
        first, last = resampling.order_interval(ordered, draws, confidence)
        low, high = min(low, first), max(high, last)
    return low, high


def mean(
    values: Sequence[float], *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """A BCa bootstrap interval of the mean, which allows for skewed values (Efron, "Better Bootstrap Confidence Intervals", 1987).

    Its normal quantiles are replaced by Student's, for the bootstrap of few values is too narrow (Hesterberg, "What Teachers
    Should Know About the Bootstrap", The American Statistician 69, 2015, section 5.3). More than 512 values are resampled in 512 blocks of neighbours (Carlstein, "The Use of Subseries Values", Annals of
    Statistics 14, 1986), so that the cost stays and bursts shorter than a block count as what they are.

    Args:
        values: In the order in which they were measured; finite.
        confidence: Of the interval, between 0 and 1.
        resamples: How many resamples.
        seed: Of the random numbers: the same gives the same interval.

    Returns:
        The lower and the upper end; ``None`` for fewer values than :func:`fewest`.
    """
    if len(values) < fewest(confidence):
        return None
    return _mean(np.asarray(values, np.float64), BLOCKS, confidence, resamples, seed)


def throughput(
    items: float,
    seconds: Sequence[float],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float] | None:
    """The interval of items per second for runs one after another: the mean's, turned round.

    Args:
        items: Answered by each run.
        seconds: Of each run, in order.
        confidence: As for :func:`mean`.
        resamples: As for :func:`mean`.
        seed: As for :func:`mean`.

    Returns:
        Items per second, lower and upper end; ``None`` where the mean has no interval above 0.
    """
    return _turned(mean(seconds, confidence=confidence, resamples=resamples, seed=seed), items)


def rate(ends: Sequence[float], items: float) -> float | None:
    """Items per second of runs that overlap: all that was answered / seconds from the beginning to the last end.

    Args:
        ends: Seconds from the beginning of the load to the end of each run, in any order.
        items: Answered by each run.

    Returns:
        Items per second; ``None`` where there is no run or no time.
    """
    span = max(ends, default=0.0)
    return items * len(ends) / span if span > 0 else None


def completions(
    ends: Sequence[float],
    items: float,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float] | None:
    """The interval of :func:`rate`, which does not take clusters of ends for noise.

    Runs that overlap end in clusters, and the gaps between the ends lean on each other both ways. What they say about the
    rate lies in their spectrum at frequency zero, which the lowest √n / 2 ordinates of the periodogram give, well below
    the clusters' own frequency (Heidelberger and Welch, "A Spectral Method for Confidence Interval Generation and Run
    Length Control in Simulations", Communications of the ACM 24, 1981). The mean gap is resampled from the normal
    distribution with that spectrum, each time with a spectrum as unsure as so few ordinates make it.

    Args:
        ends: Seconds from the beginning of the load to the end of each run, in any order.
        items: Answered by each run.
        confidence: Of the interval, between 0 and 1.
        resamples: How many resamples.
        seed: Of the random numbers.

    Returns:
        Items per second, lower and upper end; ``None`` for fewer than 16 ends, or where the interval reaches to no time.
    """
    gaps = np.diff(np.sort(np.asarray(ends, np.float64)), prepend=0.0)
    n = gaps.size
    if n < 16:
        return None
    ordinates = max(4, min(25, round(math.sqrt(n) / 2)))
    power = np.abs(np.fft.rfft(gaps - gaps.mean())[1 : ordinates + 1]) ** 2 / n
    random = np.random.default_rng(seed)
    freedom = 2 * ordinates
    drawn = random.standard_normal(resamples) / np.sqrt(random.chisquare(freedom, resamples) / freedom)
    low, high = resampling.ends(gaps.mean() + math.sqrt(float(power.mean()) / n) * drawn, confidence)
    return _turned((low, high), items)


def ratio(
    baseline: Sequence[float],
    other: Sequence[float],
    *,
    statistic: Literal["median", "mean"] = "median",
    confidence: float = 0.99,
    resamples: int = 2 * RESAMPLES,
    seed: int = 0,
) -> Ratio | None:
    """How ``other`` compares with ``baseline``: the ratio of their medians or means with a two-sample bootstrap interval.

    Both series are resampled, independently. The ratio of medians has the percentile interval, that of means the
    BCa interval of :func:`mean` for its logarithm. 99 % is the default because a comparison is a decision.

    Args:
        baseline: Positive and finite, in the order in which they were measured.
        other: Likewise; may differ in length.
        statistic: What is compared.
        confidence: Of the interval, between 0 and 1.
        resamples: How many resamples.
        seed: Of the random numbers.

    Returns:
        The comparison, or ``None`` where a series is empty or its statistic is not above 0.
    """
    if not len(baseline) or not len(other):
        return None
    below, above = np.asarray(baseline, np.float64), np.asarray(other, np.float64)
    middle = np.median if statistic == "median" else np.mean
    bottom, top = float(middle(below)), float(middle(above))
    if bottom <= 0 or top <= 0:
        return None
    found = None
    if min(below.size, above.size) >= fewest(confidence):
        random = np.random.default_rng(seed)
        compare = _median_ratio if statistic == "median" else _mean_ratio
        found = compare(below, above, confidence, resamples, random)
    if found is None:
        return Ratio(top / bottom, None, None, confidence, "same")
    low, high = found
    return Ratio(
        top / bottom, low, high, confidence, "slower" if low > 1 else "faster" if high < 1 else "same"
    )


def by_turns(
    found: Ratio,
    baseline: Sequence[Sequence[float]],
    other: Sequence[Sequence[float]],
    *,
    statistic: Literal["median", "mean"] = "median",
) -> Ratio:
    """A ratio whose interval also holds what the rounds say, where two series were measured in turns.

    What slows a machine for a second slows every run of a round, so that a thousand runs may be worth ten. The rounds are
    taken as what is independent: Student's interval of the mean logarithm of each round's own ratio. The wider of both
    intervals counts, so that a difference has to show in the runs and in the rounds.

    Args:
        found: The ratio of all runs.
        baseline: The runs of each round; fewer rounds than :data:`TURNS` leave the ratio as it is.
        other: Those of the other series, as many rounds.
        statistic: Of each round.
    """
    if found.low is None or found.high is None or len(baseline) != len(other) or len(baseline) < TURNS:
        return found
    middle = np.median if statistic == "median" else np.mean
    tops, bottoms = (np.array([float(middle(turn)) for turn in turns]) for turns in (other, baseline))
    if min(tops.min(), bottoms.min()) <= 0:
        return found
    logs = np.log(tops / bottoms)
    reach = (
        resampling.student(1 - (1 - found.confidence) / 2, logs.size - 1)
        * logs.std(ddof=1)
        / math.sqrt(logs.size)
    )
    low = min(found.low, float(np.exp(logs.mean() - reach)))
    high = max(found.high, float(np.exp(logs.mean() + reach)))
    verdict: Verdict = "slower" if low > 1 else "faster" if high < 1 else "same"
    return Ratio(found.value, low, high, found.confidence, verdict)


def effective(values: Sequence[float] | Array) -> float:
    """How many independent values tell as much about the mean as this series: n / (1 + 2 Σ r_k) of autocorrelations r.

    The sum runs over Geyer's initial positive sequence ("Practical Markov Chain Monte Carlo", Statistical Science 7,
    1992, section 3.3). A series whose first 1, 2, 4 … autocorrelations do not add up to more than chance gives n
    itself, so that independent values keep their interval.

    Args:
        values: In the order in which they were measured; finite.

    Returns:
        Between min(n, 4) and n.
    """
    data = np.asarray(values, np.float64)
    n = data.size
    if n < 8 or np.ptp(data) == 0:
        return float(n)
    rho = _autocorrelations(data)
    sums = np.cumsum(rho)
    counts = 2 ** np.arange(int(math.log2(n // 4)) + 1)
    found = sums[counts - 1]
    certain = found > _BURST * np.sqrt(counts / n) - counts / n
    if not certain.any():
        return float(n)
    pairs = np.concatenate([[1.0], rho])
    pairs = pairs[: pairs.size // 2 * 2].reshape(-1, 2).sum(axis=1)
    stop = np.flatnonzero(pairs <= 0)
    geyer = 2 * pairs[: stop[0] if stop.size else pairs.size].sum() - 1
    # Geyer's sequence ends at the first accident; a weak but long memory shows in the longer sums only.
    time = max(geyer, 1 + 2 * found[certain].max())
    # Every autocorrelation is too low by about time / n, for the mean was taken from the same values.
    time += 2 * time / n
    return float(min(n, max(min(n, 4), n / time)))


def _autocorrelations(data: Array) -> Array:
    size = 1 << (2 * data.size - 1).bit_length()
    residuals = data - data.mean()
    # Squares of the smallest floats are zero, and of the largest infinite.
    spectrum = np.fft.rfft(residuals / np.abs(residuals).max(), size)
    covariances = np.fft.irfft(spectrum * spectrum.conj(), size)[: data.size // 2 + 1]
    return np.asarray(covariances[1:] / covariances[0], np.float64)


def _draws(data: Array) -> int:
    return round(effective(data))


def _sides(data: Array, ordered: Array) -> Array:
    # The median's variance hangs on which side of it the neighbours lie, not on how far.
    middle = (ordered[(ordered.size - 1) // 2] + ordered[ordered.size // 2]) / 2
    return np.asarray(np.sign(data - middle), np.float64)


def _mean(data: Array, blocks: int, confidence: float, resamples: int, seed: int) -> tuple[float, float]:
    drawn = _resample(_blocks(data, blocks), confidence, resamples, np.random.default_rng(seed))
    centre = float(data.mean())
    low, high = resampling.corrected(drawn.values, drawn.second, drawn.third, drawn.draws - 1, confidence)
    return centre + low, centre + high


def _blocks(data: Array, count: int) -> Array:
    """Residuals whose spread over their root number is the mean's error: of the values, or of ``count`` blocks of them."""
    residuals = data - data.mean()
    if data.size <= count:
        return np.asarray(residuals, np.float64)
    edges = np.arange(count) * data.size // count
    return np.asarray(np.add.reduceat(residuals, edges) * (count / data.size), np.float64)


def _median_ratio(
    below: Array, above: Array, confidence: float, resamples: int, random: np.random.Generator
) -> tuple[float, float] | None:
    tops, bottoms = (
        resampling.medians(ordered, max(fewest(confidence), _draws(_sides(data, ordered))), resamples, random)
        for data, ordered in ((above, np.sort(above)), (below, np.sort(below)))
    )
    return resampling.ends(tops / bottoms, confidence) if bottoms.min() > 0 else None


def _mean_ratio(
    below: Array, above: Array, confidence: float, resamples: int, random: np.random.Generator
) -> tuple[float, float] | None:
    found, second, third, draws = np.zeros(resamples), 0.0, 0.0, 0
    for sign, data in ((1, above), (-1, below)):
        centre = float(data.mean())
        drawn = _resample(_blocks(data, BLOCKS), confidence, resamples, random)
        if float(drawn.values.min()) <= -centre:
            return None
        found += sign * np.log1p(drawn.values / centre)
        second += drawn.second / centre**2
        third += sign * drawn.third / centre**3
        draws += drawn.draws
    low, high = resampling.corrected(found, second, third, draws - 2, confidence)
    value = float(above.mean() / below.mean())
    return value * math.exp(low), value * math.exp(high)


def _resample(
    residuals: Array, confidence: float, resamples: int, random: np.random.Generator
) -> resampling.Means:
    return resampling.means(residuals, max(fewest(confidence), _draws(residuals)), resamples, random)


def _turned(seconds: tuple[float, float] | None, items: float) -> tuple[float, float] | None:
    return None if seconds is None or seconds[0] <= 0 else (items / seconds[1], items / seconds[0])
