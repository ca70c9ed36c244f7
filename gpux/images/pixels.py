"""Pixels of 8 bits → the float32 that a model reads, by a table of all 256 values, so that every float is the processor's own.

Knows no sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

_AT_ONCE = (
    1 << 18
)  # pixels: their indices stay in the cache, and a large picture needs no copy eight times its size


@dataclass(frozen=True, slots=True)
class Normalization:
    """Arithmetic on one value after the other, in float32 like transformers' own.

    Attributes:
        factor: What a pixel is multiplied by, in float64 before it is rounded; ``None`` leaves it as it is.
        minus_one: Whether 1 is subtracted then (EfficientNet, ViViT).
        mean: Subtracted from each channel; ``None`` skips mean and deviation.
        deviation: What each channel is divided by.
        again: Whether it is divided once more (EfficientNet's ``include_top``).
    """

    factor: float | None
    minus_one: bool = False
    mean: tuple[float, float, float] | None = None
    deviation: tuple[float, float, float] | None = None
    again: bool = False

    def table(self) -> np.ndarray:
        """What each of 256 values becomes, float32 ``[3, 256]``."""
        values = np.arange(256, dtype=np.float64)
        with np.errstate(all="ignore"):  # the reader of the model's file looks at what came out
            scaled = (values if self.factor is None else values * self.factor).astype(np.float32)
            if self.minus_one:
                scaled -= np.float32(1)
            table = np.repeat(scaled[None], 3, axis=0)
            if self.deviation is not None:
                divisor = np.asarray(self.deviation, np.float32)[:, None]
                if self.mean is not None:
                    table = (table - np.asarray(self.mean, np.float32)[:, None]) / divisor
                if self.again:
                    table = table / divisor
        return table


def look_up(pixels: np.ndarray, table: np.ndarray, *, flipped: bool = False) -> np.ndarray:
    """Float32 ``[3, height, width]`` of uint8 ``[height, width, 3]``, contiguous.

    Args:
        pixels: Red, green and blue.
        table: As :meth:`Normalization.table` makes it.
        flipped: Whether blue comes first.
    """
    height, width, _ = pixels.shape
    found = np.empty((3, height, width), np.float32)
    rows = max(1, _AT_ONCE // width)
    for channel in range(3):
        source = pixels[..., 2 - channel if flipped else channel]
        for top in range(0, height, rows):
            # "clip" skips the check that an index lies inside, which one of 8 bits does.
            np.take(
                table[channel],
                source[top : top + rows],
                out=found[channel, top : top + rows],
                mode="clip",
            )
    return found


def resize(image: Image, size: tuple[int, int], table: np.ndarray, *, resample: int) -> np.ndarray:
    """Float32 ``[3, height, width]`` of a picture whose values are not rounded to 8 bits once it is resized.

    Args:
        image: In RGB.
        size: Height and width.
        table: As :meth:`Normalization.table` makes it; what lies between two values lies between what they become.
        resample: Pillow's number of the filter.
    """
    height, width = size
    found = np.empty((3, height, width), np.float32)
    for channel in range(3):
        band = image.getchannel(channel).convert("F").resize((width, height), resample=resample)
        np.multiply(np.asarray(band), (table[channel, 255] - table[channel, 0]) / 255, out=found[channel])
        found[channel] += table[channel, 0]
    return found
