"""What a reader of the figures should be warned of, each with what to do about it; only what the samples show for certain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpux.bench import conditions
from gpux.bench.conditions import Conditions
from gpux.bench.identity import Identity
from gpux.bench.samples import Samples, Series
from gpux.bench.settings import Settings
from gpux.bench.summary import Summaries, alike, middle

RUNS_FOR_P99 = 100
VARIATION = 0.2
SLOW_FIRST = 2.0
ENOUGH = 20
"""Runs from which on the shape of a series says something."""

OVERLOADED = 0.9
"""Share of the queries that arrived per second that must be answered per second."""


@dataclass(frozen=True, slots=True)
class Caution:
    """One warning: a name to filter by, a sentence, and what to do."""

    name: str
    message: str
    hint: str


def judge(
    samples: Samples,
    summaries: Summaries,
    *,
    settings: Settings,
    identity: Identity | None = None,
    conditions_found: Conditions | None = None,
    settled: bool | None = None,
    interrupted: bool = False,
) -> tuple[Caution, ...]:
    """The warnings that a benchmark gives cause for."""
    found = [*_counts(samples, summaries, settings, interrupted=interrupted)]
    if summaries.steady is not None:
        found += _figures(samples, summaries)
        found += _series(samples.steady, settled=settled)
    if identity is not None and identity.provider != identity.proven_on:
        found.append(
            Caution(
                "unproven",
                f"the proof was made on {identity.proven_on}, and {identity.provider} may answer otherwise",
                f"compare the answers: --compare provider={identity.proven_on},{identity.provider}",
            )
        )
    if settings.rate is not None:
        found += _overload(samples)
    if conditions_found is not None:
        found += [Caution(*verdict) for verdict in conditions.verdicts(conditions_found)]
    return tuple(found)


def _counts(
    samples: Samples, summaries: Summaries, settings: Settings, *, interrupted: bool
) -> Iterator[Caution]:
    have = len(samples.steady)
    if interrupted:
        asked = f" of {settings.runs}" if settings.runs else ""
        yield Caution("interrupted", f"stopped after {have}{asked} steady runs", "run it again to the end")
    if samples.failures:
        last = samples.failures[-1]
        yield Caution(
            "failures",
            f"{_count(len(samples.failures), 'run')} failed and are in no figure, the last with {last.error}: {last.message}",
            "mend that first: a model that fails now and then has no speed",
        )
    if summaries.steady is not None and have < RUNS_FOR_P99:
        message = (
            f"the p99 of {have} runs is decided by the slowest two" if have > 1 else "one run has no spread"
        )
        yield Caution("few-runs", message, f"raise --runs to {RUNS_FOR_P99} or more")


def _figures(samples: Samples, summaries: Summaries) -> Iterator[Caution]:
    steady = summaries.steady
    assert steady is not None  # noqa: S101 - the caller looked
    if summaries.spread is not None and summaries.spread > VARIATION:
        inputs = len(set(samples.steady.query))
        told = inputs > 1 and alike(samples.steady) is None
        yield Caution(
            "spread",
            f"the runs vary by {summaries.spread:.0%} of their mean"
            + (", and so may their inputs" if told else ""),
            f"raise --runs to {5 * inputs} or more, or give one input"
            if told
            else "close other programs, or raise --runs",
        )
    if summaries.first is not None and summaries.first > SLOW_FIRST * steady.median > 0:
        yield Caution(
            "slow-first",
            f"the first run took {summaries.first / steady.median:.1f} times the median and is left out of the figures",
            "send one request of your own before you serve",
        )


def _overload(samples: Samples) -> Iterator[Caution]:
    """Whether queries arrived faster than they were answered: the wait grows, and the last answers come late."""
    steady = samples.steady
    waits = steady.stages.get("queue", ())
    quarter = len(waits) // 4
    grows = quarter >= ENOUGH // 4 and middle(waits[-quarter:]) > 2 * middle(waits[:quarter])
    begin = samples.began[-1] if samples.began else 0.0
    arrived = (steady.start[-1] if len(steady) else 0.0) - begin
    late = (
        max((start + took for start, took in zip(steady.start, steady.seconds, strict=True)), default=0.0)
        - begin
    )
    if samples.unanswered or (grows and arrived > 0 and late > arrived / OVERLOADED):
        left = f", and {samples.unanswered} still waited at the end" if samples.unanswered else ""
        rates = (
            f"{len(steady) / arrived:.3g} queries a second arrived and {len(steady) / late:.3g} were answered"
        )
        yield Caution(
            "overloaded",
            f"{rates}: the wait grows without end{left}"
            if arrived > 0 and late > 0
            else f"no query was answered{left}",
            "lower --rate, or raise --concurrency or --threads",
        )


def _series(steady: Series, *, settled: bool | None) -> Iterator[Caution]:
    if settled is False:
        yield Caution(
            "never-steady",
            "the warm-up ended at its limit without a steady state",
            "find what else this machine does, or give --warmup a number and say so",
        )
    if len(steady) < ENOUGH:
        return
    from gpux.bench import shape  # numpy, which showing a report must not cost

    values = alike(steady)
    if values is None:
        return
    drift = shape.drift(values)
    if drift is not None:
        word = "slower" if drift.change > 0 else "faster"
        yield Caution(
            "drift",
            f"the runs became {abs(drift.change):.0%} {word} from the beginning to the end",
            "let the machine cool down, or use --warmup auto" if drift.change > 0 else "use --warmup auto",
        )
    modes = shape.modes(values)
    if modes is not None:
        low, high = modes.centres
        yield Caution(
            "bimodal",
            f"the runs fall into two groups, the second {high / low - 1:.0%} slower and {modes.shares[1]:.0%} of all",
            "look for what changes between them: cores of two kinds, frequency steps, another program",
        )
    spikes = shape.spikes(values)
    if spikes is not None:
        yield Caution(
            "spikes",
            f"{_count(spikes.count, 'run')} of {len(values)} lie far above the rest, at {spikes.height:.1f} times the median, and took {spikes.excess:.0%} of the time",
            "close other programs; they count in every figure, so quote the median",
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
