"""Races without processes: benches whose runs take times drawn from a seed, on a clock that only they move."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from gpux.artifact import Certificate, OutputParity
from gpux.campaign.member import Ready, Round
from gpux.errors import GpuxError, WorkerFailed
from gpux.events import silent
from gpux.planning import Candidate
from gpux.race import entrants, goals, judge
from gpux.race.course import Course
from gpux.race.items import Items
from gpux.race.record import Race

PROOF = Certificate("exact", "onnx fp32", "cpu", "x 1", ("1×5",), (OutputParity("y", 0.0, 0.0, 1.0, 1.0),))


class Clock:
    """Seconds that pass only when somebody spends them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Noise:
    """What a shared machine does to times; the defaults are those of a loaded one.

    Attributes:
        run: Standard deviation of the logarithm from run to run.
        turn: The same from turn to turn.
        spoilt: Share of turns in which a neighbour slows everything by 1.2 to 2 times.
        spike: Share of runs that take 1.5 to 5 times as long.
        drift: How far the machine's speed wanders to either side in five minutes.
    """

    run: float = 0.03
    turn: float = 0.03
    spoilt: float = 0.08
    spike: float = 0.02
    drift: float = 0.1


QUIET = Noise(0.002, 0.0005, 0.0, 0.0, 0.0)


@dataclass
class Machine:
    """A simulated machine.

    Attributes:
        seed: Of everything that is drawn.
        noise: What it does to times.
        errors: Label of a candidate → number of its turn (0 to open) → the error that it raises there.
        hangs: Label → the number of the turn (0 to open) in which it hangs until it is given up.
        opening: Seconds of an opening.
        peaks: Label → bytes of its process.
        resident: Bytes that every process takes.
        opened, closed: Labels in that order.
        turns: Label and seconds that were asked for, turn by turn.
    """

    seed: int = 0
    noise: Noise = field(default_factory=Noise)
    errors: Mapping[str, Mapping[int, GpuxError]] = field(default_factory=dict)
    hangs: Mapping[str, int] = field(default_factory=dict)
    opening: float = 1.0
    peaks: Mapping[str, float] = field(default_factory=dict)
    resident: int = 0
    closed: set[str] = field(default_factory=set)
    opened: list[str] = field(default_factory=list)
    turns: list[tuple[str, float]] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.phase = self.random.uniform(0, 2 * math.pi)

    def drifting(self) -> float:
        return 1 + self.noise.drift * math.sin(self.phase + 2 * math.pi * self.clock.now / 300)


class SimulatedBench:
    """One candidate on the simulated machine."""

    def __init__(self, machine: Machine, label: str, pace: float, items: int) -> None:
        self._machine, self._label, self._pace, self._items = machine, label, pace, items
        self._turn = 0
        self._limit = math.inf
        self._paces: list[float] = []

    def limit(self, seconds: float) -> None:
        self._limit = seconds

    def open(self, progress: Any) -> Ready:
        self._machine.opened.append(self._label)
        self._go_wrong(0)
        self._machine.clock.now += self._machine.opening
        return Ready(self._machine.resident, self._pace * self._items, "fp32", 1.0)

    def round(self, *, runs: int | None, seconds: float | None, more: bool, progress: Any) -> Round:
        assert seconds is not None
        assert runs is not None
        self._turn += 1
        self._machine.turns.append((self._label, seconds))
        self._go_wrong(self._turn)
        machine, noise = self._machine, self._machine.noise
        turn = self._pace * machine.random.lognormvariate(0, noise.turn) * machine.drifting()
        if machine.random.random() < noise.spoilt:
            turn *= machine.random.uniform(1.2, 2)
        found: list[float] = []
        begun = machine.clock.now
        while machine.clock.now - begun < seconds and len(found) < runs:
            one = turn * machine.random.lognormvariate(0, noise.run)
            if machine.random.random() < noise.spike:
                one *= machine.random.uniform(1.5, 5)
            found.append(one)
            machine.clock.now += one * self._items
        return Round(len(found), False, tuple(found))

    def report(self, *, interrupted: bool, progress: Any) -> Any:
        return SimpleNamespace(memory=SimpleNamespace(peak=self._machine.peaks.get(self._label)))

    def answers(self, progress: Any) -> Any:
        raise AssertionError("a race compares no answers")

    def hurry(self, progress: Any) -> None:
        raise AssertionError("a race ends the process")

    def close(self) -> None:
        self._machine.closed.add(self._label)

    def _go_wrong(self, turn: int) -> None:
        if self._machine.hangs.get(self._label) == turn:
            self._machine.clock.now += self._limit
            raise WorkerFailed(f"the worker process failed: it was stopped after {self._limit:g} seconds")
        error = self._machine.errors.get(self._label, {}).get(turn)
        if error is not None:
            raise error


