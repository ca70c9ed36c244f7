"""The results that this machine has seen, in one SQLite file: kept thin, without inputs, and compared as they come."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gpux import settings
from gpux.bench import comparison, database, difference, records
from gpux.bench.records import Mismatch
from gpux.errors import InvalidInput

if TYPE_CHECKING:
    from gpux.bench.intervals import Ratio
    from gpux.bench.report import Report

MOST = 1000
"""Steady runs that are kept of each result."""

LIMIT = 1000


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
        since: The last one's median seconds per run / those of the newest earlier one whose facts differ from the last
            one's: what a new version, driver or machine came to, however many results there have been since; ``None``
            where there is no such one.
        since_what: What tells these two apart.
        since_when: When that one began: ISO 8601, UTC.
        since_sentence: All three in words; ``""`` where that one is the one before, of which ``sentence`` tells.
    """

    label: str
    configuration: dict[str, str]
    entries: tuple[Entry, ...]
    change: Ratio | None
    changed: tuple[str, ...]
    sentence: str
    since: Ratio | None = None
    since_what: tuple[str, ...] = ()
    since_when: str | None = None
    since_sentence: str = ""


@dataclass(frozen=True, slots=True)
class Trend:
    """Everything that is known of one model, by configuration.

    Attributes:
        reference: The model's canonical reference.
        courses: One per configuration, the one with the newest result first.
    """

    reference: str
    courses: tuple[Course, ...]


