"""Two tiny Whispers, and what transformers' pipeline answers, made in one process for all tests of them."""

from __future__ import annotations

from pathlib import Path

import models
import numpy as np
from audio_reference import SPEECH, sound
from references.speech_calls import SECONDS, SOUNDS


def recording(seconds: float) -> np.ndarray:
    """The recording of that length that the references heard: float32 [samples]."""
    return sound(seconds, SPEECH, int(seconds * 10))


def made(directory: Path) -> Path:
    """Models and answers, unless they are there; see tests/references/tiny_whispers.py."""
    if not directory.exists():
        given = directory.with_suffix(".npz")
        lengths = {each for every in (*SECONDS.values(), SOUNDS.values()) for each in every}
        np.savez(given, **{str(each): recording(each) for each in lengths})
        half = directory.with_suffix(".half")
        half.mkdir()
        models.run("tiny_whispers.py", given, half)
        half.rename(directory)
    return directory
