"""Has candidates take turns, each in a process of its own, until the best is known or the time is up; opens no model itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from gpux import hardware
from gpux.events import Event, Progress
from gpux.race import entrants
from gpux.race.runner import Runner

if TYPE_CHECKING:
    from gpux.planning import Candidate
    from gpux.race.field import Field
    from gpux.race.goals import Goal

ROUNDS = 8
"""Turns of a candidate that stays to the end, at least where the time suffices."""

MOST_ROUNDS = 40

FEW = 3
"""Turns before anybody is told to leave."""

CLEAR = 1.02
"""Who is slower by more than this, the whole interval of it, leaves."""

CLOSE = 0.02
"""An interval that lies within this of 1 is close enough: more turns would tell nothing that anybody notices."""

SPARE = 1.3
"""Free memory that the next candidate needs, in units of what the largest one so far takes."""


class Course:
    """One race.

    Args:
        field: Who runs.
        goal: What for.
        budget: Seconds.
        progress: Receives events of stage ``race``.

    Attributes:
        runners: Everybody who ran, or should have.
    """

    def __init__(self, field: Field, goal: Goal, *, budget: float, progress: Progress) -> None:
        self.runners: list[Runner] = []
        self._field = field
        self._goal = goal
        self._budget = budget
        self._progress = progress
        self._started = monotonic()
        self._round = 0

    def run(self, *, short: bool) -> None:
        """Everybody against everybody, then the best with other threads and batches.

        Args:
            short: Leave the second part out.
        """
        self._started = monotonic()
        try:
            self._heat(self._field.entrants, until=self._budget if short else 0.6 * self._budget)
            if not short:
                self._refine()
        finally:
            for runner in self.runners:
                runner.finish()

    def best(self) -> Runner | None:
        """Who is ahead, by the figure."""
        ran = [runner for runner in self.runners if runner.figure(self._goal) is not None]
        return min(ran, key=lambda one: one.figure(self._goal) or math.inf, default=None)

    def _refine(self) -> None:
        best = self.best()
        if best is None:
            return
        others = [one for one in self._leading() if one is not best][:1]
        fewer = [c for one in (best, *others) for c in entrants.threads(one.candidate, self._field.cores)]
        self._heat(fewer, until=0.8 * self._budget if self._goal.many else self._budget)
        if not self._goal.many:
            return
        tried = {self._field.usual}
        while (best := self.best()) and self._left(self._budget) > 0:
            sizes = entrants.batches(best.candidate, self._field.usual, tried)
            if not sizes:
                return
            tried.update(size.batch for size in sizes if size.batch)
            self._heat(sizes, until=self._budget)
            if self.best() is best:
                return

    def _heat(self, candidates: Iterable[Candidate], *, until: float) -> None:
        """Newcomers against whoever is still in the race."""
        for candidate in candidates:
            if any(runner.candidate == candidate for runner in self.runners):
                continue
            runner = Runner(candidate, self._field, self._goal, patience=self._budget)
            self.runners.append(runner)
            self._enter(runner, until)
        begun = self._round
        if self._goal.unit != "s":
            self._weigh()
            return
        while True:
            racing = self._racing()
            if not racing or (self._round - begun >= FEW and self._left(until) <= 0):
                return
            ran = self._round - begun
            if ran >= MOST_ROUNDS or (ran >= FEW and (len(racing) == 1 or self._settled(racing))):
                return
            self._turn(racing, until)
            self._drop()

    def _weigh(self) -> None:
        """What a candidate takes shows in a few runs, and needs no turns with others."""
        for runner in self._racing():
            self._round += 1
            runner.round(self._round, max(_SHORTEST, 2 * runner.pace))
            runner.finish()

    def _enter(self, runner: Runner, until: float) -> None:
        if self._left(until) <= 0 and self._racing():
            runner.late = True
            runner.leave("the budget ended before its turn")
            return
        if self._lacks_room():
            runner.leave("there was no room for it beside the others")
            return
        self._progress(Event("race", f"opening {runner.candidate}"))
        runner.open()

    def _turn(self, racing: Sequence[Runner], until: float) -> None:
        """One round; every other one in the opposite order, so that what one leaves behind meets every other alike."""
        self._round += 1
        share = max(0.0, self._left(until)) / (len(racing) * ROUNDS)
        for runner in racing if self._round % 2 else reversed(racing):
            least = runner.pace * max(3, math.ceil(self._goal.fewest / ROUNDS))
            seconds = min(max(least, _SHORTEST, min(share, _LONGEST)), max(least, _LONGEST))
            self._progress(
                Event(
                    "race",
                    f"round {self._round}: {runner.candidate}",
                    int(min(self._budget, monotonic() - self._started)),
                    int(self._budget),
                    "seconds",
                )
            )
            runner.round(self._round, seconds)

    def _drop(self) -> None:
        """Send away who is clearly slower than the best."""
        best = self.best()
        if best is None or self._goal.unit != "s":
            return
        for runner in self._racing():
            if runner is best or len(runner.rounds) < FEW:
                continue
            ratio = runner.against(best, self._goal)
            if ratio is not None and ratio.low is not None and ratio.low > CLEAR:
                runner.finish()

    def _leading(self) -> list[Runner]:
        return sorted(self._racing(), key=lambda one: one.figure(self._goal) or math.inf)

    def _racing(self) -> list[Runner]:
        return [runner for runner in self.runners if runner.alive]

    def _settled(self, racing: Sequence[Runner]) -> bool:
        """Whether more turns would tell nothing: all that are left are as fast as the best to within what anybody notices."""
        best = self.best()
        if best is None:
            return False
        ratios = [runner.against(best, self._goal) for runner in racing if runner is not best]
        return all(
            one is not None
            and one.low is not None
            and one.high is not None
            and one.high - one.low < 2 * CLOSE
            for one in ratios
        )

    def _left(self, until: float) -> float:
        return self._started + until - monotonic()

    def _lacks_room(self) -> bool:
        largest = max((runner.resident or 0 for runner in self._racing()), default=0)
        available = hardware.memory_available()
        return bool(largest) and available is not None and available < SPARE * largest


_SHORTEST, _LONGEST = 0.2, 2.0
"""Seconds of a turn: long enough to settle into, short enough to meet the same machine as the others."""
