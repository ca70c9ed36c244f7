"""Who is ahead where not everybody ran in every round: each one's pace, free of what slowed a whole round. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Mapping
from typing import TypeVar

_SWEEPS = 10

Key = TypeVar("Key", bound=Hashable)


def standing(turns: Mapping[Key, Mapping[int, float]]) -> dict[Key, float]:
    """Paces that can be compared although their rounds differ, by Tukey's median polish of the logarithms.

    A pace is taken for the product of a runner's own and a round's ("Exploratory Data Analysis", 1977, chapter 11). Medians
    leave single turns that a machine's neighbours spoilt without weight.

    Args:
        turns: Runner → number of the round → its pace in it, above 0; runners without a round are left out.

    Returns:
        Runner → pace, in the unit of the turns: smaller is faster.
    """
    logs = {
        runner: {number: math.log(pace) for number, pace in rounds.items()}
        for runner, rounds in turns.items()
        if rounds
    }
    numbers = {number for rounds in logs.values() for number in rounds}
    own = {runner: statistics.median(rounds.values()) for runner, rounds in logs.items()}
    shared = dict.fromkeys(numbers, 0.0)
    for _ in range(_SWEEPS):
        for number in numbers:
            shared[number] = statistics.median(
                rounds[number] - own[runner] for runner, rounds in logs.items() if number in rounds
            )
        for runner, rounds in logs.items():
            own[runner] = statistics.median(log - shared[number] for number, log in rounds.items())
    return {runner: math.exp(pace) for runner, pace in own.items()}
