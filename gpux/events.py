"""What long work tells while it runs: one small record, handed to whoever asked for it; knows nothing of the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One step of some work.

    Attributes:
        stage: The stage's name (``resolve``, ``download``, ``unpack``, ``hash``, ``export``, ``prove`` …).
        message: What is being done, for a person to read.
        done: How far it is, in the stage's unit (bytes for ``download``), or ``None``.
        total: How far it has to go, or ``None`` where that is not known.
    """

    stage: str
    message: str
    done: int | None = None
    total: int | None = None


Progress = Callable[[Event], None]
"""Receives events, from any thread, one at a time."""


def silent(event: Event) -> None:
    """The progress of somebody who does not want to know."""
    del event
