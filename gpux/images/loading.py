"""Whatever stands for a picture → that picture in RGB: a path, bytes, base64, a data URL, an address, an array, a PIL image.

Knows no model.
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpux.errors import InvalidInput
from gpux.images import arrays, decoding, remote

if TYPE_CHECKING:
    from PIL.Image import Image

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
"""Endings of files that are pictures."""
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]*={0,2}\s*")
_SHORTEST_BASE64 = 64
_SHOWN = 120
_WAYS = "give the path of a picture, its bytes, or base64"


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
    image = decoding.pillow()
    if isinstance(value, image.Image):
        decoding.check_pixels(value.size, name=_name(position), position=position)
        return _given(value, position=position)
    if isinstance(value, str):
        return _from_text(value, position=position, allow_urls=allow_urls)
    if isinstance(value, Path):
        return _from_path(value, position=position)
    if isinstance(value, bytes | bytearray | memoryview):
        return decoding.decode(bytes(value), name=_name(position), position=position)
    if hasattr(value, "__array__"):
        return arrays.to_rgb(np.asarray(value), name=_name(position), position=position)
    kind = "None" if value is None else type(value).__name__
    raise InvalidInput(
        f"{_name(position)} is {kind}, not a picture",
        hint="give a path, bytes, base64, a PIL image or an array",
        position=position,
    )


def _given(value: Image, *, position: int | None) -> Image:
    try:
        value.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise InvalidInput(
            f"{_name(position)} is a damaged or closed picture ({error})",
            hint="open it again",
            position=position,
        ) from error
    return decoding.to_rgb(value, name=_name(position), position=position)


def _from_text(text: str, *, position: int | None, allow_urls: bool | None) -> Image:
    if remote.is_address(text):
        data = remote.fetch(text, position=position, allowed=allow_urls)
        return decoding.decode(data, name=_name(position, text), position=position)
    if text.lower().startswith("data:"):
        return decoding.decode(
            _data_url(text, position=position), name=_name(position, "data URL"), position=position
        )
    path = Path(text)
    if not text or "\0" in text:
        raise _no_picture(text, position=position)
    try:
        return _from_path(path, position=position)
    except InvalidInput as error:
        if not error.details.get("absent"):
            raise
        found = _bare_base64(text)
        if found is None:
            raise
    return decoding.decode(found, name=_name(position, "base64"), position=position)


def _from_path(path: Path, *, position: int | None) -> Image:
    name = _name(position, str(path))
    try:
        path = path.expanduser()
        if path.is_dir():
            raise InvalidInput(
                f"{name} is a folder",
                hint=f'name its pictures: Path("{path}").glob("*.jpg")',
                position=position,
            )
        if not path.is_file():  # nor does anything end a read from a device or a pipe
            raise FileNotFoundError
        with path.open("rb") as stream:
            return decoding.decode(stream, name=name, position=position)
    except PermissionError as error:
        raise InvalidInput(f"{name} may not be read", hint=f"chmod +r {path}", position=position) from error
    except (OSError, RuntimeError) as error:  # a home directory of nobody is a RuntimeError
        reason = "is no file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        raise InvalidInput(f"{name} {reason}", hint=_WAYS, position=position, absent=True) from error


def _data_url(text: str, *, position: int | None) -> bytes:
    head, comma, body = text.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise InvalidInput(
            f"{_name(position)} is a data URL without base64",
            hint="write data:image/jpeg;base64,…",
            position=position,
        )
    data = _bare_base64(body, shortest=0)
    if data is None:
        raise InvalidInput(
            f"{_name(position)} is a data URL whose base64 is damaged",
            hint="encode it again: base64.b64encode(data).decode()",
            position=position,
        )
    return data


def _bare_base64(text: str, *, shortest: int = _SHORTEST_BASE64) -> bytes | None:
    if len(text) < shortest or not _BASE64.fullmatch(text):
        return None
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _no_picture(text: str, *, position: int | None) -> InvalidInput:
    return InvalidInput(
        f"{_name(position, text)} is no picture",
        hint=_WAYS,
        position=position,
    )


def _name(position: int | None, what: str = "") -> str:
    """``input 3 (`cat.jpg`)``."""
    shown = what if len(what) <= _SHOWN else f"{what[: _SHOWN // 2]}…{what[-_SHOWN // 2 :]}"
    shown = "".join(character if character.isprintable() else "�" for character in shown)
    if position is None:
        return f"`{shown}`" if shown else "the input"
    return f"input {position} (`{shown}`)" if shown else f"input {position}"
