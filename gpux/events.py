"""Progress on its way to whoever shows it; knows neither who makes it nor who prints it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One step of long work.

    Attributes:
        stage: Which part of the work (``fetch``, ``export``, ``prove`` …); a new name starts a new line of progress.
        message: What is being done now.
        done: How much of ``total`` is done, in bytes or steps.
        total: How much there is, where that is known.
    """

    stage: str
    message: str
    done: int | None = None
    total: int | None = None


Progress = Callable[[Event], None]


def silent(_: Event) -> None:
    """A progress that nobody watches."""
