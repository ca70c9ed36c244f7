"""Samples → summaries: the steady runs, their stages, throughput, rates and cost; knows neither models nor reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gpux.bench import stats
from gpux.bench.samples import Samples, Series
from gpux.bench.settings import Settings
from gpux.bench.workload import Workload

UNACCOUNTED = "other"
"""The share of a run that the model books to no stage."""

TOKENS = "tokens"
PROMPT_TOKENS, NEW_TOKENS = "prompt tokens", "new tokens"
"""What a task's tokens are called where its answer has tokens of its own."""

MILLION = 1_000_000
HOUR = 3600


@dataclass(frozen=True, slots=True)
class Pieces:
    """What a task that answers piece by piece adds.

    Attributes:
        first: Seconds to the first piece ("time to first token").
        between: Seconds between pieces ("inter-token latency"), over all runs.
        token: Seconds per token after the first piece, one figure for each run ("time per output token").
        rate: Tokens per second after the first piece ("decode rate"), over all runs.
        prompt: Tokens of the prompt per second until the first piece ("prompt processing"); ``None`` where tokens are unknown.
        tokens: New tokens of the steady runs.
        acceptance: Part of the tokens guessed ahead that were right, from 0 to 1; ``None`` where nothing was guessed.
    """

    first: stats.Summary
    between: stats.Summary | None
    token: stats.Summary | None
    rate: float | None
    prompt: float | None
    tokens: int
    acceptance: float | None


@dataclass(frozen=True, slots=True)
class Summaries:
    """What the samples come to.

    Attributes:
        preparation: Seconds of the pull, all steps together; ``None`` where the model was stored already.
        load: Seconds of loading, all parts together; ``None`` where the model does not say.
        first: Seconds of the first run; ``None`` where it was interrupted.
        steady: Seconds of the steady runs; ``None`` where there is none.
        intervals: ``median``, ``mean`` (seconds) and ``throughput`` (items per second) → its 95 % bootstrap interval.
        effective: How many independent runs the steady ones are worth, since neighbours in time resemble each other.
        spread: Coefficient of variation as if every run had answered the same query, see :func:`alike`; of the runs as they
            are where that cannot be told, ``None`` for one run.
        outliers: Positions of steady runs far from the rest, where they can be told; they count in every figure.
        stages: Stage → its seconds in the steady runs.
        shares: Stage → its part of all steady seconds, from 0 to 1; what no stage was booked stands under ``other``.
        items: Items that the steady runs answered, as the task counts them.
        span: Seconds that the throughput is counted over: of all runs one after another; where runs overlap, from the
            beginning of each round to its last end.
        throughput: Items per second.
        rates: Quantity of work → its amount per second; of answers in pieces ``prompt tokens`` and ``new tokens``.
        pieces: For tasks that answer piece by piece.
        failed: Steady runs that failed, in no other figure.
        cost_per_million: What a million items cost at the settings' price per hour.
    """

    preparation: float | None
    load: float | None
    first: float | None
    steady: stats.Summary | None
    intervals: dict[str, tuple[float, float]]
    effective: float | None
    spread: float | None
    outliers: tuple[int, ...]
    stages: dict[str, stats.Summary]
    shares: dict[str, float]
    items: float
    span: float | None
    throughput: float | None
    rates: dict[str, float]
    pieces: Pieces | None
    failed: int
    cost_per_million: float | None


def summarise(samples: Samples, *, workload: Workload, settings: Settings) -> Summaries:
    """Summarise the samples of one configuration."""
    from gpux.bench import intervals, shape  # numpy, which showing a report must not cost

    steady = samples.steady
    same = alike(steady)
    total = sum(steady.seconds)
    together = settings.rate is not None or settings.concurrency > 1
    busy = max(_ends(samples), default=0.0) if together else total
    # A task counts its items itself where one may hold several, as a comparison of sentences does.
    counted = workload.work.get(workload.noun)
    items = float(sum(counted[query] for query in steady.query) if counted else workload.batch * len(steady))
    throughput = items / busy if busy else None
    amounts = _amounts(steady, workload)
    stages = {
        name: found
        for name, column in steady.stages.items()
        if (found := stats.summarise(column)) is not None
    }
    shares = {name: sum(column) / total for name, column in steady.stages.items()} if total else {}
    if shares:
        shares[UNACCOUNTED] = max(0.0, 1 - sum(shares.values()))
    return Summaries(
        preparation=sum(samples.preparation.values()) if samples.preparation else None,
        load=sum(samples.load.values()) if samples.load else None,
        first=samples.first.seconds[0] if len(samples.first) else None,
        steady=stats.summarise(steady.seconds),
        intervals=_intervals(samples, items / len(steady), together=together) if len(steady) else {},
        effective=intervals.effective(steady.seconds) if len(steady) else None,
        spread=even.variation if (even := stats.summarise(same or steady.seconds)) else None,
        outliers=shape.outliers(same) if same else (),
        stages=stages,
        shares=shares,
        items=items,
        span=busy or None,
        throughput=throughput,
        rates={name: amount / busy for name, amount in amounts.items()} if busy else {},
        pieces=_pieces(steady, workload),
        failed=sum(failure.phase == "steady" for failure in samples.failures),
        cost_per_million=None
        if settings.cost_per_hour is None or not throughput
        else settings.cost_per_hour / (throughput * HOUR) * MILLION,
    )


