"""One candidate in a race: the turns it took on its bench, what they cost, and how it compares with another."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from gpux.bench import intervals
from gpux.bench.measure import SETTLE
from gpux.campaign import member
from gpux.errors import GpuxError, WorkerFailed
from gpux.events import silent

if TYPE_CHECKING:
    from gpux.bench.intervals import Ratio
    from gpux.planning import Candidate
    from gpux.race.goals import Goal

GRACE = 10.0
"""Seconds beyond twice what a turn should take after which it counts as hung."""

MOST = 1_000
"""Runs of a turn: more would tell nothing new of models that answer in microseconds."""

_RESAMPLES = 4_000
_COMPARED = 100
"""Runs of a turn that are compared, evenly spaced: turns differ by more than so many runs of one leave open."""

_TOLERANCE = 0.5


class Bench(member.Bench, Protocol):
    """Where a candidate runs: :class:`gpux.campaign.remote.Remote`."""

    def limit(self, seconds: float) -> None:
        """Give up any job that follows after so many seconds."""
        ...


class Runner:
    """One candidate.

    Args:
        candidate: What runs.
        bench: Where; not open yet.
        goal: What for.
        clock: Seconds.

    Attributes:
        alive: Whether it takes more turns.
        ready: What its process told when its model was warm.
        rounds: Number of the race's round → seconds per item of its runs in it.
        turns: Number of the race's round → their median; rounds without a run are left out.
        peak: Bytes of its process at most, where the goal asks for them.
        reason: Why it has no figure.
        skipped: Whether that is the race's doing, which had no time or no room for it.
        left: Whether it was sent away before the end, as clearly worse.
        wasted: Seconds that it hung.
    """

    def __init__(
        self, candidate: Candidate, bench: Bench, goal: Goal, *, clock: Callable[[], float] = monotonic
    ) -> None:
        self.candidate = candidate
        self.alive = False
        self.ready: member.Ready | None = None
        self.rounds: dict[int, list[float]] = {}
        self.turns: dict[int, float] = {}
        self.peak: float | None = None
        self.reason: str | None = None
        self.hint: str | None = None
        self.skipped = False
        self.left = False
        self.wasted = 0.0
        self._ratios: dict[Runner, tuple[int, Ratio | None]] = {}
        self._bench = bench
        self._goal = goal
        self._clock = clock

    @property
    def pace(self) -> float:
        """Seconds of a run, as its warm-up had it."""
        return self.ready.pace if self.ready else 0.0

    def open(self, *, within: float) -> None:
        """Start its process, load the model and warm it up; given up after so many seconds."""
        with _Step(self, self._bench, within, self._clock):
            self.ready = self._bench.open(silent)
            self.alive = True

    def round(self, number: int, seconds: float) -> None:
        """One turn."""
        within = GRACE + 2 * (seconds + (SETTLE + 1) * self.pace)
        with _Step(self, self._bench, within, self._clock):
            found = self._bench.round(runs=MOST, seconds=seconds, more=False, progress=silent)
            self.rounds[number] = list(found.paces)
            if found.paces:
                self.turns[number] = statistics.median(found.paces)
            if found.broken:
                self.leave("its runs failed one after the other")

    def weigh(self) -> None:
        """Fetch what its process took at most."""
        with _Step(self, self._bench, GRACE, self._clock):
            peak = self._bench.report(interrupted=False, progress=silent).memory.peak
            self.peak = None if peak is None else float(peak)
            if self.peak is None:
                self.leave("the system does not tell what its process took")

    def retire(self) -> None:
        """Sent away as clearly worse, with its figure."""
        self.left = True
        self.close()

    def skip(self, reason: str) -> None:
        """Out of the race before its first turn, for no fault of its own."""
        self.skipped = True
        self.leave(reason)

    def leave(self, reason: str, hint: str | None = None) -> None:
        """Out of the race without a figure."""
        self.reason, self.hint = reason, hint
        self.close()

    def close(self) -> None:
        """End its process, whatever it does."""
        self.alive = False
        self._bench.close()

    def paces(self) -> list[float]:
        """Seconds per item of all its runs, in the order of the rounds."""
        return [pace for number in sorted(self.rounds) for pace in self.rounds[number]]

    @property
    def measured(self) -> bool:
        """Whether it has a figure."""
        if self.reason is not None:
            return False
        return self.peak is not None if self._goal.unit == "B" else sum(map(len, self.rounds.values())) > 1

    def figure(self) -> float | None:
        """What people are told: the median of its seconds per item, or the bytes of its process."""
        if not self.measured:
            return None
        return self.peak if self._goal.unit == "B" else statistics.median(self.paces())

    def against(self, rival: Runner) -> Ratio | None:
        """This one's figure over another's, by the rounds that both ran, with an interval of 99 %."""
        if self._goal.unit == "B":
            return self._goal.ratio(rival.peak, self.peak) if rival.peak and self.peak else None
        common = [
            number for number in sorted(self.rounds) if rival.rounds.get(number) and self.rounds[number]
        ]
        known = self._ratios.get(rival)
        if known and known[0] == len(common):
            return known[1]
        mine, others = ([_thin(one.rounds[number]) for number in common] for one in (self, rival))
        ratio = intervals.ratio(_flat(others), _flat(mine), resamples=_RESAMPLES)
        found = None if ratio is None else intervals.by_turns(ratio, others, mine)
        self._ratios[rival] = len(common), found
        return found


class _Step:
    """What goes wrong with a candidate is its own affair: it leaves the race, and the others go on."""

    def __init__(self, runner: Runner, bench: Bench, within: float, clock: Callable[[], float]) -> None:
        bench.limit(within)
        self._runner = runner
        self._within = within
        self._clock = clock
        self._began = clock()

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if not isinstance(error, GpuxError):
            return False
        spent = self._clock() - self._began
        if isinstance(error, WorkerFailed) and ("hung" in error.message or spent > self._within - _TOLERANCE):
            self._runner.wasted += spent
            self._runner.leave(f"it hung, and was ended after {spent:.0f} s")
        else:
            self._runner.leave(
                error.message.replace("the worker process failed: it", "its process"), error.hint
            )
        return True


def _flat(rounds: list[list[float]]) -> list[float]:
    return [pace for paces in rounds for pace in paces]


def _thin(paces: list[float]) -> list[float]:
    return paces[:: -(-len(paces) // _COMPARED)]
