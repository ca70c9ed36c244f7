"""Answers drawn onto a picture for a person to look at: boxes with labels, coloured masks, depth; the same colours every time.

Knows the shapes of answers, no task.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from zlib import crc32

import numpy as np

from gpux.errors import InvalidInput, InvalidSetting
from gpux.images import decoding

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

Colour: TypeAlias = tuple[int, int, int]
ENDINGS: Mapping[str, str] = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Endings that :func:`save` takes → Pillow's name of the format."""
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_GOLDEN = 0.618033988749895  # of a turn of the colour wheel: however many follow, none is near the one before
_COVER = 0.5
_VIRIDIS = np.array(
    [
        (68, 1, 84),
        (71, 44, 122),
        (59, 81, 139),
        (44, 113, 142),
        (33, 144, 141),
        (39, 173, 129),
        (92, 200, 99),
        (170, 220, 50),
        (253, 231, 37),
    ],
    np.float32,
)
"""Every eighth of Viridis (CC0), which also reads in grey."""


def colour(label: str | int) -> Colour:
    """The colour of a class, by its number or its name; the same in every process."""
    index = label if isinstance(label, int) else crc32(label.encode("utf-8", "replace"))
    hue, light = (index * _GOLDEN) % 1, 0.5 if index % 2 else 0.62
    red, green, blue = colorsys.hls_to_rgb(hue, light, 0.85)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_boxes(image: Image, found: Iterable[Mapping[str, Any]]) -> Image:
    """A copy with a box around everything that was found, and what it is.

    Args:
        image: In RGB.
        found: As object detection answers: ``{"label": …, "score": …, "box": {"xmin": …, "ymin": …, "xmax": …, "ymax": …}}``.
            Corners may lie outside the picture; a box that is not all numbers is left out.
    """
    from PIL import ImageDraw

    copy = image.copy()
    draw, width = ImageDraw.Draw(copy), _line(image)
    for one in sorted(
        found, key=lambda one: float(one.get("score") or 0)
    ):  # the surest last, above the others
        corners = [float(one["box"][corner]) for corner in _CORNERS]
        if not all(map(math.isfinite, corners)):
            continue
        left, right = sorted(_inside(x, image.width) for x in corners[::2])
        top, bottom = sorted(_inside(y, image.height) for y in corners[1::2])
        shade = colour(str(one["label"]))
        draw.rectangle((left, top, right, bottom), outline=shade, width=width)
        _write(draw, (left, top), _caption(one), shade, image)
    return copy


def draw_masks(image: Image, segments: Sequence[Mapping[str, Any]]) -> Image:
    """A copy with every segment tinted in the colour of its label, outlined and named.

    Args:
        image: In RGB.
        segments: As image segmentation answers: ``{"label": …, "score": …, "mask": …}``, the mask an array
            ``[height, width]`` or a PIL image of the picture's size, true or above 0 where the segment is.

    Raises:
        InvalidInput: A mask is not of the picture's size.
    """
    from PIL import ImageDraw

    pixels = np.array(image)
    places: list[tuple[Mapping[str, Any], tuple[int, int]]] = []
    for one in segments:
        mask = np.asarray(one["mask"]) > 0
        if mask.shape != pixels.shape[:2]:
            raise InvalidInput(
                f"a mask is {mask.shape}, the picture {pixels.shape[:2]}",
                hint="give masks of its height and width",
            )
        if not mask.any():
            continue
        shade = np.array(colour(str(one["label"])), np.float32)
        pixels[mask] = np.rint(pixels[mask] * (1 - _COVER) + shade * _COVER).astype(np.uint8)
        pixels[_outline(mask)] = shade.astype(np.uint8)
        places.append((one, _middle(mask)))
    made = decoding.pillow().fromarray(pixels)
    draw = ImageDraw.Draw(made)
    for one, place in places:
        _write(draw, place, _caption(one), colour(str(one["label"])), image)
    drawn: Image = made
    return drawn


