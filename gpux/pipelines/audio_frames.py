"""How many frames a speech encoder makes of so many samples, from its convolutions' own settings; knows no graph."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gpux.artifact import Artifact
from gpux.fields import Fields

# Encoders that set what the mask hides to zero before anything mixes frames; where the first convolution normalises each
# frame by itself too, padding changes nothing. Others (data2vec, Conformer, SEW) let it through.
_BLIND = {"hubert", "unispeech", "unispeech-sat", "wav2vec2", "wavlm"}
_LAYERS = 64


@dataclass(frozen=True, slots=True)
class Convolutions:
    """The layers between samples and frames.

    Attributes:
        layers: Kernel and stride of each.
        blind: Whether the samples that a mask hides cannot change the other frames.
    """

    layers: tuple[tuple[int, int], ...]
    blind: bool

    @property
    def ratio(self) -> int:
        """Samples from one frame to the next."""
        return math.prod(stride for _, stride in self.layers)

    @property
    def least(self) -> int:
        """Samples of the shortest recording that makes a frame."""
        samples = 1
        for kernel, stride in reversed(self.layers):
            samples = (samples - 1) * stride + kernel
        return samples

    def frames(self, samples: int) -> int:
        """Frames of so many samples."""
        for kernel, stride in self.layers:
            samples = (samples - kernel) // stride + 1
        return max(samples, 0)


def read(artifact: Artifact) -> Convolutions | None:
    """The convolutions of the model, or ``None`` where it has none.

    Raises:
        UnsupportedModel: The settings are no lists of whole numbers.
    """
    config = Fields(artifact, "config.json")
    if "conv_kernel" not in config:
        return None
    kernels, strides = _sizes(config, "conv_kernel"), _sizes(config, "conv_stride")
    if len(kernels) != len(strides):
        raise config.refused("conv_stride", f"a list of {len(kernels)} strides")
    blind = config.text("model_type") in _BLIND and config.text("feat_extract_norm") == "layer"
    more = config.flag("conv_pos_batch_norm") or config.flag("add_adapter")
    return Convolutions(tuple(zip(kernels, strides, strict=True)), blind=blind and not more)


def _sizes(config: Fields, key: str) -> list[int]:
    value = config.data.get(key)
    whole = isinstance(value, list) and all(type(size) is int and 1 <= size < 1 << 16 for size in value)
    if not isinstance(value, list) or not whole or not 1 <= len(value) <= _LAYERS:
        raise config.refused(key, "a list of whole numbers from 1")
    return value
