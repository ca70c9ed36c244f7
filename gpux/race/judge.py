"""Who won a race that is over, how every other one compares, and how sure that is; measures nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gpux import hardware
from gpux.bench.identity import versions
from gpux.errors import GpuxError, InvalidSetting, NoCandidate
from gpux.race import words
from gpux.race.record import Entry, Race, Versus

if TYPE_CHECKING:
    from gpux.bench.intervals import Ratio
    from gpux.race.course import Course
    from gpux.race.field import Field
    from gpux.race.goals import Goal
    from gpux.race.runner import Runner

CLOSE = 1.03
"""A simpler candidate wins in place of the fastest where no difference shows and its figure is not above this much of it."""

NOTICED = 1.05
"""Who may be better than the winner by more than this leaves the race uncertain."""


def settle(course: Course, field: Field, *, goal: Goal, budget: float, seconds: float) -> Race:
    """The record of a race that is over.

    Raises:
        InvalidSetting: The budget ended before two of the first candidates were measured, or the only one was.
        NoCandidate: Every candidate failed; the first one's error in words.
    """
    ranked = course.ranked()
    first = [one for one in course.runners if one.candidate in field.entrants]
    measured = sum(one in ranked for one in first)
    late = any(one.skipped or (one.reason is None and one not in ranked) for one in first)
    if not measured or (late and measured < 2):
        raise _nobody(first, measured, budget)
    verdict = _Judge(course.runners, ranked, field, goal)
    others = [one for one in (*ranked, *course.runners) if one is not verdict.winner]
    entries = [verdict.entry(one) for one in (verdict.winner, *dict.fromkeys(others))]
    return _record(
        entries, field, goal=goal, budget=budget, seconds=seconds, certain=not late and verdict.certain()
    )


def alone(field: Field, *, goal: Goal, budget: float, seconds: float) -> Race:
    """The record of a race with a single candidate, which need not run."""
    candidate = field.entrants[0]
    certificate = field.certificate(candidate)
    entry = Entry(
        candidate=candidate,
        label=str(candidate),
        figure=None,
        versus=None,
        against="",
        runs=0,
        rounds=0,
        left=False,
        quality=certificate.quality,
        min_cosine=certificate.min_cosine,
        precision=None,
        share=None,
        reason="the only candidate that is proven well enough; nothing was measured",
        samples=(),
    )
    return _record([entry], field, goal=goal, budget=budget, seconds=seconds, certain=True)


def _record(
    entries: list[Entry], field: Field, *, goal: Goal, budget: float, seconds: float, certain: bool
) -> Race:
    when = datetime.now(UTC)
    winner = entries[0]
    return Race(
        reference=field.artifact.reference,
        digest=field.artifact.digest,
        task=field.task,
        goal=goal.name,
        unit=goal.unit,
        noun=field.items.noun,
        items=len(field.items.of_a_run(goal, winner.candidate.batch)) if goal.many else 1,
        quality=field.quality,
        budget=budget,
        seconds=round(seconds, 2),
        winner=winner.label,
        certain=certain,
        reason=f"{winner.reason}, on {when:%Y-%m-%d}",
        entries=tuple(entries),
        refused=field.refused,
        kept=False,
        machine=hardware.describe(),
        versions=versions({name: v for one in field.versions.values() for name, v in one.items()}),
        ended=when.isoformat(timespec="seconds"),
    )


class _Judge:
    """Who won, and how every other one compares."""

    def __init__(self, runners: list[Runner], ranked: list[Runner], field: Field, goal: Goal) -> None:
        self._runners = runners
        self._ranked = ranked
        self._field = field
        self._goal = goal
        self._equals = [ranked[0], *(one for one in ranked[1:] if self._alike(one))]
        self.winner = min(self._equals, key=lambda one: field.simplicity(one.candidate))

    def certain(self) -> bool:
        """Whether nobody is better than the winner by more than anybody notices, and everybody could run that should have."""
        return not any(one.skipped for one in self._runners) and all(
            self._beaten(one) for one in self._ranked if one is not self.winner
        )

    def entry(self, one: Runner) -> Entry:
        """What became of a candidate."""
        value, rival = one.figure(), self._rival(one)
        ratio = one.against(rival) if rival and value is not None else None
        certificate = self._field.certificate(one.candidate)
        return Entry(
            candidate=one.candidate,
            label=str(one.candidate),
            figure=value,
            versus=_versus(ratio),
            against=str(rival.candidate) if rival and ratio else "",
            runs=len(one.paces()),
            rounds=len(one.rounds),
            left=one.left,
            quality=certificate.quality,
            min_cosine=certificate.min_cosine,
            precision=one.ready.precision if one.ready else None,
            share=one.ready.share if one.ready else None,
            reason=self._reason(one, ratio, rival),
            samples=tuple(tuple(one.rounds[number]) for number in sorted(one.rounds)),
        )

    def _alike(self, one: Runner) -> bool:
        """Whether no difference from the best shows, and the figure is close to it too."""
        ratio = one.against(self._ranked[0])
        return ratio is not None and ratio.low is not None and ratio.low <= 1 and ratio.value <= CLOSE

    def _beaten(self, one: Runner) -> bool:
        rival = self._rival(one)
        ratio = one.against(rival) if rival else None
        least = 1 / NOTICED if rival is self.winner else 1.0
        # Turn by turn far behind is beyond doubt too, where three turns give no interval.
        return one.left or (ratio is not None and ratio.low is not None and ratio.low > least)

    def _rival(self, one: Runner) -> Runner | None:
        """What a candidate is held against: the winner, or the best of those that it took turns with."""
        rivals = [self.winner, *self._ranked] if one is not self.winner else []
        return next((other for other in rivals if other is not one and one.against(other)), None)

    def _reason(self, one: Runner, ratio: Ratio | None, rival: Runner | None) -> str:
        value = one.figure()
        if value is None:
            return one.reason or "the budget ended before it had enough turns"
        told = words.figure(value, self._goal.unit, self._field.items.noun)
        if one is self.winner:
            count = len(self._equals)
            equal = f", as the simplest of {count} that could not be told apart" if count > 1 else ""
            return f"won a race for {self._goal.name}: {told}{equal}"
        than = "" if rival is self.winner or rival is None else str(rival.candidate)
        compared = words.comparison(_versus(ratio), self._goal.unit, than, left=one.left)
        return f"{told}: {compared}" + (f"; it left after {_turns(len(one.rounds))}" if one.left else "")


def _versus(ratio: Ratio | None) -> Versus | None:
    return Versus(ratio.value, ratio.low, ratio.high, ratio.verdict) if ratio else None


def _turns(count: int) -> str:
    return f"{count} turn" + "s" * (count != 1)


def _nobody(first: list[Runner], measured: int, budget: float) -> GpuxError:
    failed = [one for one in first if one.reason and not one.skipped]
    if failed and len(failed) == len(first):
        return NoCandidate(
            f"no candidate could be measured; {failed[0].candidate}: {failed[0].reason}",
            hint=failed[0].hint or "gpux doctor",
            rejected=[f"{one.candidate}: {one.reason}" for one in failed],
        )
    return InvalidSetting(
        f"a budget of {budget:g} s let {measured} of {len(first)} candidates run",
        hint=f"give --budget {max(10, round(budget * 4))}s or more",
        setting="budget",
    )
