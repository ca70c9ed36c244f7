"""The race: candidates for running one model, measured against each other on this machine, and the winner remembered.

``auto`` follows what it found, until the machine's hardware or software changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import TYPE_CHECKING, Any

from gpux.events import Progress, silent

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
    typed: bool = False,
    progress: Progress = silent,
) -> Race:
    """Measure every way to run a model here that is proven well enough, and remember the best.

    Each candidate runs in a process of its own, in turns with the others. One that is clearly slower leaves early. Then the
    best ones are tried with other numbers of threads, where there is time with settings that matter to few models and, for
    throughput, with other batch sizes. Two races never run at once.

    Args:
        model: As :func:`gpux.load` takes it.
        inputs: One item or a list of them; the task's own when ``None``.
        goal: ``latency`` (one item at a time), ``throughput`` (many at once) or ``memory`` (the peak of the process).
        quality: The worst proof that takes part: ``exact``, ``near`` or ``any``.
        budget: Seconds of opening and measuring. The turn under way is ended; proofs of candidates that are new here, and
            what one that hangs takes until it is given up, come on top.
        providers: Only these; all that work, but those never chosen by ``auto``, when empty.
        variants: Only these; all that are stored when empty.
        task: Another task that the stored graph can answer.
        short: Leave threads and batch sizes as they are, and measure nothing where there is one candidate only.
        keep: Remember the winner.
        typed: Whether texts among the inputs are lines as a person typed them, which the task still has to read.
        progress: Receives the steps.

    Returns:
        Every candidate with its figure or the reason why it has none, and the winner.

    Raises:
        InvalidSetting: The goal, the quality or the budget is none, or the budget ended before anything was measured.
        NoCandidate: Nothing that works here is proven well enough.
        StoreUnwritable: The winner is to be remembered, and the store cannot be written.
        GpuxError: The model cannot be pulled, or its task cannot take the inputs.
    """
    from gpux.race.field import Wish
    from gpux.race.running import run

    wish = Wish(quality, tuple(providers), tuple(variants), task, typed)
    return run(model, inputs, wish, goal=goal, budget=budget, short=short, keep=keep, progress=progress)


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
