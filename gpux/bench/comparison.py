"""Reports of the same work against the first of them: how many times slower, how sure, and what else differs.

Reads reports only; whoever calls it decides what a difference is worth.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

from gpux.bench import difference
from gpux.errors import InvalidInput, InvalidSetting, UsageError

if TYPE_CHECKING:
    from gpux.bench.intervals import Ratio
    from gpux.bench.report import Report

STATISTICS = ("median", "mean")
FEW = "too few runs to tell"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % bootstrap interval; both ends are ``None`` where there are too few runs for one.

    Attributes:
        value: The figure.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Versus:
    """One report against the baseline.

    Attributes:
        name: What it is called, such as its file's name.
        baseline: The baseline's seconds per item; ``None`` where it has no steady run.
        other: This report's seconds per item; ``None`` where it has no steady run.
        ratio: This report's seconds per item / the baseline's: above 1 it is slower; ``None`` where one of them is.
        differences: What differs besides the figures, both values in each (``onnxruntime 1.31.1 → 1.32.0``).
        sentence: The verdict, such as ``1.23 × slower (1.20 to 1.26)``.
    """

    name: str
    baseline: Estimate | None
    other: Estimate | None
    ratio: Ratio | None
    differences: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Reports against a baseline.

    Attributes:
        name: What the baseline is called.
        noun: What the items are, in the plural.
        statistic: ``median`` or ``mean``.
        baseline: The baseline's seconds per item; ``None`` where it has no steady run.
        rows: Every other report, in the order given.
    """

    name: str
    noun: str
    statistic: str
    baseline: Estimate | None
    rows: tuple[Versus, ...]


def compare(
    reports: Sequence[Report], *, names: Sequence[str], statistic: str = "median", anyway: bool = False
) -> Comparison:
    """Compare reports with the first of them, by their seconds per item.

    Args:
        reports: At least two.
        names: What each is called.
        statistic: ``median`` or ``mean`` of the steady runs.
        anyway: Compare what did different work too, or has no figures, and say so in ``differences``.

    Raises:
        InvalidInput: A report did other work than the first one, or has no steady run.
        InvalidSetting: There is no such statistic.
        UsageError: There are fewer than two reports.
    """
    if statistic not in STATISTICS:
        raise InvalidSetting(
            f"`statistic` is `{statistic}`", hint=f"use {' or '.join(STATISTICS)}", setting="statistic"
        )
    if len(reports) < 2:
        raise UsageError("one result alone has nothing to be compared with", hint="name two or more")
    pairs = list(zip(names, reports, strict=True))
    if not anyway:
        for pair in pairs:
            _check(pairs[0], pair)
    return Comparison(
        name=names[0],
        noun=reports[0].identity.workload.noun,
        statistic=statistic,
        baseline=per_item(reports[0], statistic),
        rows=tuple(_versus(pairs[0], pair, statistic) for pair in pairs[1:]),
    )


def slower_than(versus: Versus, fraction: float) -> bool:
    """Whether it is certainly slower than the baseline by more than a fraction of it: the whole interval lies above."""
    ratio = versus.ratio
    return ratio is not None and ratio.low is not None and ratio.low > 1 + fraction


def fraction(text: str) -> float:
    """Read ``5%`` or ``0.05``.

    Raises:
        InvalidSetting: It is neither; a plain number of 1 or more is taken for a forgotten ``%``.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(%?)\s*", text, re.ASCII)
    value = float(found[1]) / (100 if found[2] else 1) if found else None
    if found is None or value is None or (not found[2] and value >= 1) or value > 1e6:
        raise InvalidSetting(
            f"`{text}` is no part of a time", hint="give it in percent (5%) or as a number below 1 (0.05)"
        )
    return value


def per_item(report: Report, statistic: str = "median") -> Estimate | None:
    """Seconds per item: what the report says of its runs, by :func:`gpux.bench.difference.at_once`."""
    steady = report.summaries.steady
    if steady is None:
        return None
    if _overlapping(report):
        return _apart_per_item(report)
    value = steady.median if statistic == "median" else steady.mean
    low, high = report.summaries.intervals.get(statistic, (None, None))
    divisor = difference.at_once(report)
    return Estimate(
        value / divisor, None if low is None else low / divisor, None if high is None else high / divisor
    )


def ratio(
    baseline: Report, other: Report, statistic: str = "median", *, confidence: float = 0.99
) -> Ratio | None:
    """Seconds per item of one report / those of another; ``None`` where one has no steady run."""
    from gpux.bench import intervals

    if _overlapping(baseline) or _overlapping(other):
        return _by_throughput(baseline, other, confidence)
    kind: Literal["median", "mean"] = "mean" if statistic == "mean" else "median"
    found = intervals.ratio(
        difference.pace(baseline), difference.pace(other), statistic=kind, confidence=confidence
    )
    if found is None:
        return None
    return intervals.by_turns(found, difference.turns(baseline), difference.turns(other), statistic=kind)


def _overlapping(report: Report) -> bool:
    """Whether clients asked at once, so that a run's seconds are not what an item costs."""
    return report.settings.concurrency > 1 and report.settings.rate is None


