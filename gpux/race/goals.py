"""What a race is for: how a candidate is measured for each goal, and which figure decides; opens nothing."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import Any

from gpux.bench.intervals import Ratio, Verdict
from gpux.bench.settings import Measuring
from gpux.errors import InvalidSetting

SAME = 0.01
"""What memory differs by from start to start is no difference: the peaks of twenty starts of all-MiniLM-L6-v2 on the CPU lay
within 0.2 % of each other, and other machines are given five times that."""

_LONGEST = 86_400


@dataclass(frozen=True, slots=True)
class Goal:
    """One thing to be best at; smaller figures are better.

    Attributes:
        name: ``latency``, ``throughput`` or ``memory``.
        many: Whether many items are answered at once.
        warmup: Runs between the first one and those that count.
        unit: What figures are in: ``s`` per item, or ``B``.
    """

    name: str
    many: bool
    warmup: int
    unit: str

    def settings(self, items: int) -> Measuring:
        """How a candidate is measured on so many items a run."""
        return {
            "warmup": self.warmup,
            "duration": float(_LONGEST),
            "batch_size": items if self.many and items > 1 else None,
        }

    def ratio(self, best: float, other: float) -> Ratio:
        """Of two figures that one process gives once: the other over the best one, as unsure as :data:`SAME` says."""
        value = other / best
        low, high = value / (1 + SAME), value * (1 + SAME)
        verdict: Verdict = "slower" if low > 1 else "faster" if high < 1 else "same"
        return Ratio(value, low, high, 0.99, verdict)


GOALS = {
    goal.name: goal
    for goal in (
        Goal("latency", many=False, warmup=3, unit="s"),
        Goal("throughput", many=True, warmup=1, unit="s"),
        Goal("memory", many=False, warmup=2, unit="B"),
    )
}


def find(name: str, budget: Any) -> Goal:
    """The goal of that name.

    Raises:
        InvalidSetting: There is none, or the budget is no number of seconds.
    """
    if name not in GOALS:
        close = difflib.get_close_matches(str(name), GOALS, n=1)
        hint = f"did you mean `{close[0]}`" if close else f"goals are {', '.join(GOALS)}"
        raise InvalidSetting(f"there is no goal `{name}`", hint=hint, setting="goal")
    number = isinstance(budget, int | float) and not isinstance(budget, bool)
    if not number or not math.isfinite(budget) or not 0 < budget <= _LONGEST:
        raise InvalidSetting(
            f"a budget cannot be `{budget}`", hint=f"give seconds from 1 to {_LONGEST}", setting="budget"
        )
    return GOALS[name]