class History:
    """The results of this machine.

    Args:
        path: The database; ``history.db`` under ``GPUX_HOME`` when ``None``.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = settings.home() / "history.db" if path is None else Path(path)

    def add(self, report: Report) -> int:
        """Keep a report, thinned and without its inputs; the same report twice is kept once.

        Returns:
            Its number.

        Raises:
            InvalidInput: The report has no steady run, and so nothing to keep.
            StoreError: The database cannot be written (:class:`gpux.errors.StoreUnwritable`), is damaged, or is not ours.
        """
        row = _row(report)
        with database.writing(self.path) as connection:
            connection.execute(
                "INSERT OR IGNORE INTO results (fingerprint, reference, started, entry, seconds)"
                " VALUES (?, ?, ?, ?, ?)",
                row,
            )
            found = connection.execute("SELECT id FROM results WHERE fingerprint = ?", row[:1]).fetchone()
        return int(found[0])

    def of(self, reference: str, *, limit: int = LIMIT) -> list[Entry]:
        """The newest results of a model, oldest first.

        Args:
            reference: The model's canonical reference.
            limit: How many at most.

        Raises:
            StoreError: The database cannot be read, is damaged, or is not ours.
        """
        with database.reading(self.path) as connection:
            rows = (
                []
                if connection is None
                else connection.execute(
                    "SELECT id, entry, seconds FROM results"
                    " WHERE reference = ? ORDER BY started DESC, id DESC LIMIT ?",
                    (_storable(reference), limit),
                ).fetchall()
            )
        try:
            return [_entry(*row) for row in reversed(rows)]
        except (Mismatch, ValueError, TypeError, RecursionError, OverflowError, struct.error) as error:
            raise database.damaged(self.path, str(error)) from error

    def trend(self, reference: str, *, limit: int = LIMIT) -> Trend:
        """How the results of a model went, by configuration.

        Args:
            reference: The model's canonical reference.
            limit: How many of the newest results count.

        Raises:
            StoreError: The database cannot be read, is damaged, or is not ours.
        """
        groups: dict[str, list[Entry]] = {}
        for entry in self.of(reference, limit=limit):
            groups.setdefault(json.dumps(entry.configuration, sort_keys=True), []).append(entry)
        courses = [_course(entries) for entries in groups.values()]
        courses.sort(key=lambda course: (course.entries[-1].started, course.entries[-1].id), reverse=True)
        return Trend(reference, tuple(courses))


def thinned(seconds: Sequence[float], most: int = MOST) -> tuple[float, ...]:
    """At most so many of the values, evenly spaced and in their order."""
    n = len(seconds)
    if n <= most:
        return tuple(seconds)
    return tuple(seconds[(2 * index + 1) * n // (2 * most)] for index in range(most))


def _row(report: Report) -> tuple[str, str, str, str, bytes]:
    identity, summaries, steady = report.identity, report.summaries, report.summaries.steady
    seconds = report.samples.steady.seconds
    if steady is None:
        raise InvalidInput("a report without a steady run has nothing to remember", hint="measure it again")
    done = difference.work(report)
    # Parameters may hold words of the user's own, such as candidate labels.
    done["parameters"] = hashlib.sha256(done["parameters"].encode()).hexdigest()
    entry = Entry(
        id=0,
        reference=identity.reference,
        started=identity.started,
        configuration=done | difference.configuration(report),
        facts=difference.surroundings(report),
        n=steady.n,
        median=steady.median,
        mean=steady.mean,
        std=steady.std,
        p95=steady.p95,
        p99=steady.p99,
        interval=summaries.intervals.get("median"),
        throughput=summaries.throughput,
        peak=report.memory.peak,
        joules=report.energy.per_inference(summaries.items),
        quality=identity.quality,
        min_cosine=identity.min_cosine,
        failures=len(report.samples.failures),
        interrupted=report.interrupted,
        seconds=thinned(seconds),
    )
    raw = records.encode(replace(entry, seconds=()))
    packed = struct.pack(f"<{len(seconds)}d", *seconds)
    mark = hashlib.sha256(json.dumps(raw, sort_keys=True).encode() + packed)
    return (
        mark.hexdigest(),
        _storable(entry.reference),
        entry.started,
        json.dumps(raw, allow_nan=False),
        struct.pack(f"<{len(entry.seconds)}d", *entry.seconds),
    )


def _entry(number: int, raw: str, packed: bytes) -> Entry:
    seconds = struct.unpack(f"<{len(packed) // 8}d", packed)
    if not seconds or not all(math.isfinite(value) and value >= 0 for value in seconds):
        raise ValueError(f"the times of result {number} are no times")
    return replace(records.decode(Entry, json.loads(raw)), id=number, seconds=seconds)


def _storable(text: str) -> str:
    """A text that SQLite takes: names of files may hold bytes that are no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _course(entries: Sequence[Entry]) -> Course:
    from gpux.bench import intervals

    *earlier, last = entries
    change = since = None
    changed: tuple[str, ...] = ()
    what: tuple[str, ...] = ()
    said, told = "the first result of this configuration", ""
    if earlier:
        change = intervals.ratio(earlier[-1].seconds, last.seconds)
        changed = difference.differences(earlier[-1].facts, last.facts)
        cause = f"since then: {', '.join(changed)}" if changed else "nothing known has changed since"
        said = f"{comparison.sentence(change)}; {cause}"
    other = next((entry for entry in reversed(earlier) if entry.facts != last.facts), None)
    if other is not None:
        since = intervals.ratio(other.seconds, last.seconds)
        what = difference.differences(other.facts, last.facts)
        if other is not earlier[-1]:
            began = other.started[:16].replace("T", " ")
            told = f"against {began}, the last result before {', '.join(what)}: {comparison.sentence(since)}"
    return Course(
        label=_label(last.configuration),
        configuration=last.configuration,
        entries=tuple(entries),
        change=change,
        changed=changed,
        sentence=said,
        since=since,
        since_what=what,
        since_when=None if other is None else other.started,
        since_sentence=told,
    )


def _label(configuration: dict[str, str]) -> str:
    shown = [configuration.get(name, "") for name in ("mode", "provider", "variant")]
    shown += [f"{name} {configuration.get(name, '?')}" for name in ("batch", "threads")]
    usual = {"concurrency": "1", "sequence": difference.AS_THEY_ARE, "level": "task"}
    shown += [
        f"{name} {found}" for name, usually in usual.items() if (found := configuration.get(name)) != usually
    ]
    scenario = configuration.get("scenario", "")
    return " · ".join([*shown, *([scenario] if scenario in {"server", "offline"} else [])])
