"""What a reader of the figures should be warned of, each with what to do about it; only what the samples show for certain."""

from __future__ import annotations

from dataclasses import dataclass

from gpux.bench.measure import Samples
from gpux.bench.summary import Summaries

RUNS_FOR_P99 = 100
VARIATION = 0.2
SLOW_FIRST = 2.0


@dataclass(frozen=True, slots=True)
class Caution:
    """One warning: a name to filter by, a sentence, and what to do."""

    name: str
    message: str
    hint: str


def judge(samples: Samples, summaries: Summaries, *, asked: int) -> tuple[Caution, ...]:
    """The warnings that a benchmark of ``asked`` steady runs gives cause for."""
    steady = summaries.steady
    have = len(samples.steady)
    found: list[Caution] = []
    if have < asked:
        found.append(
            Caution("interrupted", f"stopped after {have} of {asked} steady runs", "run it again to the end")
        )
    if steady is None:
        return tuple(found)
    if have < RUNS_FOR_P99:
        message = (
            f"the p99 of {have} runs is decided by the slowest two" if have > 1 else "one run has no spread"
        )
        found.append(Caution("few-runs", message, f"raise --runs to {RUNS_FOR_P99} or more"))
    if steady.variation is not None and steady.variation > VARIATION:
        message = f"the runs vary by {steady.variation:.0%} of their mean"
        found.append(Caution("spread", message, "close other programs, or raise --runs"))
    if summaries.first is not None and summaries.first > SLOW_FIRST * steady.median > 0:
        message = f"the first run took {summaries.first / steady.median:.1f} times the median and is left out of the figures"
        found.append(Caution("slow-first", message, "send one request of your own before you serve"))
    return tuple(found)
