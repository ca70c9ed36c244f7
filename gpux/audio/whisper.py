"""Whisper's log mel spectrogram; knows no graph.

Source: https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/whisper/feature_extraction_whisper.py
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gpux.audio import limits, mel
from gpux.audio.limits import within
from gpux.audio.prepared import Prepared
from gpux.audio.spectrogram import Spectrogram
from gpux.fields import Fields


@dataclass(frozen=True, slots=True)
class LogMel:
    """``WhisperFeatureExtractor``.

    Attributes:
        rate: Samples per second.
        mels: Filters.
        size: Samples of a frame.
        hop: Samples from frame to frame.
        samples: Samples that the model hears: cut, or filled up with ``padding``.
        padding: What stands after a shorter recording.
    """

    rate: int
    mels: int
    size: int
    hop: int
    samples: int
    padding: float
    name: str = "WhisperFeatureExtractor"
    fixed: bool = True
    makes: tuple[str, ...] = ("input_features",)

    @property
    def frames(self) -> int:
        """Frames that the model hears at once."""
        return self.samples // self.hop

    def bank(self) -> mel.Floats:
        """The filters, float64 [size / 2 + 1, mels]."""
        return mel.filters(
            bins=self.size // 2 + 1,
            mels=self.mels,
            low=0,
            high=8000,
            rate=self.rate,
            scale="slaney",
            area=True,
        )

    def prepare(self, waveform: np.ndarray, /, *, position: int = 0) -> Prepared:
        """float32 [mels, frames]."""
        heard = Spectrogram([waveform[: self.samples]], self)
        try:
            features = heard.window(0, self.frames)
        finally:
            heard.close()
        return Prepared(features, len(waveform), longer=len(waveform) > self.samples)

    def listen(self, blocks: Iterable[np.ndarray], /) -> Spectrogram:
        """The spectrogram of a recording of any length, float32 [samples] in blocks; see :class:`Spectrogram`."""
        return Spectrogram(blocks, self)

    def batch(self, prepared: Sequence[Prepared], /) -> dict[str, np.ndarray]:
        """``input_features`` float32 [batch, mels, frames]."""
        return {"input_features": np.stack([one.array for one in prepared])}


def read(fields: Fields) -> LogMel:
    """The extractor with a model's own settings."""
    rate = within(fields, "sampling_rate", 16000, most=limits.RATE)
    return LogMel(
        rate=rate,
        mels=within(fields, "feature_size", 80, most=limits.MELS),
        size=within(fields, "n_fft", 400, most=limits.SAMPLES, least=2),
        hop=within(fields, "hop_length", 160, most=limits.SAMPLES),
        samples=rate * within(fields, "chunk_length", 30, most=limits.SECONDS),
        padding=fields.number("padding_value") or 0.0,
    )
