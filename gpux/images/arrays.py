"""Arrays of numbers that stand for a picture → that picture in RGB; knows no files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpux.errors import InvalidInput
from gpux.images import decoding

if TYPE_CHECKING:
    from PIL.Image import Image

SHAPES = (
    "give [height, width], [height, width, channels] or [channels, height, width] with 1, 3 or 4 channels"
)
_CHANNELS = {1, 3, 4}


def to_rgb(array: np.ndarray, *, name: str, position: int | None = None) -> Image:
    """The picture of an array.

    Args:
        array: ``[h, w]``, ``[h, w, c]`` or ``[c, h, w]`` of 1, 3 or 4 channels, the last of four dropped; where both ends
            could be channels, the last is. Whole numbers are 0 to 255, uint16 is scaled to that, bools are black and white,
            floats are 0 to 1, or 0 to 255 where one is larger than 1.
        name: What to call it in errors.
        position: Where the item stood in the list, for the error.

    Raises:
        InvalidInput: Another shape, another type, values out of range, NaN, or more pixels than ``GPUX_MAX_PIXELS``.
    """
    image = decoding.pillow()
    layout = _layout(array, name=name, position=position)
    decoding.check_pixels((layout.shape[1], layout.shape[0]), name=name, position=position)
    pixels = _bytes(layout, name=name, position=position)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim == 3:
        pixels = pixels[..., :3]
    made: Image = image.fromarray(np.ascontiguousarray(pixels))
    return made if made.mode == "RGB" else made.convert("RGB")


def _layout(array: np.ndarray, *, name: str, position: int | None) -> np.ndarray:
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in _CHANNELS):
        return array
    if array.ndim == 3 and array.shape[0] in _CHANNELS:
        return array.transpose(1, 2, 0)
    shape = ", ".join(map(str, array.shape))
    raise InvalidInput(f"{name} is an array of shape [{shape}]", hint=SHAPES, position=position)


def _bytes(array: np.ndarray, *, name: str, position: int | None) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:  # in either order of bytes
        return (array >> 8).astype(np.uint8)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind not in "iuf":
        raise InvalidInput(
            f"{name} is an array of {array.dtype}", hint="give uint8 from 0 to 255", position=position
        )
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 255):  # written so that NaN fails too
        raise InvalidInput(
            f"{name} holds values from {low} to {high}",
            hint="give whole numbers from 0 to 255, or floats from 0 to 1",
            position=position,
        )
    if array.dtype.kind == "f":
        array = np.rint(array * np.float32(255) if high <= 1 else array)
    return array.astype(np.uint8)
