"""The results that this machine has seen, in one SQLite file: kept thin, without inputs, and compared as they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpux.bench.intervals import Ratio


@dataclass(frozen=True, slots=True)
class Entry:
    """One result of the past.

    Attributes:
        id: Its number in the database, ascending in the order of adding.
        reference: The model's canonical reference.
        started: When it began: ISO 8601, UTC.
        configuration: What must be equal for two results to be comparable: provider, variant, batch … → value.
        facts: What may have changed between two results: versions, driver, machine, model … → value.
        n: Steady runs.
        median: Seconds per run.
        mean: Seconds per run.
        std: Seconds; ``None`` for one run.
        p95: Seconds per run.
        p99: Seconds per run.
        interval: The 95 % interval of the median in seconds, where there is one.
        throughput: Items per second.
        peak: Peak of resident memory in bytes.
        joules: Joules per item.
        quality: The proof's class.
        min_cosine: The proof's smallest cosine.
        failures: Runs that failed, in no figure.
        interrupted: Whether Ctrl-C cut it short.
        seconds: Steady runs in their order, thinned evenly to 1,000 at most.
    """

    id: int
    reference: str
    started: str
    configuration: dict[str, str]
    facts: dict[str, str]
    n: int
    median: float
    mean: float
    std: float | None
    p95: float
    p99: float
    interval: tuple[float, float] | None
    throughput: float | None
    peak: int | None
    joules: float | None
    quality: str
    min_cosine: float
    failures: int
    interrupted: bool
    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Course:
    """Comparable results of one model, one after another.

    Attributes:
        label: The configuration in short, such as ``cpu · int8 · batch 8``.
        configuration: What they have in common.
        entries: Oldest first.
        change: The last one's median seconds per run / those of the one before; ``None`` for a single one.
        changed: What else changed between these two (``gpux 0.1.0 → 0.2.0``).
        sentence: Both in words.
    """

    label: str
    configuration: dict[str, str]
    entries: tuple[Entry, ...]
    change: Ratio | None
    changed: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Trend:
    """Everything that is known of one model, by configuration.

    Attributes:
        reference: The model's canonical reference.
        courses: One per configuration, the one with the newest result first.
    """

    reference: str
    courses: tuple[Course, ...]
