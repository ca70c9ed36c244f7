"""The race: candidates for running one model, measured against each other on this machine, and the winner remembered.

Candidates take turns, and one that is clearly slower leaves early; then the best ones are tried with other numbers of
threads and, for throughput, other batch sizes. Two races never run at once. ``auto`` follows what a race found, until the
machine's hardware or software changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from time import monotonic
from typing import TYPE_CHECKING, Any

from gpux.events import Event, Progress, silent

if TYPE_CHECKING:
    from gpux.artifact import Artifact
    from gpux.race.record import Race

BUDGET = 60.0
"""Seconds of a race when nothing is said."""


def tune(
    model: str | PathLike[str] | Artifact,
    inputs: Any = None,
    *,
    goal: str = "latency",
    quality: str = "near",
    budget: float = BUDGET,
    providers: Iterable[str] = (),
    variants: Iterable[str] = (),
    task: str | None = None,
    short: bool = False,
    keep: bool = True,
    progress: Progress = silent,
) -> Race:
    """Measure every way to run a model here that is proven well enough, each in a process of its own, and remember the best.

    Args:
        model: As :func:`gpux.load` takes it.
        inputs: One item or a list of them; the task's own when ``None``.
        goal: ``latency`` (one item at a time), ``throughput`` (many at once) or ``memory`` (the peak of the process).
        quality: The worst proof that takes part: ``exact``, ``near`` or ``any``.
        budget: Seconds of opening and measuring; proofs of candidates that are new here come before.
        providers: Only these; all that work, but those never chosen by ``auto``, when empty.
        variants: Only these; all that are stored when empty.
        task: Another task that the stored graph can answer.
        short: Leave threads and batch sizes as they are, and measure and remember nothing where there is one candidate only.
        keep: Remember the winner.
        progress: Receives the steps.

    Raises:
        InvalidSetting: The goal, the quality or the budget is none, or the budget ended before anything was measured.
        NoCandidate: Nothing that works here is proven well enough.
        GpuxError: The model cannot be pulled, or its task cannot take the inputs.
    """
    from gpux.race import goals
    from gpux.race.course import Course
    from gpux.race.field import line_up
    from gpux.race.record import alone, settle

    wanted = goals.find(goal, budget)
    started = monotonic()
    field = line_up(
        model,
        inputs,
        goal=wanted,
        quality=quality,
        providers=tuple(providers),
        variants=tuple(variants),
        task=task,
        progress=progress,
    )
    if short and len(field.entrants) == 1:
        return alone(field, goal=wanted, quality=quality, budget=budget, seconds=monotonic() - started)
    course = Course(field, wanted, budget=budget, progress=progress)
    with field.alone(lambda: progress(Event("race", "waiting for another race on this machine"))):
        course.run(short=short)
    race = settle(course, field, goal=wanted, quality=quality, budget=budget, seconds=monotonic() - started)
    if keep:
        field.remember(race.measured())
    return race


def forget(model: str | Artifact) -> bool:
    """Forget what a race chose for a stored model on this machine; whether there was anything.

    Raises:
        ArtifactNotFound: The model is not stored.
    """
    from gpux import discovery
    from gpux.machine import choices
    from gpux.machine.key import key
    from gpux.registry.store import Store

    artifact = Store().get(model) if isinstance(model, str) else model
    machine = key(discovery.discover())
    known = choices.recall(artifact, machine) is not None
    choices.forget(artifact, machine)
    return known
