"""Sizes and numbers out of a model's own file, within bounds that no hostile file can widen; knows no processor."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

from gpux.fields import Fields
from gpux.images.sizing import Size

LARGEST_EDGE = 8192
"""Pixels of the longest edge that a model may ask for; Depth Pro, the largest known, asks for 1536."""
_SHAPES: tuple[frozenset[str], ...] = (
    frozenset({"height", "width"}),
    frozenset({"shortest_edge"}),
    frozenset({"shortest_edge", "longest_edge"}),
    frozenset({"max_height", "max_width"}),
)
_KINDS = "a number of pixels, [height, width], or an object with height and width, shortest_edge (and longest_edge), or max_height and max_width"


def edges(fields: Fields, key: str, *, square: bool = True, longest: int | None = None) -> dict[str, int]:
    """A size as an object, as transformers' ``get_size_dict`` makes it; empty where there is none.

    Args:
        fields: The processor's settings.
        key: ``size``, ``crop_size`` or ``pad_size``.
        square: Whether a number stands for both edges, or for the shorter.
        longest: ``longest_edge`` where a number stands for the shorter.

    Raises:
        UnsupportedModel: It is no size, or none from 1 to :data:`LARGEST_EDGE`.
    """
    value = fields.data.get(key)
    if value is None:
        return {}
    if isinstance(value, list):
        if len(value) != 2:
            raise fields.refused(key, _KINDS)
        value = dict(zip(("height", "width"), value, strict=True))
    elif not isinstance(value, dict):
        given = {"height": value, "width": value} if square else {"shortest_edge": value}
        value = given | ({"longest_edge": longest} if longest is not None and not square else {})
    found = {name: edge for name, edge in value.items() if edge is not None}
    if frozenset(found) not in _SHAPES:
        raise fields.refused(key, _KINDS)
    for edge in found.values():
        if not _whole(edge) or not 1 <= edge <= LARGEST_EDGE:
            raise fields.refused(key, f"edges from 1 to {LARGEST_EDGE} pixels")
    return {name: int(edge) for name, edge in found.items()}


def both(fields: Fields, key: str, *, square: bool = True) -> Size:
    """A size that says height and width.

    Raises:
        UnsupportedModel: It does not.
    """
    found = edges(fields, key, square=square)
    if "height" not in found:
        raise fields.refused(key, "an object with height and width")
    return found["height"], found["width"]


def edge(fields: Fields, key: str) -> int:
    """A number of pixels from 1 to :data:`LARGEST_EDGE`.

    Raises:
        UnsupportedModel: It is none.
    """
    value = fields.whole(key, least=1)
    if value is None or value > LARGEST_EDGE:
        raise fields.refused(key, f"a number of pixels from 1 to {LARGEST_EDGE}")
    return value


def number(fields: Fields, key: str) -> float:
    """A finite number.

    Raises:
        UnsupportedModel: It is none.
    """
    value = fields.data.get(key)
    if not _finite(value):
        raise fields.refused(key, "a number")
    return float(value)


def share(fields: Fields, key: str) -> float:
    """A number above 0 and up to 1.

    Raises:
        UnsupportedModel: It is none.
    """
    value = number(fields, key)
    # A very small share would make an intermediate picture as much larger as it is small.
    if not 0.1 <= value <= 1:
        raise fields.refused(key, "a share from 0.1 to 1")
    return value


def channels(fields: Fields, key: str) -> tuple[float, float, float]:
    """One number for each of red, green and blue, or one for all.

    Raises:
        UnsupportedModel: It is neither.
    """
    value = fields.data.get(key)
    if isinstance(value, list) and len(value) == 3 and all(map(_finite, value)):
        return float(value[0]), float(value[1]), float(value[2])
    if _finite(value):
        return float(value), float(value), float(value)
    raise fields.refused(key, "a number, or one for each of red, green and blue")


def _finite(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and _fits(value)


def _fits(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def _whole(value: Any) -> bool:
    return _finite(value) and value == int(value)
