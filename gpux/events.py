"""What long work tells while it runs: one small record, handed to whoever asked for it; knows nothing of the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter


@dataclass(frozen=True, slots=True)
class Event:
    """One step of some work.

    Attributes:
        stage: The stage's name (``resolve``, ``download``, ``unpack``, ``hash``, ``export``, ``prove`` …).
        message: What is being done, for a person to read.
        done: How far it is, or ``None``.
        total: How far it has to go, or ``None`` where that is not known.
        unit: What both count: ``B`` for bytes, else a plural noun.
    """

    stage: str
    message: str
    done: int | None = None
    total: int | None = None
    unit: str = "B"


Progress = Callable[[Event], None]
"""Receives events, from any thread, one at a time."""


def silent(event: Event) -> None:
    """The progress of somebody who does not want to know."""
    del event


class Stopwatch:
    """A progress that passes every event on and books the time until the next one to its stage.

    Attributes:
        seconds: Stage → seconds, in the order in which they began.
    """

    def __init__(self, progress: Progress = silent) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._stage: str | None = None
        self._since = perf_counter()

    def __call__(self, event: Event) -> None:
        """Book and pass on one event."""
        self.stop()
        self._stage = event.stage
        self._progress(event)

    def stop(self) -> None:
        """Book the time until now; what follows is nobody's."""
        now = perf_counter()
        if self._stage is not None:
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = None, now
