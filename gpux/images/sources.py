"""A path, an address, a data URL, base64 or bytes → an open stream of the bytes and a name for errors; knows no formats."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from gpux.errors import InvalidInput
from gpux.images import remote

_BASE64 = re.compile(r"[A-Za-z0-9+/\s]*={0,2}\s*")
_SHORTEST_BASE64 = 64
_SHOWN = 120
_WAYS = "give the path of {}, its bytes, or base64"


def is_source(value: Any) -> bool:
    """Whether :func:`opened` takes it."""
    return isinstance(value, str | Path | bytes | bytearray | memoryview)


@contextmanager
def opened(
    value: str | Path | bytes | bytearray | memoryview,
    *,
    what: str,
    position: int | None = None,
    allow_urls: bool | None = None,
) -> Iterator[tuple[BinaryIO, str]]:
    """The bytes as a seekable stream, and what to call them in errors.

    Args:
        value: A path, an ``http`` or ``https`` address, a ``data:`` URL, bare base64, or the bytes of a file.
        what: What the caller wants, for errors: ``a picture``.
        position: Where the item stood in the list, for the error.
        allow_urls: Whether an address is fetched; by default what ``GPUX_ALLOW_URLS`` says, else not.

    Raises:
        InvalidInput: It is not there, may not be read, or is an address and those are not allowed.
        NetworkFailed: The address is out of reach.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        yield BytesIO(value), called(position)
    elif isinstance(value, Path):
        with _file(value, what=what, position=position) as stream:
            yield stream, called(position, str(value))
    elif remote.is_address(value):
        yield BytesIO(remote.fetch(value, position=position, allowed=allow_urls)), called(position, value)
    elif value[:5].lower() == "data:":
        yield BytesIO(_data_url(value, position=position)), called(position, value[:5].lower() + "…")
    elif (data := _bare_base64(value)) is not None and not _is_file(value):
        yield BytesIO(data), called(position, "base64")
    else:
        if not value or "\0" in value:
            raise InvalidInput(
                f"{called(position, value)} is not {what}", hint=_WAYS.format(what), position=position
            )
        with _file(Path(value), what=what, position=position) as stream:
            yield stream, called(position, value)


def called(position: int | None, what: str = "") -> str:
    """``input 3 (`cat.jpg`)``; a long name without its middle, and nothing that a terminal would obey."""
    shown = what if len(what) <= _SHOWN else f"{what[: _SHOWN // 2]}…{what[-_SHOWN // 2 :]}"
    shown = "".join(character if character.isprintable() else "�" for character in shown)
    if position is None:
        return f"`{shown}`" if shown else "the input"
    return f"input {position} (`{shown}`)" if shown else f"input {position}"


def _file(path: Path, *, what: str, position: int | None) -> BinaryIO:
    name = called(position, str(path))
    try:
        path = path.expanduser()
        if path.is_dir():
            hint = f'name what it holds: Path("{path}").glob("*")'
            raise InvalidInput(f"{name} is a folder", hint=hint, position=position)
        if not path.is_file():  # nor does anything end a read from a device or a pipe
            raise FileNotFoundError
        return path.open("rb")
    except PermissionError as error:
        raise InvalidInput(f"{name} may not be read", hint=f"chmod +r {path}", position=position) from error
    except (OSError, RuntimeError) as error:  # a home directory of nobody is a RuntimeError
        reason = "is no file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        raise InvalidInput(f"{name} {reason}", hint=_WAYS.format(what), position=position) from error


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # longer than a name may be
        return False


def _data_url(text: str, *, position: int | None) -> bytes:
    head, comma, body = text.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise InvalidInput(
            f"{called(position)} is a data URL without base64",
            hint="write data:image/jpeg;base64,…",
            position=position,
        )
    data = _bare_base64(body, shortest=0)
    if data is None:
        raise InvalidInput(
            f"{called(position)} is a data URL whose base64 is damaged",
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
