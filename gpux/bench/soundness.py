"""What a report must hold besides the right types: a file from elsewhere may say anything, and figures are computed from it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import pairwise
from typing import Any

from gpux.bench import stats
from gpux.bench.report import Report
from gpux.bench.samples import Series
from gpux.bench.summary import after_first

MOST = 10_000_000
"""Runs of a phase, and items of a query: beyond that a number is a slip or an attack."""

ROUNDS = 10_000

SHORTEST, LONGEST = 1e-12, 1e10
"""Seconds that a run can take, besides none at all: a picosecond, and three centuries."""

LARGEST = 1e15
"""Of any figure that no range of its own is known for."""

BYTES = 1 << 60

NAME, MESSAGE = 10_000, 1_000_000
"""Characters of a text: one that stands in a table, and one that a runtime wrote in its distress or a user as a parameter."""

EXACT = 1e-9
"""How far, relatively, a figure may lie from what the samples give: numpy and plain Python add in different orders."""


@dataclass(frozen=True, slots=True)
class Range:
    """What a figure can be: from ``low`` to ``high``, and no nearer to 0 than ``least`` where it is not 0."""

    low: float = 0.0
    high: float = LARGEST
    least: float = 0.0

    def holds(self, value: float) -> bool:
        """Whether a figure can be that."""
        return self.low <= value <= self.high and (not value or abs(value) >= self.least)


_USUAL = Range(least=1e-15)
_ANY = Range(-math.inf, math.inf)
_COUNT, _BYTES = Range(1, MOST), Range(0, BYTES)
_TIME, _MOMENT = Range(0, LONGEST, SHORTEST), Range(-LONGEST, LONGEST)
# Rounding leaves a share that is none in truth, or one that is the whole and a little more.
_SHARE, _COSINE, _LOOSE = Range(-1e-6, 1 + 1e-6), Range(-1 - 1e-6, 1 + 1e-6), Range()

_RANGES: dict[str, Range] = {
    "Workload.items": _COUNT,
    "Workload.batch": _COUNT,
    "Settings.concurrency": _COUNT,
    "Settings.rounds": Range(1, ROUNDS),
    "Settings.rate": Range(1e-15),
    "Settings.runs": Range(1, 1 << 63),
    "Settings.seed": Range(0, 1 << 63),
    "Settings.parameters": _ANY,
    "Series.start": _MOMENT,
    "Series.seconds": _TIME,
    "Series.stages": _TIME,
    "Series.pieces": _TIME,
    "Series.tokens": Range(0, MOST),
    "Series.proposed": Range(0, MOST),
    "Series.accepted": Range(0, MOST),
    "Pieces.acceptance": _SHARE,
    "Series.round": Range(0, ROUNDS - 1),
    "Failure.start": _MOMENT,
    "Failure.seconds": Range(0, LONGEST),
    "Samples.began": _MOMENT,
    "Identity.share": _SHARE,
    "Identity.min_cosine": _COSINE,
    "Identity.top1": _SHARE,
    "Row.agreement": _COSINE,
    "Summaries.shares": _SHARE,
    "Summaries.spread": _LOOSE,
    "Machine.memory": _BYTES,
    "Memory.disk": _BYTES,
    "Memory.parameters": _BYTES,
    "Memory.before": _BYTES,
    "Memory.loaded": _BYTES,
    "Memory.peak": _BYTES,
    "Curve.seconds": _MOMENT,
    "Curve.bytes": _BYTES,
    "Accelerator.total": _BYTES,
    "Accelerator.used": _BYTES,
    "Accelerator.used_peak": _BYTES,
    "Accelerator.own": _BYTES,
    "Accelerator.own_peak": _BYTES,
    "Accelerator.utilisation": Range(0, 101),
    "Accelerator.temperature": Range(-273, 10_000),
    # The clocks of the machine and of the process tick apart, so that a share of them may leave 0 to 1.
    "Conditions.own": Range(-1, 100),
    "Conditions.others": Range(-1, 100),
    "Conditions.iowait": Range(-1, 100),
    "Conditions.steal": Range(-1, 100),
    # What was counted in pauses is taken off, and leaves a rounding error of nothing.
    "Conditions": Range(-1),
    "Energy.joules": Range(-1e-6, least=1e-15),
    "Energy.domains": Range(-1e-6, least=1e-15),
    "Summary": _LOOSE,
}
"""Record and field, or record for all fields without an own entry → what its numbers can be, at any depth."""

_MESSAGES = {"Failure.message", "Reason.message", "Reason.hint", "Settings.parameters"}


def impossible(record: Any, where: str = "") -> Iterator[str]:
    """Sentences on the figures and texts of a record, and of all records in it, that cannot be, each naming its field."""
    name = type(record).__name__
    for field in fields(record):
        limits = _RANGES.get(f"{name}.{field.name}") or _RANGES.get(name, _USUAL)
        longest = MESSAGE if f"{name}.{field.name}" in _MESSAGES else NAME
        place = f"{where}.{field.name}" if where else field.name
        yield from _impossible(getattr(record, field.name), place, limits, longest)


def flaws(report: Report) -> Iterator[str]:
    """Sentences on what contradicts itself in a report whose every single figure can be, each naming its fields."""
    workload, samples, summaries = report.identity.workload, report.samples, report.summaries
    queries = -(-workload.items // max(1, workload.batch))
    for name, column in workload.work.items():
        if len(column) != queries:
            yield f"`identity.workload.work.{name}` has {len(column)} entries for {queries} queries"
    for phase in ("first", "warmup", "steady"):
        yield from _phase(f"samples.{phase}", getattr(samples, phase), queries)
    if any(not 0 <= failure.query < queries for failure in samples.failures):
        yield "`samples.failures` names a query that there is not"
    yield from _contradictions(report)
    if any(not 0 <= place < len(samples.steady) for place in summaries.outliers):
        yield "`summaries.outliers` names a run that there is not"
    for name, (low, high) in summaries.intervals.items():
        if low > high:
            yield f"`summaries.intervals.{name}` ends before it begins"
    if summaries.items and not len(samples.steady):
        yield f"`summaries.items` is {summaries.items:g}, and there is no steady run"
    trace = report.memory.trace
    if len(trace.seconds) != len(trace.bytes):
        yield "the columns of `memory.trace` differ in length"
    if any(later < earlier for earlier, later in pairwise(trace.seconds)):
        yield "`memory.trace.seconds` runs backwards"


def _contradictions(report: Report) -> Iterator[str]:
    """Where a summary says something else than its samples: a table must not contradict the runs that it is of."""
    steady, summaries = report.samples.steady, report.summaries
    yield from _contradiction("summaries.steady", summaries.steady, steady.seconds)
    for name, found in summaries.stages.items():
        yield from _contradiction(f"summaries.stages.{name}", found, steady.stages.get(name, ()))
    if summaries.pieces is not None:
        runs = [run for run in steady.pieces if run]
        gaps = [later - earlier for run in runs for earlier, later in pairwise(run)]
        yield from _contradiction("summaries.pieces.first", summaries.pieces.first, [run[0] for run in runs])
        yield from _contradiction("summaries.pieces.between", summaries.pieces.between, gaps)
        paces = [seconds / count for seconds, count in after_first(steady) if count]
        yield from _contradiction("summaries.pieces.token", summaries.pieces.token, paces)


def _contradiction(name: str, told: stats.Summary | None, values: Sequence[float]) -> Iterator[str]:
    true = stats.summarise(values)
    if told is None or true is None:
        if told is not true:
            yield f"`{name}` is {'there' if told else 'missing'}, and there are {len(values)} runs of it"
        return
    for field in fields(told):
        said, is_ = getattr(told, field.name), getattr(true, field.name)
        if said is None or is_ is None:
            same = said is is_
        else:
            size = 1.0 if field.name == "variation" else true.mean
            same = abs(said - is_) <= EXACT * max(abs(is_), size)
        if not same:
            yield f"`{name}.{field.name}` is {said}, and the runs say {is_}"


def _phase(name: str, series: Series, queries: int) -> Iterator[str]:
    if any(not 0 <= query < queries for query in series.query):
        yield f"`{name}.query` names a query that there is not"
    if any(later < earlier for run in series.pieces for earlier, later in pairwise(run)):
        yield f"`{name}.pieces` runs backwards"
    if [len(run) for run in series.pieces] != [len(run) for run in series.tokens]:
        yield f"`{name}.tokens` tells of other pieces than `{name}.pieces`"
    if any(right > guessed for right, guessed in zip(series.accepted, series.proposed, strict=False)):
        yield f"`{name}.accepted` has more tokens than `{name}.proposed`"


def _impossible(value: Any, place: str, limits: Range, longest: int) -> Iterator[str]:
    if is_dataclass(value):
        yield from impossible(value, place)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _text(name, f"a name in {place}", NAME)
            yield from _impossible(inner, f"{place}.{name}", limits, longest)
    elif isinstance(value, tuple | list):
        for number, inner in enumerate(value):
            # A column is long: what holds is passed over here.
            if type(inner) not in (int, float) or not limits.holds(inner):
                yield from _impossible(inner, f"{place}[{number}]", limits, longest)
    elif isinstance(value, str):
        yield from _text(value, place, longest)
    elif value is not None and not isinstance(value, bool) and not limits.holds(value):
        yield f"`{place}` is {value}, which cannot be"


def _text(text: str, place: str, longest: int) -> Iterator[str]:
    if len(text) > longest:
        yield f"`{place}` has {len(text):,} characters"
    # Half a character of UTF-16 can be written in JSON, and nowhere else.
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        yield f"`{place}` holds half a character"
