"""Recordings that sound roughly like speech, made from seeded numbers; knows no model."""

from __future__ import annotations

import base64
import io
import wave
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 16000
SECONDS = (5.0, 3.0, 4.0, 2.0)

_SEED = 20261126
_FORMANTS = ((700, 1200, 2600), (300, 2200, 3000), (450, 900, 2500), (550, 1800, 2500), (350, 800, 2400))
"""Three resonances in hertz of the vowels of "father", "see", "law", "bed" and "too" (Peterson and Barney, 1952, rounded)."""


@lru_cache(maxsize=1)
def recordings() -> tuple[str, ...]:
    """Four recordings of 2 to 5 seconds as data URLs of 16-bit WAV files at 16 kHz."""
    random = np.random.default_rng(_SEED)
    return tuple(_data_url(_voice(random, seconds)) for seconds in SECONDS)


def _voice(random: np.random.Generator, seconds: float) -> NDArray[np.float64]:
    """Syllables: a gliding pitch, the harmonics of it that a vowel lets through, breath and pauses."""
    parts: list[NDArray[np.float64]] = []
    harmonics = np.arange(1, 24)
    pitch = random.uniform(100, 200)
    while sum(len(part) for part in parts) < seconds * RATE:
        length = int(random.uniform(0.12, 0.3) * RATE)
        glide = pitch * (1 + random.uniform(-0.2, 0.2) * np.linspace(0, 1, length))
        phase = 2 * np.pi * np.cumsum(glide) / RATE
        vowel = np.array(_FORMANTS[random.integers(len(_FORMANTS))])
        loud = np.exp(-(((harmonics * pitch - vowel[:, None]) / 180) ** 2)) / np.array([[1], [2], [3]])
        sound = loud.sum(0) @ np.sin(harmonics[:, None] * phase)
        breath = np.diff(random.normal(0, 0.4, length + 1))
        parts.append(np.hanning(length) * (sound + breath * random.uniform(0.05, 0.6)))
        parts.append(random.normal(0, 0.002, int(random.choice([0.02, 0.05, 0.25]) * RATE)))
    whole = np.concatenate(parts)[: int(seconds * RATE)]
    loudest = float(np.abs(whole).max())
    return whole * (0.5 / loudest)


def _data_url(samples: np.ndarray) -> str:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes((samples * 32767).astype("<i2").tobytes())
    return f"data:audio/wav;base64,{base64.b64encode(file.getvalue()).decode()}"
