"""What a race found: every candidate with its figure or why it has none, the winner, and how sure that is. Pure."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gpux import hardware
from gpux.bench import comparison
from gpux.bench.identity import versions
from gpux.errors import GpuxError, InvalidSetting, NoCandidate, StoreUnwritable
from gpux.planning import Candidate, Measured, Rejected
from gpux.race import entrants

if TYPE_CHECKING:
    from gpux.bench.intervals import Ratio
    from gpux.race.course import Course
    from gpux.race.field import Field
    from gpux.race.goals import Goal
    from gpux.race.runner import Runner

CLOSE = 1.05
"""A simpler candidate wins in place of the fastest where no difference shows and its figure is not above this much of it."""


@dataclass(frozen=True, slots=True)
class Versus:
    """A candidate's figure over the winner's, above 1 where it is worse; with a 99 % interval where its runs give one."""

    value: float
    low: float | None
    high: float | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One candidate.

    Attributes:
        candidate: How it ran.
        label: The same in words.
        figure: Seconds per item, or bytes, by the goal; ``None`` where it has none.
        versus: Against the winner, or against :attr:`against` where it took no turns with the winner; ``None`` for the winner
            and where it has no figure.
        against: The label of what it is held against.
        runs: Runs that count.
        rounds: Turns that it took.
        quality: The class of its proof.
        min_cosine: The smallest cosine of its proof.
        precision: What it really computed in; ``None`` where it was never told.
        share: Share of the graph on its provider, from 0 to 1.
        reason: What became of it, in words.
        samples: Seconds per item of every run, round by round.
    """

    candidate: Candidate
    label: str
    figure: float | None
    versus: Versus | None
    against: str
    runs: int
    rounds: int
    quality: str
    min_cosine: float
    precision: str | None
    share: float | None
    reason: str
    samples: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Race:
    """A race.

    Attributes:
        reference: The model.
        digest: Its artifact.
        task: What it answered.
        goal: ``latency``, ``throughput`` or ``memory``.
        unit: What figures are in: ``s`` per item, or ``B``.
        noun: What the items are, in the plural.
        items: Items of a run.
        quality: The worst proof that took part.
        budget: Seconds that it was given.
        seconds: Seconds that it took, proofs included.
        winner: The winner's label.
        certain: Whether the winner is the fastest, or was not told from it, by intervals of 99 %.
        reason: Why it won.
        entries: Every candidate that ran or should have, best first.
        refused: Candidates that did not take part, and why.
        machine: The machine.
        versions: Software → version.
        ended: ISO 8601, UTC.
    """

    reference: str
    digest: str
    task: str
    goal: str
    unit: str
    noun: str
    items: int
    quality: str
    budget: float
    seconds: float
    winner: str
    certain: bool
    reason: str
    entries: tuple[Entry, ...]
    refused: tuple[Rejected, ...]
    machine: hardware.Machine
    versions: dict[str, str]
    ended: str

    @property
    def candidate(self) -> Candidate:
        """How the winner runs."""
        return next(entry.candidate for entry in self.entries if entry.label == self.winner)

    def measured(self) -> Measured:
        """What a plan is told of it."""
        others = [
            Rejected(e.candidate.provider, e.candidate.variant, e.reason, settings=_settings(e.candidate))
            for e in self.entries
            if e.label != self.winner
        ]
        return Measured(self.candidate, self.reason, (*others, *(one for one in self.refused if one.variant)))

    def to_json(self) -> str:
        """The record with every sample."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    def save(self, path: Path) -> None:
        """Write :meth:`to_json`.

        Raises:
            StoreUnwritable: The file cannot be written.
        """
        try:
            path.write_text(self.to_json(), encoding="utf-8")
        except OSError as error:
            raise StoreUnwritable(
                f"`{path}` cannot be written: {error.strerror or error}",
                hint="name another --output",
                path=path,
            ) from error


def settle(course: Course, field: Field, *, goal: Goal, quality: str, budget: float, seconds: float) -> Race:
    """The record of a race that is over.

    Raises:
        InvalidSetting: The budget ended before a single candidate was measured.
        GpuxError: Every candidate failed; the first one's error in words.
    """
    late = any(one.late for one in course.runners)
    fastest = course.best()
    if fastest is None or (late and sum(one.figure(goal) is not None for one in course.runners) < 2):
        raise _nobody(course, budget)
    judge = _Judge(course, field, goal, fastest)
    winner = judge.winner
    ran = sorted(course.runners, key=lambda one: (one.figure(goal) is None, one.figure(goal) or 0.0))
    ran.remove(winner)
    entries = [judge.entry(one) for one in (winner, *ran)]
    certain = not late and all(judge.certain(one) for one in ran)
    return _race(
        field, goal, tuple(entries), quality=quality, budget=budget, seconds=seconds, certain=certain
    )


def alone(field: Field, *, goal: Goal, quality: str, budget: float, seconds: float) -> Race:
    """The record where one candidate has nobody to race."""
    candidate = field.entrants[0]
    certificate = field.certificate(candidate)
    reason = "the only candidate that is proven well enough here"
    entry = Entry(
        candidate=candidate,
        label=str(candidate),
        figure=None,
        versus=None,
        against="",
        runs=0,
        rounds=0,
        quality=certificate.quality,
        min_cosine=certificate.min_cosine,
        precision=None,
        share=None,
        reason=reason,
        samples=(),
    )
    return _race(field, goal, (entry,), quality=quality, budget=budget, seconds=seconds, certain=True)


def _race(
    field: Field,
    goal: Goal,
    entries: tuple[Entry, ...],
    *,
    quality: str,
    budget: float,
    seconds: float,
    certain: bool,
) -> Race:
    """The record of these entries, the winner first."""
    when = datetime.now(UTC)
    return Race(
        reference=field.artifact.reference,
        digest=field.artifact.digest,
        task=field.task,
        goal=goal.name,
        unit=goal.unit,
        noun=field.noun,
        items=len(field.items) if goal.many else 1,
        quality=quality,
        budget=budget,
        seconds=round(seconds, 2),
        winner=entries[0].label,
        certain=certain,
        reason=f"{entries[0].reason}, on {when:%Y-%m-%d}",
        entries=entries,
        refused=field.refused,
        machine=hardware.describe(),
        versions=versions({name: v for one in field.versions.values() for name, v in one.items()}),
        ended=when.isoformat(timespec="seconds"),
    )


def figure(value: float, unit: str, noun: str) -> str:
    """A figure for people."""
    if unit == "B":
        return f"{value / (1 << 20):.0f} MiB"
    return (
        f"{value * 1e3:.3g} ms per {noun.removesuffix('s')}"
        if value < 1
        else f"{value:.3g} s per {noun.removesuffix('s')}"
    )


class _Judge:
    """Who won, and how every other one compares."""

    def __init__(self, course: Course, field: Field, goal: Goal, fastest: Runner) -> None:
        self._runners = course.runners
        self._field = field
        self._goal = goal
        self._fastest = fastest
        self._equals = [fastest, *(one for one in course.runners if self._alike(one))]
        order = list(field.providers)
        self.winner = min(self._equals, key=lambda one: entrants.simplicity(one.candidate, order))

    def certain(self, one: Runner) -> bool:
        """Whether a candidate is without a figure, equal to the winner, or worse than another beyond doubt."""
        if one.figure(self._goal) is None or one in self._equals:
            return True
        ratio = one.against(self._rival(one), self._goal)
        return ratio is not None and ratio.low is not None and ratio.low > 1

    def entry(self, one: Runner) -> Entry:
        """What became of a candidate."""
        rival, value = self._rival(one), one.figure(self._goal)
        ratio = None if one is self.winner or value is None else one.against(rival, self._goal)
        certificate = self._field.certificate(one.candidate)
        who = one.report.identity if one.report else None
        return Entry(
            candidate=one.candidate,
            label=str(one.candidate),
            figure=value,
            versus=Versus(ratio.value, ratio.low, ratio.high, ratio.verdict) if ratio else None,
            against="" if one is self.winner else str(rival.candidate),
            runs=len(one.paces()),
            rounds=len(one.rounds),
            quality=certificate.quality,
            min_cosine=certificate.min_cosine,
            precision=who.precision if who else None,
            share=who.share if who else None,
            reason=self._reason(one, ratio, rival),
            samples=tuple(tuple(one.rounds[number]) for number in sorted(one.rounds)),
        )

    def _alike(self, one: Runner) -> bool:
        """Whether no difference from the fastest shows, and the figure is close to it too."""
        if one is self._fastest or one.figure(self._goal) is None:
            return False
        ratio = one.against(self._fastest, self._goal)
        return ratio is not None and ratio.low is not None and ratio.low <= 1 and ratio.value <= CLOSE

    def _rival(self, one: Runner) -> Runner:
        """What a candidate is held against: the winner, or the best of those that it took turns with."""
        goal = self._goal
        if one.against(self.winner, goal) is not None:
            return self.winner
        met = [other for other in self._runners if other is not one and one.against(other, goal) is not None]
        return min(met, key=lambda other: other.figure(goal) or math.inf, default=self.winner)

    def _reason(self, one: Runner, ratio: Ratio | None, rival: Runner) -> str:
        value = one.figure(self._goal)
        if value is None:
            return one.reason or "it was not measured before the budget ended"
        told = figure(value, self._goal.unit, self._field.noun)
        if one is self.winner:
            simplest = one is not self._fastest
            equal = ", as the simplest of those that were not told apart" if simplest else ""
            return f"won a race for {self._goal.name}: {told}{equal}"
        said = comparison.sentence(ratio)
        if self._goal.unit == "B":
            said = said.replace("slower", "as much").replace("faster", "as little")
        return f"{told}: {said}" + (f", than {rival.candidate}" if ratio and rival is not self.winner else "")


def _settings(candidate: Candidate) -> str:
    words = [f"{name}={value}" for name, value in sorted(candidate.options.items())]
    words.append(f"{candidate.threads} thread" + "s" * (candidate.threads != 1))
    return " ".join([*words, *([f"batch {candidate.batch}"] if candidate.batch else [])])


def _nobody(course: Course, budget: float) -> GpuxError:
    failed = [one for one in course.runners if one.reason and not one.late]
    if failed and len(failed) == len(course.runners):
        return NoCandidate(
            f"no candidate could be measured; {failed[0].candidate}: {failed[0].reason}",
            hint=failed[0].hint or "gpux doctor",
            rejected=[f"{one.candidate}: {one.reason}" for one in failed],
        )
    ran = sum(bool(one.rounds) for one in course.runners)
    return InvalidSetting(
        f"a budget of {budget:g} s let {ran} of {len(course.runners)} candidates run",
        hint=f"give --budget {max(10, round(budget * 4))}s or more",
        setting="budget",
    )
