"""One recording, ready for a graph; knows no extractor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpux.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Prepared:
    """The features of one recording.

    Attributes:
        array: float32: [samples], [frames, mels], [mels, frames] or [channels, frames, mels], as the extractor makes them.
        samples: Samples of the waveform that they were made of.
        longer: Whether the recording was longer than the model hears at once.
    """

    array: np.ndarray
    samples: int
    longer: bool = False


def too_short(samples: int, least: int, rate: int, position: int) -> InvalidInput:
    """The error for a recording that makes no feature at all."""
    return InvalidInput(
        f"input {position} lasts {samples / rate:.4f} s, and the model needs {least / rate:.4f} s",
        hint="give a longer recording",
        position=position,
    )
