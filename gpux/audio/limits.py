"""Sizes that a model's settings may ask for; anybody may have written them, and each is memory."""

from __future__ import annotations

from gpux.fields import Fields

RATE, MELS, FRAMES, SAMPLES, SECONDS = 1 << 20, 1 << 10, 1 << 16, 1 << 16, 600
"""Most samples per second, filters, frames of a recording, samples of a frame, and seconds that a model hears at once."""


def within(fields: Fields, key: str, default: int, *, most: int, least: int = 1) -> int:
    """A whole number of a setting, or the extractor's own where it is missing.

    Raises:
        UnsupportedModel: It is none, or out of the range.
    """
    value = fields.whole(key, least=least)
    if value is not None and value > most:
        raise fields.refused(key, f"a whole number from {least} to {most}")
    return default if value is None else value
