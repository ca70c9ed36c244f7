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
