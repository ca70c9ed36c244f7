"""Bytes of an image file → an RGB picture: size checked before a pixel is decoded, turned as EXIF says; knows no sources."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

from gpux import settings
from gpux.errors import ExtraMissing, GpuxError, InvalidInput

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

FORMATS = (
    "JPEG",
    "PNG",
    "WEBP",
    "GIF",
    "BMP",
    "TIFF",
    "MPO",
    "AVIF",
    "JPEG2000",
    "PPM",
    "ICO",
)
"""What is read, of what Pillow can: its other formats are rare, and some start programs (EPS starts Ghostscript)."""
_ORIENTATION = 0x0112
_TURNS = range(2, 9)
TAKES = "give a picture: JPEG, PNG, WebP, GIF, BMP or TIFF"
_NOT_THIS_FORMAT = (SyntaxError, IndexError, TypeError, KeyError, EOFError, struct.error)
_DAMAGED = (
    OSError,
    ValueError,
    OverflowError,
    Warning,
    *_NOT_THIS_FORMAT,
)  # a host may make errors of warnings


def pillow() -> Any:
    """``PIL.Image``.

    Raises:
        ExtraMissing: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise missing("Pillow", "pictures", "vision") from error
    return Image


def missing(distribution: str, purpose: str, extra: str) -> GpuxError:
    """The error for an extra that is not installed."""
    return ExtraMissing(
        f"{distribution}, which reads {purpose}, is not installed",
        hint=f'pip install "gpux[{extra}]"',
        package=distribution,
    )


def decode(data: bytes | BinaryIO, *, name: str, position: int | None = None) -> Image:
    """The picture in the bytes of a file, in RGB; the first frame of an animation.

    Args:
        data: The whole file, or the file itself, opened and seekable.
        name: What to call it in errors.
        position: Where the item stood in the list, for the error.

    Raises:
        InvalidInput: It is no picture, is damaged or cut off, or has more pixels than ``GPUX_MAX_PIXELS``.
    """
    opened = open_file(BytesIO(data) if isinstance(data, bytes) else data, name=name, position=position)
    try:
        opened.load()
        return to_rgb(opened, name=name, position=position)
    except MemoryError as error:
        raise InvalidInput(
            f"{name} of {_by(opened.size)} pixels does not fit into memory",
            hint="make it smaller",
            position=position,
        ) from error
    except damage() as error:
        raise damaged(opened.format, error, name=name, position=position) from error


def open_file(stream: BinaryIO, *, name: str, position: int | None = None) -> ImageFile:
    """The file by the format that knows it, with its pixels not yet read and their number checked.

    Image.open would first hold the size against Pillow's own limit, which is of the whole process, and warn.

    Raises:
        InvalidInput: No format of :data:`FORMATS` knows it, or it has more pixels than ``GPUX_MAX_PIXELS``.
    """
    image = pillow()
    first, known = stream.read(16), None
    for ready in (image.preinit, image.init):
        ready()
        for identifier in FORMATS:
            # An accept that gives a text says why the format is not read here; a format without one has no mark to know it by.
            factory, accept = image.OPEN.get(identifier, (None, None))
            if factory is None or (accept is not None and accept(first) is not True):
                continue
            stream.seek(0)
            try:
                opened: ImageFile = factory(stream, "")
            except damage() as error:
                known = known or (accept and (identifier, error))
                continue
            check_pixels(opened.size, name=name, position=position)
            return opened
    if known:
        raise damaged(*known, name=name, position=position) from known[1]
    reason = "is no picture" if first else "is empty"
    raise InvalidInput(f"{name} {reason}", hint=TAKES, position=position)


def damage() -> tuple[type[Exception], ...]:
    """What Pillow raises over a damaged file."""
    return (*_DAMAGED, pillow().DecompressionBombError)


def damaged(kind: str | None, error: Exception, *, name: str, position: int | None = None) -> InvalidInput:
    """The error for a file that begins like a picture and goes on like none."""
    reason = str(error).rstrip(".") or type(error).__name__
    return InvalidInput(
        f"{name} is a damaged, incomplete or unusual {kind} file ({reason})",
        hint="open it in an image viewer, or fetch it again",
        position=position,
    )


def check_pixels(size: tuple[int, int], *, name: str, position: int | None = None) -> None:
    """Refuse a picture of more pixels than ``GPUX_MAX_PIXELS``.

    Args:
        size: Width and height.
        name: What to call it in errors.
        position: Where the item stood in the list, for the error.

    Raises:
        InvalidInput: It has more, or none at all.
    """
    width, height = size
    limit = settings.max_pixels()
    if width * height > limit:
        raise InvalidInput(
            f"{name} has {_by(size)} = {width * height:,} pixels, more than {limit:,}",
            hint=f"make it smaller, or set GPUX_MAX_PIXELS={width * height} if you trust it",
            position=position,
            pixels=width * height,
            limit=limit,
        )
    if width < 1 or height < 1:
        raise InvalidInput(f"{name} has no pixels", hint=TAKES, position=position)


def to_rgb(image: Image, *, name: str, position: int | None = None) -> Image:
    """A picture turned as its EXIF orientation says, in RGB, as ``transformers.image_utils.load_image`` does both.

    It drops transparency, as transformers does. 16-bit grey is scaled to 8 bits where transformers, by Pillow, cuts
    it off at 255 and so sees white. Floats are 0 to 1, or 0 to 255 where one is larger than 1.

    Raises:
        InvalidInput: Its colours cannot be turned into RGB.
    """
    image = _turned(image)
    if image.mode == "RGB":
        return image
    try:
        if image.mode.startswith("I") or image.mode == "F":
            return _deep(image, name=name, position=position)
        if image.mode == "P" and isinstance(image.info.get("transparency"), bytes):
            image = image.convert("RGBA")  # Pillow warns of the direct way, which gives the same colours
        return image.convert("RGB")
    except ValueError as error:
        raise InvalidInput(
            f"{name} has colours of mode `{image.mode}`, which cannot be turned into RGB",
            hint="save it as an RGB PNG",
            position=position,
        ) from error


def _turned(image: Image) -> Image:
    from PIL import ImageOps

    try:
        if image.getexif().get(_ORIENTATION, 1) not in _TURNS:  # or exif_transpose copies it as it is
            return image
        return ImageOps.exif_transpose(image)
    except _DAMAGED:  # its EXIF data is damaged, its pixels are not
        return image


def _deep(image: Image, *, name: str, position: int | None) -> Image:
    import numpy as np

    from gpux.images import arrays

    values = np.asarray(image)
    if values.dtype.kind in "iu" and values.max(initial=0) > 255:
        values = np.clip(values, 0, 65535).astype(np.uint16)
    return arrays.to_rgb(values, name=name, position=position)


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"
