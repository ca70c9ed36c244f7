"""CLAP's mel spectrograms in decibels, one or four to a recording; knows no graph.

Where transformers takes random parts of a recording that is longer than the model hears, the middle of what it may choose
from is taken here, so that an answer can be had again.

Source: https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/clap/feature_extraction_clap.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpux.audio import limits, mel
from gpux.audio.limits import within
from gpux.audio.prepared import Prepared
from gpux.fields import Fields

TRUNCATIONS, PADDINGS = ("fusion", "rand_trunc"), ("repeatpad", "repeat", "pad")

_PARTS = 3  # that fusion takes out of a long recording, beside the whole in small


@dataclass(frozen=True, slots=True)
class Clap:
    """``ClapFeatureExtractor``.

    Attributes:
        rate: Samples per second.
        mels: Filters.
        size: Samples of a frame.
        hop: Samples from frame to frame.
        samples: Samples that the model hears at once.
        low: Hertz where the filters begin.
        high: Hertz where they end.
        fusion: Four spectrograms a recording (all the same, or the whole in small and three parts) instead of one.
        padding: How a shorter recording is filled up: ``repeatpad``, ``repeat`` or ``pad``.
    """

    rate: int
    mels: int
    size: int
    hop: int
    samples: int
    low: float
    high: float
    fusion: bool
    padding: str
    name: str = "ClapFeatureExtractor"
    fixed: bool = True
    makes: tuple[str, ...] = ("input_features", "is_longer")

    def prepare(self, waveform: np.ndarray, /, *, position: int = 0) -> Prepared:
        """float32 [channels, frames, mels]."""
        excess = len(waveform) - self.samples
        if self.fusion:
            decibels = self._decibels(self._filled(waveform))
            whole = self.samples // self.hop + 1
            parts = fused(decibels, whole) if len(decibels) > whole else np.stack([decibels] * (_PARTS + 1))
            # transformers says of one recording in each batch that it is longer, and of one by itself always.
            return Prepared(parts, len(waveform), longer=True)
        start = max(excess, 0) // 2
        decibels = self._decibels(self._filled(waveform[start : start + self.samples]))
        return Prepared(decibels[None], len(waveform), longer=excess > 0)

    def batch(self, prepared: Sequence[Prepared], /) -> dict[str, np.ndarray]:
        """``input_features`` float32 [batch, channels, frames, mels], ``is_longer`` bool [batch, 1]."""
        longer = np.array([[one.longer] for one in prepared])
        return {"input_features": np.stack([one.array for one in prepared]), "is_longer": longer}

    def _filled(self, waveform: np.ndarray) -> np.ndarray:
        if len(waveform) < self.samples and self.padding != "pad":
            times = self.samples // len(waveform) + (self.padding == "repeat")
            waveform = np.tile(waveform, times)[: self.samples]
        return np.pad(waveform, (0, max(0, self.samples - len(waveform))))

    def _decibels(self, waveform: np.ndarray) -> np.ndarray:
        bank = mel.filters(
            bins=self.size // 2 + 1, mels=self.mels, low=self.low, high=self.high, rate=self.rate,
            scale="htk" if self.fusion else "slaney", area=not self.fusion,
        )  # fmt: skip
        window = mel.hann(self.size, periodic=True)
        energy = mel.powers(waveform, bank, window=window, hop=self.hop, size=self.size, centred=True)
        decibels: np.ndarray = (10 * np.log10(np.maximum(energy, 1e-10))).astype(np.float32)
        return decibels


def fused(decibels: np.ndarray, frames: int) -> np.ndarray:
    """The whole of a long recording in small, and a part of its beginning, middle and end.

    Args:
        decibels: float32 [more frames, mels].
        frames: Frames of each.

    Returns:
        float32 [4, frames, mels].
    """
    starts = np.array_split(np.arange(len(decibels) - frames + 1), _PARTS)
    chosen = [int(some[len(some) // 2]) if len(some) else 0 for some in starts]
    # Linear between the two nearest frames, pixel centres aligned: torch's bilinear with align_corners=False, which keeps
    # the ratio and each place in float32, and so begins a ten-thousandth of a frame beside where it should.
    ratio = np.float64(np.float32(len(decibels)) / np.float32(frames))
    at = np.maximum((np.arange(frames) + 0.5) * ratio - 0.5, 0).astype(np.float32)
    below = at.astype(np.int64)
    above = np.minimum(below + 1, len(decibels) - 1)
    share = (at - below.astype(np.float32))[:, None]
    small = decibels[below] * (1 - share) + decibels[above] * share
    return np.stack([small, *(decibels[start : start + frames] for start in chosen)])


def read(fields: Fields) -> Clap:
    """The extractor with a model's own settings."""
    rate = within(fields, "sampling_rate", 48000, most=limits.RATE)
    low, high = fields.number("frequency_min"), fields.number("frequency_max")
    fusion = (fields.text("truncation", among=TRUNCATIONS) or "fusion") == "fusion"
    mels = within(fields, "feature_size", 64, most=limits.MELS)
    if (
        fusion and mels != 64
    ):  # to which transformers shrinks the whole of a long recording, whatever this says
        raise fields.refused("feature_size", "64")
    return Clap(
        rate=rate,
        mels=mels,
        size=within(fields, "fft_window_size", 1024, most=limits.SAMPLES, least=2),
        hop=within(fields, "hop_length", 480, most=limits.SAMPLES),
        samples=rate * within(fields, "max_length_s", 10, most=limits.SECONDS),
        low=0.0 if low is None else low,
        high=14000.0 if high is None else high,
        fusion=fusion,
        padding=fields.text("padding", among=PADDINGS) or "repeatpad",
    )
