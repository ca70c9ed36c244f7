"""Maps of numbers at another size, as ``torch.nn.functional.interpolate`` makes them (``align_corners=False``, no antialias).

Source: https://github.com/pytorch/pytorch/blob/v2.13.0/aten/src/ATen/native/UpSample.h
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float32]"
Size = tuple[int, int]
"""Height and width."""
Taps: TypeAlias = "tuple[tuple[NDArray[np.intp], Floats], ...]"
"""Per tap, where each new point reads and how much that counts."""

_SHARPNESS = -0.75  # of the cubic kernel; Keys' own is -0.5
_AT_ONCE = 1 << 22
"""Numbers of a band, 16 MiB."""


def bilinear(maps: Floats, size: Size) -> Floats:
    """float32 [..., height, width] → [..., *size], linear in both directions."""
    return _resized(maps, size, _linear)


def bicubic(maps: Floats, size: Size) -> Floats:
    """float32 [..., height, width] → [..., *size], cubic in both directions; may overshoot."""
    return _resized(maps, size, _cubic)


def nearest(maps: np.ndarray, size: Size) -> np.ndarray:
    """[..., height, width] of any type → [..., *size], each point from the one below it."""
    rows, columns = (_below(old, new) for old, new in zip(maps.shape[-2:], size, strict=True))
    found: np.ndarray = maps[..., rows[:, None], columns]
    return found


def bands(maps: Floats, size: Size) -> Iterator[tuple[slice, Floats]]:
    """:func:`bilinear` of [planes, height, width] from the top down, so that memory holds a band of rows and never the whole.

    Yields:
        The rows, and float32 [planes, rows, width].
    """
    wide = maps if maps.shape[-1] == size[1] else _along(maps, _linear(maps.shape[-1], size[1]), axis=-1)
    taps = _linear(maps.shape[-2], size[0])
    step = max(1, _AT_ONCE // max(1, len(maps) * size[1]))
    for start in range(0, size[0], step):
        rows = slice(start, min(start + step, size[0]))
        if maps.shape[-2] == size[0]:
            yield rows, wide[:, rows]
        else:
            yield rows, _along(wide, tuple((index[rows], part[rows]) for index, part in taps), axis=-2)


def _resized(maps: Floats, size: Size, kernel: Callable[[int, int], Taps]) -> Floats:
    height, width = maps.shape[-2:]
    if width != size[1]:
        maps = _along(maps, kernel(width, size[1]), axis=-1)
    if height != size[0]:
        maps = _along(maps, kernel(height, size[0]), axis=-2)
    return maps


def _along(maps: Floats, taps: Taps, *, axis: int) -> Floats:
    total, *rest = (
        maps.take(index, axis=axis) * (part if axis == -1 else part[:, None]) for index, part in taps
    )
    for more in rest:
        total += more
    return total


@lru_cache(maxsize=64)
def _linear(old: int, new: int) -> Taps:
    at = _centres(old, new).clip(0)
    first = at.astype(np.intp)
    share = at - first.astype(np.float32)
    return (first, 1 - share), (np.minimum(first + 1, old - 1), share)


@lru_cache(maxsize=64)
def _cubic(old: int, new: int) -> Taps:
    at = _centres(old, new)
    first = np.floor(at).astype(np.intp)
    share = at - first.astype(np.float32)
    distances = (1 + share, share, 1 - share, 2 - share)
    weights = (_far(distances[0]), _close(distances[1]), _close(distances[2]), _far(distances[3]))
    return tuple(
        (np.clip(first + step, 0, old - 1), weight)
        for step, weight in zip((-1, 0, 1, 2), weights, strict=True)
    )


def _centres(old: int, new: int) -> Floats:
    # In float32, as torch does it: it is what the last digits come from.
    half = np.float32(0.5)
    return (np.arange(new, dtype=np.float32) + half) * (np.float32(old) / np.float32(new)) - half


def _below(old: int, new: int) -> NDArray[np.intp]:
    # torch works the scale out in float32, which decides where a point falls between two.
    scale = np.float32(old) / np.float32(new)
    return np.minimum((np.arange(new, dtype=np.float32) * scale).astype(np.intp), old - 1)


def _close(x: Floats) -> Floats:
    """The kernel up to a distance of one."""
    curve: Floats = ((_SHARPNESS + 2) * x - (_SHARPNESS + 3)) * x * x + 1
    return curve


def _far(x: Floats) -> Floats:
    """The kernel from a distance of one to two."""
    curve: Floats = ((_SHARPNESS * x - 5 * _SHARPNESS) * x + 8 * _SHARPNESS) * x - 4 * _SHARPNESS
    return curve