def _apart_per_item(report: Report) -> Estimate | None:
    throughput = report.summaries.throughput
    low, high = report.summaries.intervals.get("throughput", (None, None))
    return (
        Estimate(1 / throughput, 1 / high if high else None, 1 / low if low else None) if throughput else None
    )


def _by_throughput(baseline: Report, other: Report, confidence: float) -> Ratio | None:
    """Of loads that overlap: the ratio of the time that an item took of all clients', from both throughputs' intervals."""
    from gpux.bench.intervals import Ratio

    one, two = baseline.summaries, other.summaries
    if not one.throughput or not two.throughput:
        return None
    value = one.throughput / two.throughput
    widths = [found.intervals.get("throughput") for found in (one, two)]
    if not all(width and width[0] > 0 for width in widths):
        return Ratio(value, None, None, confidence, "same")
    normal = NormalDist()
    deviations = [math.log(width[1] / width[0]) / 2 / normal.inv_cdf(0.975) for width in widths if width]
    reach = normal.inv_cdf((1 + confidence) / 2) * math.hypot(*deviations)
    low, high = value * math.exp(-reach), value * math.exp(reach)
    return Ratio(value, low, high, confidence, "slower" if low > 1 else "faster" if high < 1 else "same")


def sentence(found: Ratio | None) -> str:
    """A ratio in words, with its interval."""
    if found is None:
        return "no figures to compare"
    if found.low is None or found.high is None:
        return f"{FEW} ({factor(found.value)} × by the figures alone)"
    if found.verdict == "same":
        return f"no measurable difference ({span(found.low, found.high)})"
    return f"{times(found)[0]} × {found.verdict} ({times(found)[1]})"


def times(found: Ratio) -> tuple[str, str]:
    """How many times slower, or faster where the verdict says so: the factor and its interval, with digits to see it."""
    value, low, high = found.value, found.low or found.value, found.high or found.value
    if found.verdict == "faster":
        value, low, high = 1 / value, 1 / high, 1 / low
    digits = next((digits for digits in range(2, 6) if round(low, digits) > 1), 2)
    return factor(value, digits), f"{factor(low, digits)} to {factor(high, digits)}"


def span(low: float, high: float) -> str:
    """An interval around 1, with digits to see on which sides of it."""
    digits = next((d for d in range(2, 6) if round(low, d) < 1 or round(high, d) > 1), 2)
    return f"{factor(low, digits)} to {factor(high, digits)}"


def factor(value: float, digits: int = 2) -> str:
    """A factor with so many digits behind the point, fewer where it is large."""
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else digits}f}"


def _check(first: tuple[str, Report], pair: tuple[str, Report]) -> None:
    name, report = pair
    if report.summaries.steady is None:
        raise InvalidInput(
            f"`{name}` has no steady run to compare",
            hint="measure it again, or add --anyway to see what else differs",
        )
    other = difference.differences(difference.work(first[1]), difference.work(report))
    if other:
        raise InvalidInput(
            f"`{name}` did other work than `{first[0]}`: {', '.join(other)}",
            hint="compare results of the same work, or add --anyway to compare them with that said",
        )


def _versus(first: tuple[str, Report], pair: tuple[str, Report], statistic: str) -> Versus:
    found = ratio(first[1], pair[1], statistic)
    return Versus(
        name=pair[0],
        baseline=per_item(first[1], statistic),
        other=per_item(pair[1], statistic),
        ratio=found,
        differences=tuple(_differences(first, pair)),
        sentence=sentence(found),
    )


def _differences(first: tuple[str, Report], pair: tuple[str, Report]) -> Iterator[str]:
    one, other = first[1], pair[1]
    yield from difference.differences(difference.work(one), difference.work(other))
    if one.identity.workload.sha256 is None or other.identity.workload.sha256 is None:
        yield "inputs without a digest: whether they are the same cannot be told"
    yield from difference.differences({"model": one.identity.reference}, {"model": other.identity.reference})
    yield from difference.differences(difference.configuration(one), difference.configuration(other))
    yield from difference.differences(difference.surroundings(one), difference.surroundings(other))
    if one.identity.workload.batch == other.identity.workload.batch:
        answered = [f"{len(set(found.samples.steady.query))} of {_queries(found)}" for found in (one, other)]
        if answered[0] != answered[1]:
            yield f"queries answered {answered[0]} → {answered[1]}"
    for name, report in (first, pair):
        yield from _cut_short(name, report)


def _queries(report: Report) -> int:
    workload = report.identity.workload
    return -(-workload.items // workload.batch)


def _cut_short(name: str, report: Report) -> Iterator[str]:
    runs = len(report.samples.steady)
    if not runs:
        yield f"`{name}` has no steady run"
    if report.interrupted:
        yield f"`{name}` was interrupted after {runs} steady runs"
    failed = len(report.samples.failures)
    if failed:
        yield f"{failed} {'run' if failed == 1 else 'runs'} of `{name}` failed"
