"""A suite's configurations against the fastest of them, with their proofs; measures nothing and renders nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpux.bench import comparison, difference
from gpux.bench.comparison import Estimate
from gpux.bench.suite import Reason, Row, Suite

if TYPE_CHECKING:
    from gpux.bench.intervals import Ratio
    from gpux.bench.report import Report

AGREES, SLACK = 0.99, 0.01
"""Cosine that answers have to reach, and how far below its own proof a lossy variant's may lie."""

DISAGREES = "disagrees"
"""What stands in the place of a proof's class where the answers say otherwise."""

PROVEN = ("exact", "near", "reference")
BATCH = "batch"
MEAN = "mean"


@dataclass(frozen=True, slots=True)
class Standing:
    """One configuration among the others; every figure is ``None`` where the configuration has none.

    Attributes:
        label: As in the suite.
        axes: As in the suite.
        run: Median seconds per run.
        item: Median seconds per item; runs of several clients at once count as what each adds.
        throughput: Items per second.
        relative: Seconds per item / those of the best row with the same inputs: above 1 it is slower; ``None`` for that
            row itself too.
        best: Whether it takes the least time per item of all rows with the same inputs.
        as_fast: Whether no difference from the best can be measured; also true for the best itself.
        quality: Its certificate's class.
        min_cosine: Its certificate's smallest cosine.
        top1: Its certificate's smallest top-1 agreement, from 0 to 1.
        agreement: As in the suite.
        provider: The provider that really ran.
        precision: The precision that it really computed in.
        share: Part of the graph's nodes that ran on the provider, from 0 to 1.
        memory: Peak of resident memory in bytes.
        energy: Joules per item.
        failures: Runs that failed, in no figure.
        reason: Why there are no figures, or why it stopped.
    """

    label: str
    axes: dict[str, str]
    run: Estimate | None = None
    item: Estimate | None = None
    throughput: Estimate | None = None
    relative: Ratio | None = None
    best: bool = False
    as_fast: bool = False
    quality: str | None = None
    min_cosine: float | None = None
    top1: float | None = None
    agreement: float | None = None
    provider: str | None = None
    precision: str | None = None
    share: float | None = None
    memory: int | None = None
    energy: float | None = None
    failures: int = 0
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class BestBatch:
    """The smallest batch that answers as many items per second as any, as far as can be measured.

    Attributes:
        axes: The values of the other axes for which it holds; empty where batch is the only axis.
        batch: Items per run.
        smallest: The smallest batch that was measured.
        gain: Seconds per item of that one / those of this one; ``None`` where they are the same.
        sentence: All of it in words.
    """

    axes: dict[str, str]
    batch: int
    smallest: int
    gain: Ratio | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Ranking:
    """A suite, judged.

    Attributes:
        standings: One per row, in the suite's order.
        fastest: Label of the row with the least time per item; ``None`` where the rows answered different inputs, or none
            has figures.
        fastest_proven: Label of the fastest row whose proof is ``exact``, ``near`` or the source model itself, where the
            fastest is none of these and such a row exists.
        quickest: Label of the row with the least time per run (the best latency); ``None`` as for ``fastest``.
        best_batch: One per combination of the other axes, where batch is an axis.
        sentences: What to tell a reader first.
    """

    standings: tuple[Standing, ...]
    fastest: str | None
    fastest_proven: str | None
    quickest: str | None
    best_batch: tuple[BestBatch, ...]
    sentences: tuple[str, ...]


