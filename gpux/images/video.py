"""Whatever stands for a video → the frames of it that a model sees: a file, an animation, a folder or list of pictures, an array.

The frames are those that the video pipeline of transformers takes: the first, evenly spaced. Knows no model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from gpux.errors import InvalidInput
from gpux.images import arrays, decoding, loading, sources

if TYPE_CHECKING:
    from PIL.Image import Image

ENDINGS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif")
"""Endings of files that are videos; ``.webp`` and ``.png`` can be too."""
TAKES = "give a video (MP4, WebM, AVI, GIF), a folder or list of pictures, or an array [frames, height, width, channels]"
_STARTS = (b"GIF8", b"\x89PNG")
_DIGITS = re.compile(r"(\d+)")


def wanted(frames: int, *, rate: int = 1) -> list[int]:
    """Numbers of the frames that are taken, as ``VideoClassificationPipeline`` takes them.

    Args:
        frames: How many the model sees.
        rate: Of how many frames one is taken.
    """
    return [int(index) for index in np.linspace(0, frames * rate - 1, num=frames, dtype=np.int64)]


def open_video(
    value: Any, *, frames: int, rate: int = 1, position: int | None = None, allow_urls: bool | None = None
) -> list[Image]:
    """Frames of a video in RGB.

    Args:
        value: A path, address, data URL, base64 or bytes of a video or animation; a folder of pictures, which are taken in the
            order of their names, numbers by their value; a list of pictures; an array ``[frames, height, width, channels]``.
        frames: How many the model sees, from 1.
        rate: Of how many frames one is taken, from 1.
        position: Where the item stood in the list, for the error.
        allow_urls: Whether an address is fetched; by default what ``GPUX_ALLOW_URLS`` says, else not.

    Raises:
        InvalidInput: It is no video, is damaged, or has too few frames; or as :func:`gpux.images.loading.open_image`.
        NetworkFailed: The address is out of reach.
        ExtraMissing: Pillow is not installed, or PyAV where the video needs it.
    """
    decoding.pillow()
    indices = wanted(frames, rate=rate)
    folder = _folder(value)
    pictures: Iterable[Image]
    if folder is not None:
        name = sources.called(position, str(value))
        pictures = (loading.open_image(path, position=position) for path in _select(folder, indices))
    elif sources.is_source(value):
        with sources.opened(value, what="a video", position=position, allow_urls=allow_urls) as (
            stream,
            name,
        ):
            return _whole(_decoded(stream, indices, name, position), indices, name, position)
    elif isinstance(value, Sequence):
        name = sources.called(position)
        given = _select(value, indices)
        pictures = (loading.open_image(one, position=position, allow_urls=allow_urls) for one in given)
    else:
        name = sources.called(position)
        pictures = _array(value, indices, name, position)
    return _whole(pictures, indices, name, position)


def _folder(value: Any) -> list[Path] | None:
    """The pictures of a folder in the order of their names; ``None`` where the value is none."""
    if not isinstance(value, str | Path):
        return None
    try:
        path = Path(value).expanduser()
        if not path.is_dir():
            return None
        found = [each for each in path.iterdir() if each.suffix.lower() in loading.ENDINGS]
    except (OSError, ValueError, RuntimeError):
        return None
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = _DIGITS.split(path.name.lower())
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _array(value: Any, indices: Sequence[int], name: str, position: int | None) -> Iterator[Image]:
    array = np.asarray(value) if hasattr(value, "__array__") else None
    if array is None or array.ndim != 4:
        shape = "" if array is None else f" of shape {list(array.shape)}"
        kind = "None" if value is None else type(value).__name__
        raise InvalidInput(f"{name} is {kind}{shape}, not a video", hint=TAKES, position=position)
    return (arrays.to_rgb(one, name=name, position=position) for one in _select(array, indices))


def _select(frames: Any, indices: Sequence[int]) -> list[Any]:
    return [frames[index] for index in indices if index < len(frames)]


def _whole(pictures: Iterable[Image], indices: Sequence[int], name: str, position: int | None) -> list[Image]:
    found = list(islice(pictures, len(indices)))
    if len(found) < len(indices):
        raise InvalidInput(
            f"{name} has too few frames: {len(found)} of the {len(indices)} that the model sees, the last of which is "
            f"number {indices[-1] + 1}",
            hint="give a longer video, or a smaller frame_sampling_rate",
            position=position,
        )
    return found


def _decoded(stream: BinaryIO, indices: Sequence[int], name: str, position: int | None) -> Iterator[Image]:
    first = stream.read(12)
    stream.seek(0)
    if not first:
        raise InvalidInput(f"{name} is empty", hint=TAKES, position=position)
    if first.startswith(_STARTS) or first[8:] == b"WEBP":
        return _animation(stream, indices, name, position)
    return _film(stream, indices, name, position)


def _animation(stream: BinaryIO, indices: Sequence[int], name: str, position: int | None) -> Iterator[Image]:
    opened = decoding.open_file(stream, name=name, position=position)
    try:
        for index in indices:
            try:
                opened.seek(index)
            except EOFError:
                return
            opened.load()
            yield opened.convert("RGBA").convert("RGB")
    except decoding.damage() as error:
        raise decoding.damaged(opened.format, error, name=name, position=position) from error


def _film(stream: BinaryIO, indices: Sequence[int], name: str, position: int | None) -> Iterator[Image]:
    """Frames by PyAV; like transformers, without the rotation that the file may ask for."""
    try:
        import av
    except ImportError as error:
        raise decoding.missing("PyAV", "videos", "video") from error
    image, asked = decoding.pillow(), set(indices)
    try:
        with av.open(stream) as container:
            if not container.streams.video:
                raise InvalidInput(f"{name} holds no moving pictures", hint=TAKES, position=position)
            track = container.streams.video[0]
            if track.width and track.height:  # as the file's head says, before anything is decoded
                decoding.check_pixels((track.width, track.height), name=name, position=position)
            for index, frame in enumerate(container.decode(track)):
                decoding.check_pixels((frame.width, frame.height), name=name, position=position)
                if index in asked:
                    yield image.fromarray(frame.to_ndarray(format="rgb24"))
                if index >= indices[-1]:
                    return
    except (av.FFmpegError, OSError, ValueError) as error:
        raise InvalidInput(
            f"{name} is no video, or a damaged one ({getattr(error, 'strerror', None) or error})",
            hint=TAKES,
            position=position,
        ) from error
