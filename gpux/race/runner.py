"""One candidate in a race: its process, the turns it took, and how it compares with another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpux.bench import intervals
from gpux.bench.records import encode
from gpux.bench.settings import settle
from gpux.campaign.remote import Place, Remote
from gpux.errors import GpuxError
from gpux.events import silent
from gpux.worker.parent import limits

if TYPE_CHECKING:
    from gpux.bench.intervals import Ratio
    from gpux.bench.report import Report
    from gpux.planning import Candidate
    from gpux.race.field import Field
    from gpux.race.goals import Goal

_OPENING = 60.0
"""Seconds beside the budget that a candidate gets for one step, such as to build an engine."""


class Runner:
    """One candidate.

    Args:
        candidate: What runs.
        field: The race's field.
        goal: What for.
        patience: Seconds of the race.

    Attributes:
        alive: Whether it takes more turns.
        pace: Seconds of a run, as its warm-up had it.
        resident: Bytes that its process takes.
        rounds: Number of the race's round → seconds per item of its runs in it.
        report: Its report, once it is through.
        reason: Why it has no figure.
        late: Whether that is because the budget ended before its turn.
    """

    def __init__(self, candidate: Candidate, field: Field, goal: Goal, *, patience: float) -> None:
        self.candidate = candidate
        self.alive = False
        self.pace = 0.0
        self.resident: int | None = None
        self.rounds: dict[int, list[float]] = {}
        self.report: Report | None = None
        self.reason: str | None = None
        self.hint: str | None = None
        self.late = False
        self._goal = goal
        bounds = limits()
        longest = patience + _OPENING
        self._remote = Remote(
            _job(candidate, field, goal),
            Place(),
            bounds=replace(bounds, timeout=longest, stall=min(bounds.stall, longest)),
        )

    def open(self) -> None:
        """Start its process, load the model and warm it up."""
        with _Kept(self):
            ready = self._remote.open(silent)
            self.alive, self.pace, self.resident = True, ready.pace, ready.resident

    def round(self, number: int, seconds: float) -> None:
        """One turn."""
        with _Kept(self):
            found = self._remote.round(runs=None, seconds=seconds, more=False, progress=silent)
            self.rounds[number] = list(found.paces)
            if found.broken:
                self.leave("its runs failed one after the other")

    def finish(self) -> None:
        """Fetch the report and end the process."""
        if self.alive:
            with _Kept(self):
                self.report = self._remote.report(interrupted=False, progress=silent)
        self.alive = False
        self._remote.close()

    def leave(self, reason: str, hint: str | None = None) -> None:
        """Out of the race without a figure."""
        self.reason, self.hint, self.alive = reason, hint, False
        self._remote.close()

    def paces(self) -> list[float]:
        """Seconds per item of all its runs, in the order of the rounds."""
        return [pace for number in sorted(self.rounds) for pace in self.rounds[number]]

    def figure(self, goal: Goal) -> float | None:
        """What decides: the median of its seconds per item, or its report's figure where that is none of time."""
        if self.reason is not None:
            return None
        if goal.unit == "s":
            return _median(self.paces()) if len(self.paces()) >= 2 else None
        return goal.figure(self.report) if self.report else None

    def against(self, best: Runner, goal: Goal) -> Ratio | None:
        """This one's figure over another's, by the rounds that both ran, with an interval of 99 %."""
        if goal.unit != "s":
            return goal.ratio(best.report, self.report) if best.report and self.report else None
        common = [number for number in sorted(self.rounds) if best.rounds.get(number) and self.rounds[number]]
        mine, others = ([one.rounds[number] for number in common] for one in (self, best))
        ratio = intervals.ratio(_flat(others), _flat(mine))
        return None if ratio is None else intervals.by_turns(ratio, others, mine)


class _Kept:
    """What goes wrong with a candidate is its own affair: it leaves the race, and the others go on."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if not isinstance(error, GpuxError):
            return False
        self._runner.leave(error.message, error.hint)
        return True


def _job(candidate: Candidate, field: Field, goal: Goal) -> dict[str, Any]:
    items = field.items
    settings = replace(settle(**goal.settings(len(items))), isolation="process")
    return {
        "artifact": str(field.artifact.directory),
        "task": field.task,
        "strict": False,
        "quality": "any",
        "preparation": {},
        "inputs": items,
        "typed": False,
        "mode": "onnx",
        "provider": candidate.provider,
        "variant": candidate.variant,
        "threads": candidate.threads,
        "options": dict(candidate.options),
        "batch": candidate.batch,
        "settings": encode(settings),
    }


def _flat(rounds: list[list[float]]) -> list[float]:
    return [pace for paces in rounds for pace in paces]


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
