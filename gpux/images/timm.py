"""timm's ``pretrained_cfg`` → the transform that timm makes of it for evaluation (``timm.data.create_transform``)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gpux.fields import Fields
from gpux.images import classes, figures, sizing
from gpux.images.sizing import Rule, Size

_FILTERS: Mapping[str, int] = {
    "nearest": classes.NEAREST,
    "bilinear": classes.BILINEAR,
    "bicubic": classes.BICUBIC,
    "box": classes.BOX,
    "hamming": classes.HAMMING,
    "lanczos": classes.LANCZOS,
}
_MODES = ("center", "squash", "border")
_DEFAULTS: Mapping[str, Any] = {
    "input_size": [3, 224, 224],
    "interpolation": "bicubic",
    "mean": classes.IMAGENET[0],
    "std": classes.IMAGENET[1],
    "crop_pct": 0.875,
    "crop_mode": "center",
}


@dataclass(frozen=True, slots=True)
class Transform:
    """What timm does: resize by ``rule`` with a filter, cut ``size`` out of the middle or ``fill`` around it, normalise."""

    size: Size
    rule: Rule
    resample: int
    fill: tuple[int, int, int]
    table: np.ndarray


def read(given: Fields) -> Transform:
    """The transform of a ``pretrained_cfg``.

    Raises:
        UnsupportedModel: A setting is out of range, or the model takes no colours.
    """
    fields = given.table("")  # of the same file, for its errors
    fields.data |= {**_DEFAULTS, **{key: value for key, value in given.data.items() if value}}
    size = _size(fields)
    share = figures.share(fields, "crop_pct")
    mode = fields.text("crop_mode", among=_MODES)
    scaled = math.floor(size[0] / share), math.floor(size[1] / share)
    rule: Rule
    if mode == "squash":
        rule = partial(sizing.exact, size=scaled)
    elif mode == "border":
        rule = partial(sizing.proportional, size=scaled, longest=True)
    elif scaled[0] == scaled[1]:
        rule = partial(sizing.shortest, edge=scaled[0])
    else:
        rule = partial(sizing.proportional, size=scaled, longest=False)
    mean = figures.channels(fields, "mean")
    fill = _colour(mean) if mode == "border" else (0, 0, 0)
    resample = _FILTERS[fields.text("interpolation", among=_FILTERS) or ""]
    return Transform(size, rule, resample, fill, _table(fields, mean))


def _size(fields: Fields) -> Size:
    value = fields.data.get("input_size")
    if not isinstance(value, list) or len(value) != 3 or value[0] != 3:
        raise fields.refused("input_size", "[3, height, width]")
    inner = fields.table("")
    inner.data |= {"input_size": value[1:]}
    return figures.both(inner, "input_size")


def _colour(mean: tuple[float, float, float]) -> tuple[int, int, int]:
    red, green, blue = (min(255, max(0, round(255 * value))) for value in mean)
    return red, green, blue


def _table(fields: Fields, mean: tuple[float, float, float]) -> np.ndarray:
    """Pixels by torchvision's ``ToTensor`` and ``Normalize``, which divide in float32."""
    values = np.arange(256, dtype=np.float32) / np.float32(255)
    deviation = np.asarray(figures.channels(fields, "std"), np.float32)[:, None]
    with np.errstate(all="ignore"):
        table: np.ndarray = (values[None] - np.asarray(mean, np.float32)[:, None]) / deviation
    if not np.isfinite(table).all():
        raise fields.refused("std", "a deviation that pixels can be divided by")
    return table
