"""What a race is for: how a candidate is measured for each goal, and which figure decides; opens nothing."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpux.bench import comparison
from gpux.bench.settings import Measuring
from gpux.errors import InvalidSetting

if TYPE_CHECKING:
    from gpux.bench.intervals import Ratio
    from gpux.bench.report import Report


@dataclass(frozen=True, slots=True)
class Goal:
    """One thing to be best at; smaller figures are better.

    Attributes:
        name: ``latency``, ``throughput`` or ``memory``.
        many: Whether many items are answered at once.
        warmup: Runs before those that count.
        fewest: Runs of a candidate without which nothing is said of it.
        figure: A report's figure: seconds per item, or bytes; ``None`` where it has none.
        unit: What the figure is in: ``s`` or ``B``.
    """

    name: str
    many: bool
    warmup: int
    fewest: int
    figure: Callable[[Report], float | None]
    unit: str

    def settings(self, items: int) -> Measuring:
        """How a candidate is measured on so many items."""
        return {
            "warmup": self.warmup,
            "duration": 3600.0,
            "batch_size": items if self.many and items > 1 else None,
        }

    def ratio(self, best: Report, other: Report) -> Ratio | None:
        """The other's figure over the best one's, with its interval where runs can give one."""
        if self.unit == "s":
            return comparison.ratio(best, other)
        one, two = self.figure(best), self.figure(other)
        if not one or not two:
            return None
        return _of_single_figures(two / one)


def _of_single_figures(value: float) -> Ratio:
    """A ratio of two figures that one process gives once: what memory differs by from start to start is no difference."""
    from gpux.bench.intervals import Ratio

    low, high = value / (1 + _STARTS), value * (1 + _STARTS)
    verdict = "slower" if low > 1 else "faster" if high < 1 else "same"
    return Ratio(value, low, high, 0.99, verdict)  # type: ignore[arg-type]


_STARTS = 0.03
"""Peaks of two starts of the same program lie within this of each other, as seen over twenty starts of MiniLM."""


def _seconds(report: Report) -> float | None:
    found = comparison.per_item(report)
    return None if found is None else found.value


def _peak(report: Report) -> float | None:
    return None if report.memory.peak is None else float(report.memory.peak)


GOALS = {
    goal.name: goal
    for goal in (
        Goal("latency", many=False, warmup=10, fewest=16, figure=_seconds, unit="s"),
        Goal("throughput", many=True, warmup=1, fewest=4, figure=_seconds, unit="s"),
        Goal("memory", many=False, warmup=2, fewest=2, figure=_peak, unit="B"),
    )
}


def find(name: str, budget: Any) -> Goal:
    """The goal of that name.

    Raises:
        InvalidSetting: There is none, or the budget is no number of seconds.
    """
    if name not in GOALS:
        close = difflib.get_close_matches(name, GOALS, n=1)
        hint = f"did you mean `{close[0]}`" if close else f"goals are {', '.join(GOALS)}"
        raise InvalidSetting(f"there is no goal `{name}`", hint=hint, setting="goal")
    number = isinstance(budget, int | float) and not isinstance(budget, bool)
    if not number or not math.isfinite(budget) or not 0 < budget <= _LONGEST:
        raise InvalidSetting(
            f"a budget cannot be `{budget}`", hint=f"give seconds from 1 to {_LONGEST}", setting="budget"
        )
    return GOALS[name]


_LONGEST = 86_400
