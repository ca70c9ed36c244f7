"""The ways to ask a model again and again: one after another, from several clients, or at random times; judges nothing.

Reads the clock right before and right after every call, with the garbage collector off, and writes down what it read.
"""

from __future__ import annotations

import contextlib
import gc
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

from gpux.errors import GpuxError

NANO = 1_000_000_000
GIVE_UP = 10
"""Failures in a row after which a phase ends: nothing will come of it."""


@dataclass(frozen=True, slots=True)
class Emitted:
    """How an answer came that comes in pieces; empty for one that comes at once.

    Attributes:
        seconds: From the call to each piece.
        tokens: New tokens in each piece.
        proposed: Tokens that were guessed ahead.
        accepted: Those of them that were right.
    """

    seconds: tuple[float, ...] = ()
    tokens: tuple[int, ...] = ()
    proposed: int = 0
    accepted: int = 0


AT_ONCE = Emitted()
Outcome = tuple[dict[str, float], Emitted]
Call = Callable[[Any], Outcome]
"""Answers a query; returns the seconds of each stage, and how the answer came."""


@dataclass(frozen=True, slots=True)
class Run:
    """One call as it was read: nanoseconds of the clock, the query's number, and what came back or went wrong."""

    start: int
    end: int
    query: int
    stages: dict[str, float]
    emitted: Emitted = AT_ONCE
    error: Exception | None = None


@dataclass(slots=True)
class Until:
    """When a phase ends; safe to ask from several threads.

    Attributes:
        runs: Calls to begin in all; ``None`` for no limit.
        deadline: The clock's nanoseconds after which no call begins; ``None`` for no limit.
        stop: Set from outside to end it after the calls that are under way.
        begun: Calls that began, or queries that arrived.
        failures: Failures in a row, up to now.
        unanswered: Queries that arrived and were left at the deadline.
    """

    runs: int | None
    deadline: int | None
    stop: threading.Event
    begun: int = 0
    failures: int = 0
    unanswered: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> int | None:
        """The number of the call that may begin now, from 0; ``None`` when none may."""
        with self._lock:
            over = (
                self.stop.is_set()
                or self.failures >= GIVE_UP
                or (self.runs is not None and self.begun >= self.runs)
                or (self.begun > 0 and self.late())
            )
            if over:
                return None
            self.begun += 1
            return self.begun - 1

    def late(self) -> bool:
        """Whether the deadline is over."""
        return self.deadline is not None and perf_counter_ns() >= self.deadline

    def count(self, run: Run) -> None:
        """Count failures in a row."""
        with self._lock:
            self.failures = self.failures + 1 if run.error is not None else 0

    def leave(self) -> None:
        """Count a query that nobody will answer."""
        with self._lock:
            self.unanswered += 1


Ended = Callable[[Run], None]
"""Receives every run as it ends, from one thread at a time."""


def one_after_another(call: Call, queries: Sequence[Any], first: int, until: Until, ended: Ended) -> None:
    """Ask, wait for the answer, ask again; begins at query ``first``."""
    while (number := until.next()) is not None:
        index = (first + number) % len(queries)
        run = _timed(call, queries[index], index)
        until.count(run)
        ended(run)


def closed_loop(
    call: Call, queries: Sequence[Any], first: int, until: Until, ended: Ended, *, clients: int
) -> None:
    """Several clients, each asking again as soon as it has its answer."""
    lock = threading.Lock()

    def tell(run: Run) -> None:
        with lock:
            ended(run)

    def client() -> None:
        while (number := until.next()) is not None:
            index = (first + number) % len(queries)
            run = _timed(call, queries[index], index, collecting=True)
            until.count(run)
            tell(run)

    with _collector_off():
        _together([client] * clients, until.stop)


def open_loop(
    call: Call,
    queries: Sequence[Any],
    first: int,
    until: Until,
    ended: Ended,
    *,
    rate: float,
    workers: int,
    random_times: random.Random,
) -> None:
    """Queries that arrive at exponentially distributed intervals, whether or not the ones before are answered.

    A run's start is the query's arrival, so that what a slow answer does to the ones behind it is counted ("coordinated
    omission" is what leaving it out is called). Stage ``queue`` is the wait for a free worker. Queries that still wait at
    the deadline are left.
    """
    waiting: queue.SimpleQueue[tuple[int, int] | None] = queue.SimpleQueue()
    lock = threading.Lock()

    def arrive() -> None:
        arrival = perf_counter_ns()
        while (number := until.next()) is not None:
            arrival += int(random_times.expovariate(rate) * NANO)
            if until.deadline is not None and arrival > until.deadline:
                break
            _sleep_until(arrival, until.stop)
            waiting.put((arrival, (first + number) % len(queries)))
        for _ in range(workers):
            waiting.put(None)

    def work() -> None:
        while (entry := waiting.get()) is not None:
            if until.stop.is_set() or until.late():
                until.leave()
                continue
            arrival, index = entry
            began = perf_counter_ns()
            run = _timed(call, queries[index], index, collecting=True)
            stages = {"queue": max(0, began - arrival) / NANO, **run.stages}
            run = Run(arrival, run.end, index, stages, run.emitted, run.error)
            until.count(run)
            with lock:
                ended(run)

    with _collector_off():
        _together([arrive, *[work] * workers], until.stop)


def _timed(call: Call, query: Any, index: int, *, collecting: bool = False) -> Run:
    """One call; the collector is off in it, unless its caller looks after that for several threads at once."""
    was = gc.isenabled()
    if not collecting:
        gc.disable()
    start = perf_counter_ns()
    try:
        stages, emitted = call(query)
        end = perf_counter_ns()
    except (GpuxError, MemoryError, Exception) as error:  # noqa: BLE001 - a failing run is a result; it is counted and told
        return Run(start, perf_counter_ns(), index, {}, AT_ONCE, error)
    finally:
        if was and not collecting:
            gc.enable()
    return Run(start, end, index, stages, emitted)


@contextlib.contextmanager
def _collector_off() -> Iterator[None]:
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _together(targets: Sequence[Callable[[], None]], stop: threading.Event) -> None:
    """Run functions in threads until all end; Ctrl-C lets the calls under way end and is raised again."""
    threads = [threading.Thread(target=target, daemon=True, name="gpux-bench") for target in targets]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        stop.set()
        for thread in threads:
            thread.join()
        raise


def _sleep_until(moment: int, stop: threading.Event) -> None:
    while (left := moment - perf_counter_ns()) > 0 and not stop.is_set():
        time.sleep(min(left / NANO, 0.5))