def rank(suite: Suite) -> Ranking:
    """Judge the rows of a suite.

    Rows are compared with the best of those that answered the same inputs, so that a sweep of sequence lengths has a best
    row per length. A row whose runs failed, or that stopped, is best only where no other row has figures.
    """
    groups = _groups(suite.rows)
    best = {id(row): _best(rows) for rows in groups for row in rows}
    standings = tuple(_standing(row, best.get(id(row))) for row in suite.rows)
    fastest = _best(groups[0]) if len(groups) == 1 else None
    proven = quickest = None
    if fastest is not None:
        quickest = min(_sound(groups[0]), key=_latency).label
        if _report(fastest).identity.quality not in PROVEN:
            proven = _best_proven(groups[0])
    batches = tuple(_batches(suite))
    return Ranking(
        standings=standings,
        fastest=None if fastest is None else fastest.label,
        fastest_proven=None if proven is None else proven.label,
        quickest=quickest,
        best_batch=batches,
        sentences=(
            *(text for rows in groups for text in _sentences(suite, rows, alone=len(groups) == 1)),
            *(found.sentence for found in batches),
        ),
    )


def _groups(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows with figures, apart where they did different work."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row.report is not None and row.report.summaries.steady is not None:
            found.setdefault(tuple(difference.work(row.report).values()), []).append(row)
    return list(found.values())


def _best(rows: Sequence[Row], statistic: str = "median") -> Row:
    return min(_sound(rows), key=lambda row: _pace(row, statistic))


def _best_proven(rows: Sequence[Row]) -> Row | None:
    found = [row for row in _sound(rows) if _report(row).identity.quality in PROVEN]
    return min(found, key=_pace, default=None)


def _sound(rows: Sequence[Row]) -> Sequence[Row]:
    whole = [row for row in rows if row.reason is None and not _report(row).samples.failures]
    return [row for row in whole if not _disagrees(row)] or whole or rows


def _disagrees(row: Row) -> bool:
    """Whether its answers are further from the reference's than its own proof allows."""
    allowed = min(AGREES, _report(row).identity.min_cosine - SLACK)
    return row.agreement is not None and row.agreement < allowed


def _report(row: Row) -> Report:
    assert row.report is not None  # noqa: S101 - only rows of a group come here
    return row.report


def _pace(row: Row, statistic: str = "median") -> float:
    found = comparison.per_item(_report(row), statistic)
    assert found is not None  # noqa: S101 - as above
    return found.value


def _latency(row: Row) -> float:
    steady = _report(row).summaries.steady
    assert steady is not None  # noqa: S101 - as above
    return steady.median


def _standing(row: Row, best: Row | None) -> Standing:
    report = row.report
    if report is None:
        return Standing(row.label, row.axes, agreement=row.agreement, reason=row.reason)
    summaries, identity = report.summaries, report.identity
    relative = None if best is None or best is row else comparison.ratio(_report(best), report)
    return Standing(
        label=row.label,
        axes=row.axes,
        run=_estimate(
            summaries.steady.median if summaries.steady else None, summaries.intervals.get("median")
        ),
        item=comparison.per_item(report),
        throughput=_estimate(summaries.throughput, summaries.intervals.get("throughput")),
        relative=relative,
        best=best is row and not _disagrees(row),
        as_fast=best is row or (_same(relative) and not _disagrees(row)),
        quality=DISAGREES if _disagrees(row) else identity.quality,
        min_cosine=identity.min_cosine,
        top1=identity.top1,
        agreement=row.agreement,
        provider=identity.provider,
        precision=identity.precision,
        share=identity.share,
        memory=report.memory.peak,
        energy=report.energy.per_inference(report.summaries.items),
        failures=len(report.samples.failures),
        reason=row.reason,
    )


def _estimate(value: float | None, interval: tuple[float, float] | None) -> Estimate | None:
    low, high = interval or (None, None)
    return None if value is None else Estimate(value, low, high)


def _same(ratio: Ratio | None) -> bool:
    return ratio is not None and ratio.low is not None and ratio.verdict == "same"


def _batches(suite: Suite) -> Iterator[BestBatch]:
    """Per combination of the other axes, the smallest batch that no other one certainly beats.

    By means, not medians: what is answered in all is what counts, slow runs included.
    """
    if BATCH not in suite.axes or any(report.settings.rate is not None for report in suite.reports):
        return  # where queries arrive by themselves, it is they who decide how many are answered
    groups: dict[tuple[tuple[str, str], ...], list[Row]] = {}
    for row in (row for rows in _groups(suite.rows) for row in rows):
        others = tuple((name, value) for name, value in row.axes.items() if name != BATCH)
        groups.setdefault(others, []).append(row)
    for others, rows in groups.items():
        ordered = sorted(_sound(rows), key=_batch)
        if len(ordered) < 2:
            continue
        top = _best(ordered, MEAN)
        chosen = next(
            row for row in ordered if row is top or _same(comparison.ratio(_report(top), _report(row), MEAN))
        )
        least = ordered[0]
        gain = None if chosen is least else comparison.ratio(_report(chosen), _report(least), MEAN)
        axes, batch, smallest = dict(others), _batch(chosen), _batch(least)
        place = f"at {_named(axes)}, " if axes else ""
        said = place + _enough(ordered, chosen=chosen, top=top, gain=gain)
        yield BestBatch(axes, batch, smallest, gain, said)


def _enough(ordered: Sequence[Row], *, chosen: Row, top: Row, gain: Ratio | None) -> str:
    most = f"answers the most {_report(chosen).identity.workload.noun} per second"
    least = ordered[0]
    if gain is None:
        return f"no batch above {_batch(least)} measurably {most.replace('the most', 'more')}"
    if gain.low is None:
        return f"which batch {most} cannot be told: {comparison.FEW}"
    times = f"({comparison.times(gain)[0]} × batch {_batch(least)})"
    if chosen is ordered[-1]:
        return f"batch {_batch(chosen)}, the largest measured, {most} {times}"
    if chosen is top:
        return f"batch {_batch(chosen)} {most} {times}"
    return f"batch {_batch(chosen)} {most} {times}: no larger one is measurably better"


def _batch(row: Row) -> int:
    return _report(row).identity.workload.batch


def _sentences(suite: Suite, rows: Sequence[Row], *, alone: bool) -> Iterator[str]:
    """The best row against the other values of each axis, all else being equal; and what its proof lacks."""
    best = _best(rows)
    for axis in suite.axes:
        if axis == BATCH:
            continue
        for row in rows:
            if row is best or row.axes.get(axis) == best.axes.get(axis) or _apart(row, best, axis):
                continue
            rest = {name: value for name, value in best.axes.items() if name != axis}
            place = f" at {_named(rest)}" if rest else ""
            yield f"{_value(axis, best)} {_faster(best, row, _value(axis, row))}{place}"
    for row in rows:
        if _disagrees(row):
            yield f"`{row.label}` gives other answers (cosine {row.agreement:.4f}): whatever its speed, it is not the best"
    if _report(best).identity.quality in PROVEN:
        return
    identity, proven = _report(best).identity, _best_proven(rows)
    said = f"`{best.label}` is {identity.quality} (minimum cosine {identity.min_cosine:.4f})"
    if proven is None:
        yield f"{said}, and no row{'' if alone else ' with these inputs'} has a better proof"
    else:
        yield f"{said}; the fastest with a better proof ({_report(proven).identity.quality}) is `{proven.label}`"


def _apart(row: Row, best: Row, axis: str) -> bool:
    return any(row.axes.get(name) != value for name, value in best.axes.items() if name != axis)


def _faster(best: Row, row: Row, name: str) -> str:
    found = comparison.ratio(_report(best), _report(row))
    if found is None or found.low is None:
        return f"against {name}: {comparison.sentence(found)}"
    if found.verdict != "slower":
        return f"and {name} are as fast as far as can be measured ({comparison.span(found.low, found.high or found.low)})"
    value, interval = comparison.times(found)
    return f"is {value} × as fast as {name} ({interval})"


def _value(axis: str, row: Row) -> str:
    return _named({axis: row.axes[axis]})


def _named(axes: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" if value.isdecimal() else value for name, value in axes.items())
