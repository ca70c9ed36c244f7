"""Measures a model in instalments: a first run, a warm-up, and steady runs in as many rounds as its caller likes.

Computes nothing from what it reads, and knows no report.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns
from typing import Any

from gpux.bench import loops
from gpux.bench.loops import NANO, Call, Run, Until
from gpux.bench.samples import Failure, Samples, Series
from gpux.bench.settings import Settings
from gpux.bench.workload import Queries

Tick = Callable[[str, int, int | None], None]
"""Receives the phase, the runs that it has done, and the runs that it will do where that is known."""

AUTO_MOST, AUTO_SECONDS = 1000, 60.0
"""Bounds of an automatic warm-up, whichever comes first."""

SETTLE = 2
"""Runs at the beginning of every later round that count for nothing: another configuration had the caches before."""

_TICK = 0.1


class Measurement:
    """One configuration being measured.

    Args:
        call: Answers one query.
        queries: What to ask.
        settings: How.
        tick: Told how far it is, at most ten times a second.
        stop: Set from any thread to end the phase after the runs under way.

    Attributes:
        settled: Whether the automatic warm-up found a steady state; ``None`` where it was not asked to.
        broken: Whether so many runs failed in a row that the rest was left.
    """

    def __init__(
        self,
        call: Call,
        queries: Queries,
        settings: Settings,
        *,
        tick: Tick | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.settled: bool | None = None
        self.broken = False
        self.stop = stop or threading.Event()
        self.begin = perf_counter_ns()
        self._call = call
        self._calls: Sequence[Any] = queries.calls
        self._settings = settings
        self._tick = tick
        self._told = 0
        self._round = 0
        self._begun = {"first": 0, "warmup": 0, "steady": 0}
        self._began: list[float] = []
        self._unanswered = 0
        self._runs: dict[str, list[tuple[int, Run]]] = {"first": [], "warmup": [], "steady": []}
        self._failed: list[tuple[str, Run]] = []
        self._random = random.Random(settings.seed)  # noqa: S311 - arrival times, not secrets

    @property
    def done(self) -> int:
        """Steady runs so far."""
        return len(self._runs["steady"])

    @property
    def begun(self) -> int:
        """Steady runs that began so far, failed ones too."""
        return self._begun["steady"]

    def seconds(self, since: int) -> list[float]:
        """Seconds of the steady runs from one on, in the order in which they ended."""
        return [(run.end - run.start) / NANO for _, run in self._runs["steady"][since:]]

    @property
    def pace(self) -> float:
        """Seconds of a run: the median of the warm-up, or the first where there is none."""
        known = self._runs["warmup"] or self._runs["first"]
        seconds = sorted((run.end - run.start) / NANO for _, run in known)
        return seconds[len(seconds) // 2] if seconds else 0.0

    def first(self) -> None:
        """The very first run.

        Raises:
            Exception: What the model raised: there is nothing to measure then.
        """
        self._warm("first", 1)
        if self._failed:
            error = self._failed[0][1].error
            assert error is not None  # noqa: S101 - only failed runs are in the list
            raise error

    def warm_up(self, *, most: float = AUTO_SECONDS) -> None:
        """The runs between the first and the steady ones, as the settings say.

        Args:
            most: Seconds after which an automatic warm-up ends without a steady state.
        """
        if self._settings.warmup is not None:
            self._warm("warmup", self._settings.warmup)
            return
        from gpux.bench.steady import steady

        self.settled = False
        limit = perf_counter_ns() + int(most * NANO)
        while not self.settled and not self.stop.is_set() and not self.broken:
            # One query all the time: others would be taken for a change of the machine.
            self._warm("warmup", 5, only=0)
            seconds = [(run.end - run.start) / NANO for _, run in self._runs["warmup"]]
            self.settled = steady(seconds)
            if len(seconds) >= AUTO_MOST or perf_counter_ns() > limit:
                break

    def settle(self) -> None:
        """Begin a later round, with runs that count for nothing."""
        self._round += 1
        self._warm("warmup", SETTLE)

    def steady(self, *, runs: int | None, seconds: float | None) -> None:
        """Steady runs, as many as asked for or as begin within so many seconds, whichever ends first."""
        settings, first = self._settings, self._begun["steady"]
        begin = perf_counter_ns()
        if len(self._began) <= self._round:
            self._began.append((begin - self.begin) / NANO)
        until = Until(runs, None if seconds is None else begin + int(seconds * NANO), self.stop)
        ended = self._recorder("steady", None if runs is None else self.done + runs)
        try:
            if settings.rate is not None:
                loops.open_loop(
                    self._call,
                    self._calls,
                    first,
                    until,
                    ended,
                    rate=settings.rate,
                    workers=settings.concurrency,
                    random_times=self._random,
                )
            else:
                self._ask(self._calls, first, until, ended)
        finally:
            self._unanswered += until.unanswered
            self._close("steady", until)

    def samples(self, *, preparation: Mapping[str, float], load: Mapping[str, float]) -> Samples:
        """Everything that was read so far."""
        return Samples(
            preparation=dict(preparation),
            load=dict(load),
            first=self._series("first"),
            warmup=self._series("warmup"),
            steady=self._series("steady"),
            failures=tuple(self._failure(phase, run) for phase, run in self._failed),
            began=tuple(self._began),
            unanswered=self._unanswered,
        )

    def _warm(self, phase: str, runs: int, *, only: int | None = None) -> None:
        """Runs that count for nothing, under the load that is measured; of one query where only that is wanted."""
        until = Until(runs, None, self.stop)
        calls = self._calls if only is None else [self._calls[only]]
        ended = self._recorder(phase, self._begun[phase] + runs)
        try:
            if phase == "first":
                loops.one_after_another(self._call, calls, 0, until, ended)
            else:
                self._ask(calls, self._begun[phase], until, ended)
        finally:
            self._close(phase, until)

    def _ask(self, calls: Sequence[Any], first: int, until: Until, ended: loops.Ended) -> None:
        clients = self._settings.concurrency
        if clients > 1:
            loops.closed_loop(self._call, calls, first, until, ended, clients=clients)
        else:
            loops.one_after_another(self._call, calls, first, until, ended)

    def _close(self, phase: str, until: Until) -> None:
        self._begun[phase] += until.begun
        self.broken = self.broken or until.failures >= loops.GIVE_UP
        self._say(phase, len(self._runs[phase]), now=True)

    def _recorder(self, phase: str, total: int | None) -> Callable[[Run], None]:
        runs = self._runs[phase]

        def ended(run: Run) -> None:
            if run.error is None:
                runs.append((self._round, run))
            else:
                self._failed.append((phase, run))
            self._say(phase, total)

        return ended

    def _say(self, phase: str, total: int | None, *, now: bool = False) -> None:
        if self._tick is None:
            return
        clock = perf_counter_ns()
        if now or clock - self._told > _TICK * NANO:
            self._told = clock
            self._tick(phase, len(self._runs[phase]), total)

    def _series(self, phase: str) -> Series:
        told = sorted(self._runs[phase], key=lambda entry: entry[1].start)
        runs = [run for _, run in told]
        names = dict.fromkeys(name for run in runs for name in run.stages)
        emitted = [run.emitted for run in runs]
        piecemeal = any(one.seconds for one in emitted)
        guessed = any(one.proposed for one in emitted)
        return Series(
            start=tuple((run.start - self.begin) / NANO for run in runs),
            seconds=tuple((run.end - run.start) / NANO for run in runs),
            query=tuple(run.query for run in runs),
            round=tuple(number for number, _ in told),
            stages={name: tuple(run.stages.get(name, 0.0) for run in runs) for name in names},
            pieces=tuple(one.seconds for one in emitted) if piecemeal else (),
            tokens=tuple(one.tokens for one in emitted) if piecemeal else (),
            proposed=tuple(one.proposed for one in emitted) if guessed else (),
            accepted=tuple(one.accepted for one in emitted) if guessed else (),
        )

    def _failure(self, phase: str, run: Run) -> Failure:
        lines = str(run.error).strip().splitlines()
        return Failure(
            phase=phase,
            start=(run.start - self.begin) / NANO,
            seconds=(run.end - run.start) / NANO,
            query=run.query,
            error=type(run.error).__name__,
            message=lines[0] if lines else "",
        )
