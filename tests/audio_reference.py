"""Recordings made from seeded numbers, and what transformers makes of them in one process for all tests of sound."""

from __future__ import annotations

from pathlib import Path

import models
import numpy as np

SPEECH, WIDE = 16000, 48000
SECONDS = {SPEECH: (1.0, 2.3, 0.5, 2.3, 1.7), WIDE: (1.0, 2.0, 0.3)}
FEATURES = {
    "raw": (SPEECH, (0.05, 1.3)),
    "raw-unscaled": (SPEECH, (0.7,)),
    "spectrum": (SPEECH, (0.03, 3.0, 12.0)),
    "spectrum-small": (SPEECH, (0.5, 2.0)),
    "whisper": (SPEECH, (2.0, 31.0)),
    "whisper-128": (SPEECH, (1.0,)),
    "clap-fusion-repeatpad": (WIDE, (3.3, 10.0, 10.005, 14.0)),
    "clap-rand_trunc-repeatpad": (WIDE, (3.3, 10.0)),
    "clap-rand_trunc-repeat": (WIDE, (3.3,)),
    "clap-rand_trunc-pad": (WIDE, (3.3,)),
    "clap-low": (SPEECH, (0.4,)),
}
"""Extractor of tests/references/audio_models.py → rate, and seconds of its recordings."""


def sound(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """Four wandering tones and a fade: float32 [samples]."""
    random = np.random.default_rng([seed, rate])
    time = np.arange(round(seconds * rate)) / rate
    tones = [
        random.uniform(0.05, 0.2)
        * np.sin(2 * np.pi * random.uniform(100, 3000) * time + random.normal(0, 0.02, time.size).cumsum())
        for _ in range(4)
    ]
    return (np.sum(tones, axis=0) * np.linspace(0.3, 1, time.size)).astype(np.float32)


def recordings(rate: int) -> list[np.ndarray]:
    """The recordings that the tiny models answered."""
    return [sound(seconds, rate, seed) for seed, seconds in enumerate(SECONDS[rate])]


def made(directory: Path) -> Path:
    """Graphs, answers and features, unless they are there; see tests/references/audio_models.py."""
    if not directory.exists():
        given = directory.with_suffix(".npz")
        arrays = {
            f"{rate}/{index}": array for rate in SECONDS for index, array in enumerate(recordings(rate))
        }
        for name, (rate, lengths) in FEATURES.items():
            arrays |= {f"{name}/{i}": sound(seconds, rate, 9) for i, seconds in enumerate(lengths)}
        np.savez(given, **arrays)
        half = directory.with_suffix(".half")
        models.run("audio_models.py", given, half)
        half.rename(directory)
    return directory
