"""How each processor class reads ``size`` in a model's file: the rule that a picture is resized by, and the crop it brings.

Knows the settings, not the pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from gpux.fields import Fields
from gpux.images import figures, sizing
from gpux.images.sizing import Rule, Size

_WARPS_FROM = 384  # ConvNeXT squeezes to that size and above, and crops below
_LONGEST = 1333  # of the DETR family, where a file gives the shorter edge alone


@dataclass(frozen=True, slots=True)
class Scaling:
    """What becomes of a picture's size.

    Attributes:
        rule: Its size → the one that it is resized to.
        fixed: That size where it is the same for every picture.
        crop: What the rule itself cuts out of the middle.
        divisor: What both edges are multiples of; 1 where the rule has none.
    """

    rule: Rule
    fixed: Size | None = None
    crop: Size | None = None
    divisor: int = 1


def read(name: str, fields: Fields) -> Scaling:
    """The scaling of a processor class by the name of its rule in :mod:`gpux.images.classes`.

    Raises:
        UnsupportedModel: ``size`` is none that the rule knows.
    """
    return _RULES[name](fields)


def _plain(fields: Fields) -> Scaling:
    size = figures.edges(fields, "size", square=_square(fields))
    if "shortest_edge" in size and "longest_edge" not in size:
        return Scaling(partial(sizing.shortest, edge=size["shortest_edge"]))
    return _by(fields, size)


def _edges(fields: Fields) -> Scaling:
    return _by(fields, _detection(fields))


def _yolos(fields: Fields) -> Scaling:
    size = _detection(fields)
    if "longest_edge" not in size:
        return _by(fields, size)
    rule = partial(sizing.bounded_to_sixteen, edge=size["shortest_edge"], longest=size["longest_edge"])
    return Scaling(rule, divisor=16)


def _maskformer(fields: Fields) -> Scaling:
    size = figures.edges(fields, "size", square=False, longest=_longest(fields))
    found, divisor = _by(fields, size), _divisor(fields, least=0)
    if not divisor:
        return found
    rule = partial(sizing.raised, rule=found.rule, divisor=divisor)
    return Scaling(rule, None if found.fixed is None else rule(*found.fixed), divisor=divisor)


def _textnet(fields: Fields) -> Scaling:
    divisor = _divisor(fields)
    rule = partial(sizing.raised, rule=partial(sizing.shortest, edge=_shortest(fields)), divisor=divisor)
    return Scaling(rule, divisor=divisor)


def _lowered(fields: Fields) -> Scaling:
    divisor = _divisor(fields)
    return Scaling(partial(sizing.lowered, divisor=divisor), divisor=divisor)


def _vilt(fields: Fields) -> Scaling:
    divisor = _divisor(fields)
    return Scaling(partial(sizing.shortest_lowered, edge=_shortest(fields), divisor=divisor), divisor=divisor)


def _convnext(fields: Fields) -> Scaling:
    edge = _shortest(fields)
    if edge >= _WARPS_FROM:
        return _exactly((edge, edge))
    longer = int(edge / figures.share(fields, "crop_pct"))
    return Scaling(partial(sizing.shortest, edge=longer), crop=(edge, edge))


def _levit(fields: Fields) -> Scaling:
    size = figures.edges(fields, "size", square=_square(fields))
    if "shortest_edge" in size:
        return Scaling(partial(sizing.shortest, edge=int((256 / 224) * size["shortest_edge"])))
    return _by(fields, size)


def _poolformer(fields: Fields) -> Scaling:
    if fields.data.get("crop_pct") is None:
        return _plain(fields)
    size, crop = figures.edges(fields, "size", square=_square(fields)), figures.share(fields, "crop_pct")
    if "shortest_edge" in size:
        return Scaling(partial(sizing.shortest, edge=int(size["shortest_edge"] / crop)))
    if "height" not in size:
        raise fields.refused("size", "an object with shortest_edge, or with height and width")
    if size["height"] == size["width"]:
        return Scaling(partial(sizing.shortest, edge=int(size["height"] / crop)))
    return _exactly((int(size["height"] / crop), int(size["width"] / crop)))


def _dpt(fields: Fields) -> Scaling:
    size, of = (
        figures.both(fields, "size", square=_square(fields)),
        figures.edge(fields, "ensure_multiple_of"),
    )
    keep = bool(fields.flag("keep_aspect_ratio"))
    rule = partial(sizing.multiple, size=size, of=of, keep=keep)
    # Half-way between two multiples, the picture's own size decides by its rounding.
    tie = any(edge * 2 % of == 0 and edge % of for edge in size)
    return Scaling(rule, None if keep or tie else rule(*size), divisor=of)


def _patches(fields: Fields) -> Scaling:
    of = figures.edge(fields, "patch_size") * figures.edge(fields, "merge_size")
    size = fields.table("size")
    least = fields.whole("min_pixels", least=1) or size.whole("shortest_edge", least=1)
    most = fields.whole("max_pixels", least=1) or size.whole("longest_edge", least=1)
    if least is None or most is None:
        raise fields.refused("size", "an object with shortest_edge and longest_edge")
    return Scaling(partial(sizing.patched, of=of, least=least, most=most), divisor=of)


_RULES: Mapping[str, Callable[[Fields], Scaling]] = {
    "plain": _plain,
    "edges": _edges,
    "yolos": _yolos,
    "maskformer": _maskformer,
    "textnet": _textnet,
    "lowered": _lowered,
    "vilt": _vilt,
    "convnext": _convnext,
    "levit": _levit,
    "poolformer": _poolformer,
    "dpt": _dpt,
    "patches": _patches,
}


def _by(fields: Fields, size: Mapping[str, int]) -> Scaling:
    """What most classes do with a size that is no lone shorter edge."""
    if "longest_edge" in size:
        return Scaling(partial(sizing.bounded, edge=size["shortest_edge"], longest=size["longest_edge"]))
    if "max_height" in size:
        return Scaling(partial(sizing.within, tallest=size["max_height"], widest=size["max_width"]))
    if "height" in size:
        return _exactly((size["height"], size["width"]))
    raise fields.refused("size", "an object with height and width, or with shortest_edge and longest_edge")


def _exactly(size: Size) -> Scaling:
    return Scaling(partial(sizing.exact, size=size), size)


def _detection(fields: Fields) -> dict[str, int]:
    return figures.edges(fields, "size", square=False, longest=_longest(fields) or _LONGEST)


def _longest(fields: Fields) -> int | None:
    return None if fields.data.get("max_size") is None else figures.edge(fields, "max_size")


def _shortest(fields: Fields) -> int:
    size = figures.edges(fields, "size", square=_square(fields))
    if "shortest_edge" not in size:
        raise fields.refused("size", "an object with shortest_edge")
    return size["shortest_edge"]


def _divisor(fields: Fields, *, least: int = 1) -> int:
    value = fields.whole("size_divisor", least=least)
    if value is None or value > figures.LARGEST_EDGE:
        raise fields.refused("size_divisor", f"a number of pixels up to {figures.LARGEST_EDGE}")
    return value


def _square(fields: Fields) -> bool:
    return bool(fields.flag("default_to_square"))