def draw_depth(depth: np.ndarray, *, coloured: bool = False) -> Image:
    """A map of depths as a picture: what is largest is brightest.

    Args:
        depth: Any floats ``[height, width]``; what is not finite becomes black.
        coloured: In colours of 8 bits; else in grey of 16, which keeps what 8 would round away.
    """
    values = np.asarray(depth, np.float64)
    finite = np.isfinite(values)
    known = values[finite]
    low, span = (known.min(), np.ptp(known)) if known.size else (0.0, 0.0)
    share = np.zeros(values.shape)
    if span > 0:
        np.divide(values - low, span, out=share, where=finite)
    image = decoding.pillow()
    if not coloured:
        grey: Image = image.fromarray(np.rint(share * 65535).astype(np.uint16))
        return grey
    places = np.linspace(0, 1, len(_VIRIDIS))
    channels = [np.interp(share, places, _VIRIDIS[:, channel]) for channel in range(3)]
    pixels = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    pixels[~finite] = 0
    made: Image = image.fromarray(pixels)
    return made


def save(image: Image, path: Path) -> None:
    """Write a picture in the format of the path's ending; 16 bits become 8 where the format has no more.

    Raises:
        InvalidSetting: Another ending, or the file cannot be written.
    """
    kind = ENDINGS.get(path.suffix.lower())
    if kind is None:
        raise InvalidSetting(
            f"`{path}` ends in none of {', '.join(ENDINGS)}", hint="name it out.png", path=path
        )
    if kind != "PNG" and image.mode.startswith("I"):
        image = decoding.pillow().fromarray((np.asarray(image) >> 8).astype(np.uint8))
    try:
        image.save(path, kind, **({} if kind == "PNG" else {"quality": 92}))
    except OSError as error:
        raise InvalidSetting(
            f"`{path}` cannot be written ({error.strerror or error})",
            hint=f"make the folder {path.parent} and make it writable",
            path=path,
        ) from error


def _caption(one: Mapping[str, Any]) -> str:
    score = one.get("score")
    return str(one["label"]) if score is None else f"{one['label']} {float(score):.2f}"


def _inside(value: float, edge: int) -> float:
    return min(max(value, 0.0), edge - 1.0)


def _line(image: Image) -> int:
    return max(1, round(min(image.size) / 160))


def _outline(mask: np.ndarray) -> np.ndarray:
    """Those of its pixels that have a neighbour outside."""
    inner = mask.copy()
    inner[1:] &= mask[:-1]
    inner[:-1] &= mask[1:]
    inner[:, 1:] &= mask[:, :-1]
    inner[:, :-1] &= mask[:, 1:]
    edge: np.ndarray = mask & ~inner
    return edge


def _middle(mask: np.ndarray) -> tuple[int, int]:
    """Where a name begins: in the middle of its middle row, which a ring or a crescent has no pixel of."""
    rows = np.flatnonzero(mask.any(axis=1))
    row = int(rows[len(rows) // 2])
    columns = np.flatnonzero(mask[row])
    return int(columns[len(columns) // 2]), row


def _write(draw: ImageDraw, place: tuple[float, float], text: str, shade: Colour, image: Image) -> None:
    """A name on a ground of its colour, moved until it lies inside the picture."""
    from PIL import ImageFont

    font = ImageFont.load_default(max(10, min(image.size) // 30))
    text = " ".join(text.split())
    if not hasattr(font, "getlength") or not hasattr(
        font, "path"
    ):  # Pillow without FreeType has Latin letters alone
        text = text.encode("latin-1", "replace").decode("latin-1")
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    wide, tall, margin = right - left, bottom - top, 2
    x = max(margin, min(place[0], image.width - wide - margin))
    y = max(margin, min(place[1], image.height - tall - margin))
    draw.rectangle((x - margin, y - margin, x + wide + margin, y + tall + margin), fill=shade)
    light = 0.299 * shade[0] + 0.587 * shade[1] + 0.114 * shade[2]
    draw.text((x - left, y - top), text, fill=(0, 0, 0) if light > 120 else (255, 255, 255), font=font)
