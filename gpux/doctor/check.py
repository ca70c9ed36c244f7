"""What every look of the doctor returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        subject: What.
        state: ``ok``, ``note`` (works, with less) or ``fail`` (what is installed contradicts itself or this machine).
        finding: What was found.
        remedy: The line to type, where there is one.
    """

    subject: str
    state: str
    finding: str
    remedy: str | None = None
