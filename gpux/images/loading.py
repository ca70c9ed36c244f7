"""Whatever stands for a picture → that picture in RGB: a path, bytes, base64, a data URL, an address, an array, a PIL image.

Knows no model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpux.errors import InvalidInput
from gpux.images import arrays, decoding, sources

if TYPE_CHECKING:
    from PIL.Image import Image

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
"""Endings of files that are pictures."""


def open_image(value: Any, *, position: int | None = None, allow_urls: bool | None = None) -> Image:
    """A picture in RGB, turned as its EXIF orientation says; the first frame of an animation.

    Args:
        value: A path, an ``http`` or ``https`` address, a ``data:`` URL, bare base64, the bytes of a file, a PIL image, or an
            array as :func:`gpux.images.arrays.to_rgb` takes them.
        position: Where the item stood in the list, for the error.
        allow_urls: Whether an address is fetched; by default what ``GPUX_ALLOW_URLS`` says, else not.

    Raises:
        InvalidInput: It is no picture, is damaged, is not there or may not be read, has more pixels than
            ``GPUX_MAX_PIXELS``, or is an address and those are not allowed.
        NetworkFailed: The address is out of reach.
        InvalidSetting: Pillow is not installed.
    """
    image, name = decoding.pillow(), sources.called(position)
    if isinstance(value, image.Image):
        decoding.check_pixels(value.size, name=name, position=position)
        return _given(value, position=position)
    if sources.is_source(value):
        with sources.opened(value, what="a picture", position=position, allow_urls=allow_urls) as (
            stream,
            name,
        ):
            return decoding.decode(stream, name=name, position=position)
    if hasattr(value, "__array__"):
        return arrays.to_rgb(np.asarray(value), name=name, position=position)
    kind = "None" if value is None else type(value).__name__
    raise InvalidInput(
        f"{name} is {kind}, not a picture",
        hint="give a path, bytes, base64, a PIL image or an array",
        position=position,
    )


def _given(value: Image, *, position: int | None) -> Image:
    name = sources.called(position)
    try:
        value.load()
    except decoding.damage() as error:
        raise InvalidInput(
            f"{name} is a damaged or closed picture ({error})",
            hint="open it again",
            position=position,
        ) from error
    return decoding.to_rgb(value, name=name, position=position)
