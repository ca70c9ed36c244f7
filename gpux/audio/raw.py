"""Waveforms as they are, scaled to mean 0 and variance 1: wav2vec 2.0 and its kin; knows no graph.

Source: https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/wav2vec2/feature_extraction_wav2vec2.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpux.audio import limits
from gpux.audio.limits import within
from gpux.audio.prepared import Prepared
from gpux.fields import Fields


@dataclass(frozen=True, slots=True)
class Raw:
    """``Wav2Vec2FeatureExtractor``.

    Attributes:
        rate: Samples per second.
        padding: What stands after a recording that is shorter than its neighbours.
        scaled: Whether each recording is scaled, by its own samples alone.
    """

    rate: int
    padding: float
    scaled: bool
    name: str = "Wav2Vec2FeatureExtractor"
    fixed: bool = False
    makes: tuple[str, ...] = ("input_values", "attention_mask")

    def prepare(self, waveform: np.ndarray, /, *, position: int = 0) -> Prepared:
        """float32 [samples]."""
        if self.scaled:
            waveform = (waveform - waveform.mean()) / np.sqrt(waveform.var() + 1e-7)
        return Prepared(waveform.astype(np.float32, copy=False), len(waveform))

    def batch(self, prepared: Sequence[Prepared], /) -> dict[str, np.ndarray]:
        """``input_values`` float32 [batch, samples], ``attention_mask`` int64 [batch, samples]."""
        shape = (len(prepared), max(one.samples for one in prepared))
        values = np.full(shape, self.padding, np.float32)
        mask = np.zeros(shape, np.int64)
        for row, one in enumerate(prepared):
            values[row, : one.samples] = one.array
            mask[row, : one.samples] = 1
        return {"input_values": values, "attention_mask": mask}


def read(fields: Fields) -> Raw:
    """The extractor with a model's own settings."""
    scaled = fields.flag("do_normalize")
    return Raw(
        rate=within(fields, "sampling_rate", 16000, most=limits.RATE),
        padding=fields.number("padding_value") or 0.0,
        scaled=True if scaled is None else scaled,
    )
