"""From a model to the record of its race: lines candidates up, has them race under the lock, and remembers the winner."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from time import monotonic
from typing import Any

from gpux.artifact import Artifact
from gpux.campaign.remote import Place, Remote
from gpux.events import Event, Progress
from gpux.race import goals, judge
from gpux.race.course import Course
from gpux.race.field import Wish, line_up
from gpux.race.record import Race


def run(
    model: str | PathLike[str] | Artifact,
    inputs: Any,
    wish: Wish,
    *,
    goal: str,
    budget: float,
    short: bool,
    keep: bool,
    progress: Progress,
) -> Race:
    """One race; arguments and errors as for :func:`gpux.tune`."""
    wanted = goals.find(goal, budget)
    started = monotonic()
    field = line_up(model, inputs, wish, goal=wanted, progress=progress)
    if short and len(field.entrants) == 1:
        return judge.alone(field, goal=wanted, budget=budget, seconds=monotonic() - started)
    course = Course(
        field,
        wanted,
        budget=budget,
        bench=lambda candidate: Remote(field.job(candidate, wanted), Place()),
        progress=progress,
    )
    with field.alone(lambda: progress(Event("race", "waiting for another race on this machine")), keep=keep):
        course.run(short=short)
        race = judge.settle(course, field, goal=wanted, budget=budget, seconds=monotonic() - started)
        return replace(race, kept=keep and field.remember(race.measured()))
