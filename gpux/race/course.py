"""Has candidates take turns until the best is known or the time is up; opens no model itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from gpux import hardware
from gpux.events import Event, Progress
from gpux.race import entrants
from gpux.race.runner import Bench, Runner
from gpux.race.standing import standing

if TYPE_CHECKING:
    from gpux.planning import Candidate
    from gpux.race.field import Field
    from gpux.race.goals import Goal

ROUNDS = 16
"""Turns of a candidate that stays to the end of a heat, where the time suffices: what spoils a turn spoils it whole, so that
many short ones tell more than a few long ones."""

MOST_ROUNDS = 40

FEW = 3
"""Turns before anybody is told to leave."""

CLEAR = 1.05
"""Who is slower by more than this in every turn leaves; and who is slower at all by an interval of 99 %, once that rests on turns."""

GROSS = 2.0
"""Who even at its best takes this many times as long leaves after a single turn, where a turn of it is long."""

CLOSE = 0.02
"""An interval that lies within this of 1 is close enough: more turns would tell nothing that anybody notices."""

SPARE = 1.3
"""Free memory that the next candidate needs, in units of what the largest one so far takes."""

LONG = 30.0
"""Seconds of a budget from which on settings that rarely matter are tried on the best."""

OPENING = 30.0
"""Seconds after which a candidate that does not open is given up; half the budget where that is longer."""

_DOORS = 0.6
"""Share of a heat's time after which nobody new is let in: those who are in need the rest for their turns."""

_SHORTEST, _LONGEST = 0.2, 2.0
"""Seconds of a turn: long enough to settle into, short enough to meet the same machine as the others."""

_RUNS = 3
"""Runs of a turn at least, so that three turns give an interval."""


