"""Kaldi's log mel filter banks, as the Audio Spectrogram Transformer takes them; knows no graph.

Source: https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/audio_spectrogram_transformer,
its path without torchaudio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpux.audio import limits, mel
from gpux.audio.limits import within
from gpux.audio.prepared import Prepared, too_short
from gpux.fields import Fields

FRAME, HOP, SIZE = 400, 160, 512
"""Samples of a frame, from frame to frame, and of its Fourier transform, whatever the rate."""

_FLOOR = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, slots=True)
class FilterBank:
    """``ASTFeatureExtractor``.

    Attributes:
        rate: Samples per second.
        mels: Filters.
        frames: Frames of every recording: cut, or filled up with zeros before scaling.
        mean: What is taken off.
        spread: Half of what it is divided by; ``None`` leaves both out.
    """

    rate: int
    mels: int
    frames: int
    mean: float
    spread: float | None
    name: str = "ASTFeatureExtractor"
    fixed: bool = True
    makes: tuple[str, ...] = ("input_values",)

    def prepare(self, waveform: np.ndarray, /, *, position: int = 0) -> Prepared:
        """float32 [frames, mels]."""
        if len(waveform) < FRAME:
            raise too_short(len(waveform), FRAME, self.rate, position)
        bank = mel.filters(
            bins=SIZE // 2 + 1, mels=self.mels, low=20, high=self.rate // 2, rate=self.rate, scale="kaldi"
        )
        heard = waveform[: FRAME + HOP * (self.frames - 1)]
        window = mel.hann(FRAME, periodic=False)
        energy = mel.powers(heard, bank, window=window, hop=HOP, size=SIZE, centred=False, preemphasis=0.97)
        features = np.zeros((self.frames, self.mels), np.float32)
        features[: len(energy)] = np.log(np.maximum(energy, _FLOOR))
        if self.spread is not None:
            features = (features - np.float32(self.mean)) / np.float32(self.spread * 2)
        return Prepared(features, len(waveform), longer=len(heard) < len(waveform))

    def batch(self, prepared: Sequence[Prepared], /) -> dict[str, np.ndarray]:
        """``input_values`` float32 [batch, frames, mels]."""
        return {"input_values": np.stack([one.array for one in prepared])}


def read(fields: Fields) -> FilterBank:
    """The extractor with a model's own settings."""
    mean, spread = fields.number("mean"), fields.number("std")
    spread = 4.5689974 if spread is None else spread
    if spread == 0:
        raise fields.refused("std", "a number other than 0")
    return FilterBank(
        rate=within(fields, "sampling_rate", 16000, most=limits.RATE, least=64),
        mels=within(fields, "num_mel_bins", 128, most=limits.MELS),
        frames=within(fields, "max_length", 1024, most=limits.FRAMES),
        mean=-4.2677393 if mean is None else mean,
        spread=None if fields.flag("do_normalize") is False else spread,
    )
