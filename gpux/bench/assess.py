"""Is a model ready for use on this machine: a report against thresholds, line by line, with the rule of each line."""

from __future__ import annotations

from dataclasses import dataclass

GOOD, ACCEPTABLE, POOR, UNKNOWN = "good", "acceptable", "poor", "unknown"


@dataclass(frozen=True, slots=True)
class Limits:
    """Where good and acceptable end, in the unit of the figure; which side is better follows from the figure."""

    good: float
    acceptable: float


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is good enough; the defaults suit a service that answers people.

    Attributes:
        memory: Peak memory / the memory that this process may use, at most: half leaves room for a second copy of the model
            while it is replaced, and a system begins to swap some way before the whole is used.
        latency: Seconds of a run that 95 of 100 stay below: up to 0.1 s a system seems to react at once, up to 1 s the
            thought is not interrupted (Nielsen, "Usability Engineering", 1993, chapter 5, after Miller, 1968).
        throughput: Items per second, at least: 10 answer some 860,000 items a day, 50 a corpus of a million in under six
            hours.
        consistency: Standard deviation / mean of the runs' seconds, at most.
        placement: Part of the graph's nodes that run on the provider, at least.
        reliability: Part of the runs that failed, at most.
    """

    memory: Limits = Limits(0.5, 0.8)
    latency: Limits = Limits(0.1, 1.0)
    throughput: Limits = Limits(50.0, 10.0)
    consistency: Limits = Limits(0.1, 0.25)
    placement: Limits = Limits(1.0, 0.95)
    reliability: Limits = Limits(0.0, 0.01)


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
