"""What a person gives for a recording → the bytes or the file that hold it, or its samples; decodes nothing."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpux import settings
from gpux.errors import InvalidInput, NetworkFailed, OfflineMiss

if TYPE_CHECKING:
    import numpy as np

ENDINGS = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".au", ".caf", ".w64")
"""Files that libsndfile decodes and people have."""

TAKES = (
    "give a file, a URL, bytes, base64, a numpy array at the model's rate, "
    'or {"array": samples, "sampling_rate": hertz}'
)

_LARGEST = 1 << 30  # bytes of a download: a day of MP3, an hour and a half of stereo WAV
_SAMPLES = ("raw", "array")


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples as they are, [samples] or with an axis of channels; ``rate`` is ``None`` where it is the model's own."""

    array: np.ndarray
    rate: int | None


def resolve(value: Any, *, position: int) -> Path | bytes | Samples:
    """The file, the bytes of a file, or the samples that a value stands for.

    Raises:
        InvalidInput: It stands for none; the message names its position.
        NetworkFailed, OfflineMiss: It is a URL that cannot be fetched.
    """
    if isinstance(value, str):
        return _text(value, position)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, os.PathLike):
        return _file(Path(value), position)
    if isinstance(value, Mapping):
        return _mapping(value, position)
    if hasattr(value, "__array__"):
        return Samples(_array(value, position), None)
    kind = "None" if value is None else type(value).__name__
    raise InvalidInput(f"input {position} is {kind}, not a recording", hint=TAKES, position=position)


def _text(value: str, position: int) -> Path | bytes:
    if value.startswith(("http://", "https://")):
        return _download(value, position)
    if value[:5].lower() == "data:":
        head, comma, body = value.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise InvalidInput(
                f"input {position} is a data URL without base64",
                hint="write data:audio/wav;base64,…",
                position=position,
            )
        return _decoded(body, position)
    path = Path(value)
    with suppress(
        OSError, ValueError, RuntimeError
    ):  # too long for a name, a null byte, nobody's home: maybe base64
        path = path.expanduser()
        if path.exists():
            return _file(path, position)
    if len(value) >= 64 and path.suffix.lower() not in ENDINGS:  # shorter than any recording's header
        return _decoded(value, position)
    shown = "".join(character if character.isprintable() else "�" for character in value[:80])
    raise InvalidInput(
        f"input {position} is a text that names no file: `{shown}`", hint=TAKES, position=position
    )


def _file(path: Path, position: int) -> Path:
    path = path.expanduser()
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no file" if path.exists() else "missing"
        raise InvalidInput(
            f"input {position} (`{path}`) is {what}",
            hint="give the recordings in it" if what == "a folder" else TAKES,
            position=position,
            path=path,
        )
    if not os.access(path, os.R_OK):
        raise InvalidInput(
            f"input {position} (`{path}`) may not be read",
            hint=f"chmod +r {path}",
            position=position,
            path=path,
        )
    return path


def _decoded(text: str, position: int) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(
            f"input {position} is neither a file nor base64 ({error})", hint=TAKES, position=position
        ) from error


def _mapping(value: Mapping[Any, Any], position: int) -> Samples:
    given = [key for key in _SAMPLES if value.get(key) is not None]
    if len(given) != 1 or "sampling_rate" not in value:
        raise InvalidInput(
            f"input {position} is a mapping without one of `raw` and `array`, and `sampling_rate`",
            hint='give {"array": samples, "sampling_rate": hertz}',
            position=position,
        )
    rate = value["sampling_rate"]
    whole = isinstance(rate, int | float) or hasattr(rate, "__int__")
    if isinstance(rate, bool | str) or not whole or not 1 <= rate < 2**31 or rate != int(rate):
        raise InvalidInput(
            f"input {position} has `sampling_rate` = {rate!r}",
            hint="give hertz, such as 16000",
            position=position,
        )
    return Samples(_array(value[given[0]], position), int(rate))


def _array(value: Any, position: int) -> np.ndarray:
    import numpy as np

    listed = isinstance(value, list | tuple)
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise InvalidInput(
            f"input {position} has samples of different lengths or kinds ({error})",
            hint="give one list of numbers, or one per channel",
            position=position,
        ) from error
    # Numbers in JSON say nothing of bits, so they are samples between -1 and 1 with or without a point.
    return array.astype(np.float32) if listed and array.dtype.kind in "iu" else array


def _download(url: str, position: int) -> bytes:
    if not settings.allow_urls():
        raise InvalidInput(
            f"input {position} is a URL, and fetching them is off",
            hint="set GPUX_ALLOW_URLS=1, or download it first",
            position=position,
        )
    if settings.offline():
        raise OfflineMiss(
            f"input {position} is a URL, and the network is forbidden", hint="unset GPUX_OFFLINE"
        )
    from http.client import HTTPException
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=settings.network_timeout()) as answer:  # noqa: S310 - http and https only, above
            body: bytes = answer.read(_LARGEST + 1)
    except (OSError, HTTPException, ValueError) as error:
        raise NetworkFailed(
            f"input {position} (`{url[:200]}`) cannot be fetched ({error})",
            hint="try the URL in a browser, or download it first",
            position=position,
        ) from error
    if len(body) > _LARGEST:
        raise InvalidInput(
            f"input {position} (`{url[:200]}`) is larger than {_LARGEST >> 20} MiB",
            hint="download it and cut it into parts",
            position=position,
        )
    return body