class Ground:
    """What a course and a judge ask of a field, over candidates that nobody had to prove.

    Args:
        candidates: The first ones, simplest first.
        cores: Of the machine.
        refinements: What :meth:`refined` gives.
    """

    def __init__(
        self, candidates: Sequence[Candidate], *, cores: int = 1, refinements: Sequence[Candidate] = ()
    ) -> None:
        self.entrants = tuple(candidates)
        self.cores = cores
        self.usual = 16
        self.items = Items(("a", "b", "c", "d"), "sentences", 16)
        self.artifact = SimpleNamespace(reference="org/model", digest="0" * 64)
        self.task, self.quality, self.refused = "feature-extraction", "near", ()
        self.versions: dict[str, dict[str, str]] = {}
        self._refinements = list(refinements)
        self._order = list(dict.fromkeys(one.provider for one in candidates))
        self._variants = list(dict.fromkeys(one.variant for one in candidates))

    def refined(self, candidate: Candidate) -> list[Candidate]:
        return self._refinements

    def simplicity(self, candidate: Candidate) -> tuple[int, ...]:
        return entrants.simplicity(candidate, self._order, self._variants)

    def certificate(self, candidate: Candidate) -> Certificate:
        return PROOF


def named(*names: str) -> list[Candidate]:
    """A candidate per name, one thread each."""
    return [Candidate(name, "fp32", 1) for name in names]


def race(
    ground: Ground,
    paces: Any,
    machine: Machine,
    *,
    goal: str = "latency",
    budget: float = 60.0,
    short: bool = False,
    progress: Any = silent,
) -> tuple[Course, Race]:
    """Run and settle a race.

    Args:
        ground: Who runs.
        paces: Candidate → seconds per item: a mapping by label, or a function.
        machine: Where.
        goal: What for.
        budget: Seconds.
        short: Leave the second part out.
        progress: Receives the events.
    """
    course = run(ground, paces, machine, goal=goal, budget=budget, short=short, progress=progress)
    record = judge.settle(course, ground, goal=goals.find(goal, budget), budget=budget, seconds=budget)  # type: ignore[arg-type]
    return course, record


def run(
    ground: Ground,
    paces: Any,
    machine: Machine,
    *,
    goal: str = "latency",
    budget: float = 60.0,
    short: bool = False,
    progress: Any = silent,
) -> Course:
    """The race alone; arguments as for :func:`race`."""
    wanted = goals.find(goal, budget)

    def bench(candidate: Candidate) -> SimulatedBench:
        label = str(candidate)
        pace = paces(candidate) if callable(paces) else paces[label]
        items = len(ground.items.of_a_run(wanted, candidate.batch)) if wanted.many else 1
        return SimulatedBench(machine, label, pace, items)

    course = Course(
        ground,
        wanted,
        budget=budget,
        bench=bench,
        progress=progress,
        clock=machine.clock,  # type: ignore[arg-type]
    )
    course.run(short=short)
    return course
