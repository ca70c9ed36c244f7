"""Samples → summaries: the steady runs, their stages and their throughput; knows neither models nor reports."""

from __future__ import annotations

from dataclasses import dataclass

from gpux.bench import stats
from gpux.bench.measure import Samples

UNACCOUNTED = "other"
"""The share of a run that the model books to no stage."""


@dataclass(frozen=True, slots=True)
class Summaries:
    """What the samples come to.

    Attributes:
        load: Seconds of loading, all parts together; ``None`` where the model does not say.
        first: Seconds of the first run; ``None`` where it was interrupted.
        steady: Seconds of the steady runs; ``None`` where there is none.
        stages: Stage → its seconds in the steady runs.
        shares: Stage → its part of all steady seconds, from 0 to 1; what no stage was booked stands under ``other``.
        throughput: Items per second over all steady runs: items times runs / seconds.
    """

    load: float | None
    first: float | None
    steady: stats.Summary | None
    stages: dict[str, stats.Summary]
    shares: dict[str, float]
    throughput: float | None


def summarise(samples: Samples, *, items: int) -> Summaries:
    """Summarise the samples of a benchmark whose every run answered ``items`` items."""
    steady = samples.steady
    total = sum(steady.seconds)
    stages = {
        name: found
        for name, column in steady.stages.items()
        if (found := stats.summarise(column)) is not None
    }
    shares = {name: sum(column) / total for name, column in steady.stages.items()} if total else {}
    if shares:
        shares[UNACCOUNTED] = max(0.0, 1 - sum(shares.values()))
    return Summaries(
        load=sum(samples.load.values()) if samples.load else None,
        first=samples.first.seconds[0] if len(samples.first) else None,
        steady=stats.summarise(steady.seconds),
        stages=stages,
        shares=shares,
        throughput=items * len(steady) / total if total else None,
    )
