"""Is a model ready for use on this machine: a report against thresholds, line by line, with the rule of each line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpux.bench.thresholds import MEASURES, Limits, Thresholds, read_thresholds, shown

if TYPE_CHECKING:
    from gpux.bench.report import Report

__all__ = ["Assessment", "Finding", "Limits", "Thresholds", "assess", "read_thresholds"]

GOOD, ACCEPTABLE, POOR, UNKNOWN = "good", "acceptable", "poor", "unknown"
GRADES = (GOOD, ACCEPTABLE, POOR)
"""From best to worst."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of an assessment.

    Attributes:
        name: The threshold's name, such as ``latency``.
        value: The figure; ``None`` where it is not known.
        unit: ``share`` (from 0 to 1), ``seconds`` or ``per second``.
        grade: ``good``, ``acceptable``, ``poor`` or ``unknown``.
        rule: What is good and what acceptable, in words; for ``unknown`` also why.
    """

    name: str
    value: float | None
    unit: str
    grade: str
    rule: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """A report, graded.

    Attributes:
        grade: The worst grade of all findings that have one; ``unknown`` where none has.
        findings: One per threshold, in their order.
    """

    grade: str
    findings: tuple[Finding, ...]


RUNS_FOR_P95 = 20
"""Below, the 95th percentile lies between the two slowest runs and says little."""


def assess(report: Report, thresholds: Thresholds | None = None) -> Assessment:
    """Grade a report, by the default thresholds where none are given."""
    limits = thresholds or Thresholds()
    findings = tuple(
        _finding(name, getattr(limits, name), *reading) for name, reading in _readings(report).items()
    )
    known = [finding.grade for finding in findings if finding.grade != UNKNOWN]
    return Assessment(max(known, key=GRADES.index, default=UNKNOWN), findings)


def _readings(report: Report) -> dict[str, tuple[float | None, str]]:
    """Threshold → the figure, and why there is none or what it is of."""
    summaries, machine, peak = report.summaries, report.identity.machine, report.memory.peak
    steady, runs = summaries.steady, len(report.samples.steady)
    none = "there is no steady run"
    failed = sum(failure.phase == "steady" for failure in report.samples.failures)
    memory: tuple[float | None, str] = (None, "this system does not tell the peak of this process's memory")
    if peak is not None:
        known = machine.memory
        memory = (peak / known, "") if known else (None, "this system does not tell how much memory it has")
    graph = (
        "the graph alone, without what a caller waits for besides" if report.settings.level == "graph" else ""
    )
    enough = runs >= RUNS_FOR_P95
    return {
        "memory": memory,
        "latency": (
            steady.p95 if steady is not None and enough else None,
            graph if enough else f"{runs} steady runs are too few for a 95th percentile",
        ),
        "throughput": (summaries.throughput, "" if summaries.throughput else none),
        "consistency": (
            report.summaries.spread,
            "" if report.summaries.spread is not None else "it takes two steady runs",
        ),
        "placement": (report.identity.share, ""),
        "reliability": (failed / (failed + runs) if failed + runs else None, "" if failed + runs else none),
    }


def _finding(name: str, limits: Limits, value: float | None, note: str) -> Finding:
    unit, more, measured = MEASURES[name]
    sign = "≥" if more else "≤"
    rule = f"{measured}: good {sign} {shown(name, limits.good)}, acceptable {sign} {shown(name, limits.acceptable)}"
    return Finding(name, value, unit, _grade(value, limits, more=more), f"{rule}; {note}" if note else rule)


def _grade(value: float | None, limits: Limits, *, more: bool) -> str:
    if value is None:
        return UNKNOWN
    for grade, limit in ((GOOD, limits.good), (ACCEPTABLE, limits.acceptable)):
        if value >= limit if more else value <= limit:
            return grade
    return POOR
