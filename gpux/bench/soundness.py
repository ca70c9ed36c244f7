"""What a report must hold besides the right types: a file from elsewhere may say anything, and figures are computed from it."""

from __future__ import annotations

from collections.abc import Iterator

from gpux.bench.report import Report
from gpux.bench.samples import Series

MOST = 10_000_000
"""Runs of a phase, and items of a query: beyond that a number is a slip or an attack."""

SHORTEST, LONGEST = 1e-12, 1e10
"""Seconds that a run can take, besides none at all: a picosecond, and three centuries."""


def flaws(report: Report) -> Iterator[str]:
    """Sentences on what cannot be, each naming its field."""
    workload, settings = report.identity.workload, report.settings
    counts = {
        "identity.workload.items": workload.items,
        "identity.workload.batch": workload.batch,
        "settings.concurrency": settings.concurrency,
        "settings.rounds": settings.rounds,
    }
    for name, count in counts.items():
        if not 1 <= count <= MOST:
            yield f"`{name}` is {count}"
    if settings.rate is not None and settings.rate <= 0:
        yield f"`settings.rate` is {settings.rate}"
    if report.summaries.items < 0:
        yield f"`summaries.items` is {report.summaries.items}"
    queries = -(-workload.items // max(1, workload.batch))
    for name, column in workload.work.items():
        if len(column) != queries:
            yield f"`identity.workload.work.{name}` has {len(column)} entries for {queries} queries"
    for phase in ("first", "warmup", "steady"):
        yield from _phase(f"samples.{phase}", getattr(report.samples, phase), queries)
    if report.summaries.steady is not None and report.summaries.steady.n != len(report.samples.steady):
        yield f"`summaries.steady.n` is {report.summaries.steady.n} for {len(report.samples.steady)} runs"
    if any(not 0 <= place < len(report.samples.steady) for place in report.summaries.outliers):
        yield "`summaries.outliers` names a run that there is not"
    trace = report.memory.trace
    if len(trace.seconds) != len(trace.bytes):
        yield "the columns of `memory.trace` differ in length"


def _phase(name: str, series: Series, queries: int) -> Iterator[str]:
    for label, column in (
        ("seconds", series.seconds),
        *((f"stages.{s}", c) for s, c in series.stages.items()),
    ):
        if any(value and not SHORTEST <= value <= LONGEST for value in column):
            yield f"`{name}.{label}` holds a time that no clock reads"
    if any(not 0 <= query < queries for query in series.query):
        yield f"`{name}.query` names a query that there is not"
    if any(not 0 <= number < MOST for number in series.round):
        yield f"`{name}.round` names a round that cannot be"