class Course:
    """One race.

    Args:
        field: Who runs.
        goal: What for.
        budget: Seconds.
        bench: Makes the place where a candidate runs.
        progress: Receives events of stage ``race``.
        clock: Seconds.

    Attributes:
        runners: Everybody who ran, or should have.
    """

    def __init__(
        self,
        field: Field,
        goal: Goal,
        *,
        budget: float,
        bench: Callable[[Candidate], Bench],
        progress: Progress,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.runners: list[Runner] = []
        self._field = field
        self._goal = goal
        self._budget = budget
        self._bench = bench
        self._progress = progress
        self._clock = clock
        self._started = clock()
        self._proving = 0.0
        self._round = 0

    def run(self, *, short: bool) -> None:
        """Everybody against everybody, then the best with other settings, threads and batches.

        No turn begins after the budget. What a candidate that hangs takes until it is given up comes on top: at most
        :data:`OPENING` or half the budget where it does not open, twice its turn and ``GRACE`` where it does.

        Args:
            short: Leave the second part out.
        """
        self._started = self._clock()
        many = self._goal.many
        try:
            self._heat(self._field.entrants, until=1.0 if short else 0.45 if many else 0.6)
            if not short and self._goal.unit == "s":
                self._refine(until=0.65 if many else 1.0)
            if not short and many:
                self._batches()
            # Where there was nothing else to try, the time belongs to those that are not told apart yet.
            self._turns(until=1.0)
        finally:
            for runner in self.runners:
                runner.close()

    def best(self) -> Runner | None:
        """Who is ahead."""
        return next(iter(self.ranked()), None)

    def ranked(self) -> list[Runner]:
        """Everybody with a figure, best first."""
        ran = [runner for runner in self.runners if runner.measured]
        if self._goal.unit == "B":
            return sorted(ran, key=lambda one: one.peak or 0.0)
        paces = standing({runner: runner.turns for runner in ran})
        return sorted(ran, key=paces.__getitem__)

    def _refine(self, *, until: float) -> None:
        """The two that lead, with fewer threads and with settings that matter to few models."""
        leading = [runner.candidate for runner in self.ranked() if runner.alive][:2]
        if not leading:
            return
        others = [] if self._budget < LONG else self._proven(leading[0])
        fewer = [one for candidate in leading for one in entrants.threads(candidate, self._field.cores)]
        self._heat([*fewer, *others], until=until)

    def _proven(self, candidate: Candidate) -> list[Candidate]:
        """The candidate's refinements that are proven well enough; the time that takes is none of the budget's."""
        before = self._clock()
        found = self._field.refined(candidate)
        self._proving += self._clock() - before
        return found

    def _batches(self) -> None:
        """The best with the next smaller and larger batches, as long as one of them leads."""
        tried = {self._field.usual}
        while (best := self.best()) and best.alive and self._left(1.0) > 0:
            sizes = entrants.batches(best.candidate, self._field.usual, tried)
            if not sizes:
                return
            tried.update(size.batch for size in sizes if size.batch)
            # Half of what is left, so that the sizes behind these have their turn too.
            self._heat(sizes, until=1 - self._left(1.0) / self._budget / 2)
            if self.best() is best:
                return

    def _heat(self, candidates: Iterable[Candidate], *, until: float) -> None:
        """Newcomers against whoever is still in the race, up to a share of the budget."""
        known = [runner.candidate for runner in self.runners]
        fresh = [candidate for candidate in candidates if candidate not in known]
        if not fresh:
            return
        doors = self._left(until) * (1 - _DOORS)
        for candidate in fresh:
            runner = Runner(candidate, self._bench(candidate), self._goal, clock=self._clock)
            self.runners.append(runner)
            self._enter(runner, in_time=self._left(until) > doors)
            if self._goal.unit == "B":
                self._weigh(runner)
        self._turns(until=until)

    def _turns(self, *, until: float) -> None:
        """Rounds of whoever is in the race, up to a share of the budget or until more would tell nothing."""
        begun = self._round
        while racing := self._racing():
            ran = self._round - begun
            if self._left(1.0) <= 0:
                return
            if all(len(runner.turns) >= FEW for runner in racing) and (
                self._left(until) <= 0 or ran >= MOST_ROUNDS or len(racing) == 1 or self._settled(racing)
            ):
                return
            self._turn(racing, until=until, left=ROUNDS - ran)
            self._drop()

    def _weigh(self, runner: Runner) -> None:
        """What a candidate takes shows in a few runs, and needs no turns with others."""
        if runner.alive:
            self._round += 1
            runner.round(self._round, _SHORTEST)
        if runner.alive:
            runner.weigh()
            runner.close()

    def _enter(self, runner: Runner, *, in_time: bool) -> None:
        # The first two enter as long as there is any time: with fewer there is no race.
        beside = sum(one.alive for one in self.runners)
        needed = beside < 2 and runner.candidate in self._field.entrants and self._left(1.0) > 0
        if not in_time and not needed and any(one.rounds or one.alive for one in self.runners):
            runner.skip("the budget ended before its turn")
            return
        if self._lacks_room():
            runner.skip("there was no room in memory for it beside the others")
            return
        self._tell(f"opening {runner.candidate}")
        runner.open(within=max(OPENING, self._budget / 2))

    def _turn(self, racing: Sequence[Runner], *, until: float, left: int) -> None:
        """One round; every other one in the opposite order, so that what one leaves behind meets every other alike."""
        self._round += 1
        share = max(0.0, self._left(until)) / (len(racing) * max(left, FEW))
        for runner in racing if self._round % 2 else reversed(racing):
            if self._left(1.0) <= 0:
                return
            least = max(_SHORTEST, _RUNS * runner.pace)
            self._tell(f"round {self._round}, {len(racing)} in the race", timed=True)
            runner.round(self._round, max(least, min(share, _LONGEST)))

    def _drop(self) -> None:
        """Send away who is clearly slower than the best."""
        best = self.best()
        for runner in self._racing():
            if best is not None and runner is not best and self._clearly(runner, best):
                runner.retire()

    def _clearly(self, runner: Runner, best: Runner) -> bool:
        mine, others = runner.turns, best.turns
        common = mine.keys() & others.keys()
        long = _RUNS * runner.pace > _LONGEST
        if common and long and min(runner.paces()) > GROSS * max(others.values()):
            return True
        if len(common) < FEW:
            return False
        if all(mine[number] > CLEAR * others[number] for number in common):
            return True
        ratio = runner.against(best)
        return len(common) > FEW + 1 and ratio is not None and ratio.low is not None and ratio.low > 1 + CLOSE

    def _settled(self, racing: Sequence[Runner]) -> bool:
        """Whether more turns would tell nothing: all that are left are as fast as the best to within what anybody notices."""
        best = self.best()
        if best is None:
            return False
        ratios = [runner.against(best) for runner in racing if runner is not best]
        return all(
            one is not None
            and one.low is not None
            and one.high is not None
            and one.high - one.low < 2 * CLOSE
            for one in ratios
        )

    def _racing(self) -> list[Runner]:
        return [runner for runner in self.runners if runner.alive]

    def _left(self, share: float) -> float:
        """Seconds until a share of the budget is used up; what hung or was proven does not count."""
        extra = self._proving + sum(runner.wasted for runner in self.runners)
        return self._started + share * self._budget + extra - self._clock()

    def _lacks_room(self) -> bool:
        taken = [one.ready.resident or 0 for one in self._racing() if one.ready]
        available = hardware.memory_available()
        return any(taken) and available is not None and available < SPARE * max(taken)

    def _tell(self, message: str, *, timed: bool = False) -> None:
        total = max(1, round(self._budget))
        done = min(total, max(0, int(self._budget - self._left(1.0))))
        self._progress(Event("race", message, *((done, total, "s") if timed else ())))