def alike(steady: Series) -> list[float] | None:
    """Seconds of the runs as if all had answered the same query; ``None`` where that cannot be told.

    Each run is scaled by the median of all over the median of its own query, so that inputs of different lengths are not
    taken for a machine that changes its mind. Queries with fewer than five runs tell too little.
    """
    groups: dict[int, list[float]] = {}
    for query, seconds in zip(steady.query, steady.seconds, strict=True):
        groups.setdefault(query, []).append(seconds)
    if len(groups) < 2:
        return list(steady.seconds)
    if min(map(len, groups.values())) < 5:
        return None
    whole = middle(steady.seconds)
    factors = {query: whole / (middle(group) or 1.0) for query, group in groups.items()}
    return [seconds * factors[query] for query, seconds in zip(steady.query, steady.seconds, strict=True)]


def middle(values: Sequence[float]) -> float:
    """The median of at least one number."""
    return stats.percentile(sorted(values), 50)


def _intervals(samples: Samples, items: float, *, together: bool) -> dict[str, tuple[float, float]]:
    """The intervals that there are runs enough for; ``items`` are those of a run."""
    from gpux.bench import intervals

    seconds = samples.steady.seconds
    found = {
        "median": intervals.median(seconds),
        "mean": intervals.mean(seconds),
        "throughput": intervals.completions(_ends(samples), items)
        if together
        else intervals.throughput(items, seconds),
    }
    return {name: interval for name, interval in found.items() if interval is not None}


def _ends(samples: Samples) -> list[float]:
    """When each run ended, in ascending order, in seconds since its load began; pauses between rounds left out."""
    steady = samples.steady
    rounds: dict[int, list[int]] = {}
    for place, number in enumerate(steady.round):
        rounds.setdefault(number, []).append(place)
    ends: list[float] = []
    before = 0.0
    for number, places in sorted(rounds.items()):
        known = number < len(samples.began)
        begin = samples.began[number] if known else min(steady.start[place] for place in places)
        ends += sorted(before + steady.start[place] + steady.seconds[place] - begin for place in places)
        before = ends[-1]
    return ends


def _amounts(steady: Series, workload: Workload) -> dict[str, float]:
    """Quantity → what all steady runs come to."""
    found = {name: sum(column[query] for query in steady.query) for name, column in workload.work.items()}
    if not steady.tokens:
        return found
    # What such a task reads and what it writes are both tokens, and not the same work.
    read = {PROMPT_TOKENS if name == TOKENS else name: amount for name, amount in found.items()}
    return {**read, NEW_TOKENS: float(sum(map(sum, steady.tokens)))}


def _pieces(steady: Series, workload: Workload) -> Pieces | None:
    runs = [run for run in steady.pieces if run]
    first = stats.summarise([run[0] for run in runs])
    if first is None:
        return None
    gaps = [later - earlier for run in runs for earlier, later in pairwise(run)]
    decoded = after_first(steady)
    later = sum(tokens for _, tokens in decoded)
    tokens = workload.work.get(TOKENS)
    read = sum(tokens[query] for query in steady.query) if tokens else None
    waited: Sequence[float] = [run[0] for run in runs]
    return Pieces(
        first=first,
        between=stats.summarise(gaps),
        token=stats.summarise([seconds / count for seconds, count in decoded if count]),
        rate=later / sum(gaps) if sum(gaps) else None,
        prompt=read / sum(waited) if read and sum(waited) else None,
        tokens=sum(map(sum, steady.tokens)),
        acceptance=sum(steady.accepted) / sum(steady.proposed) if sum(steady.proposed) else None,
    )


def after_first(steady: Series) -> list[tuple[float, int]]:
    """Of each run that came in pieces: seconds from its first piece to its last, and the tokens that came in them."""
    runs = zip(steady.pieces, steady.tokens, strict=True)
    return [(seconds[-1] - seconds[0], sum(tokens[1:])) for seconds, tokens in runs if seconds]
