"""Pictures and films that nobody took: generated from a seed, with a photograph's detail at every scale, small enough for JSON.

For trials and measurements; knows no model.
"""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from gpux.images import decoding

if TYPE_CHECKING:
    from PIL.Image import Image

_QUALITY = 85
_OBJECTS = 9
_GRAIN = 4.0  # of 255: what a sensor adds


def photograph(seed: int, *, width: int = 640, height: int = 480) -> Image:
    """A scene of a sky, a ground and a few things on it, all with texture, lit from one side, in RGB."""
    chance = np.random.default_rng(seed)
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    across = np.linspace(0, 1, width, dtype=np.float32)[None]
    horizon = chance.uniform(0.35, 0.65) + 0.12 * (_texture(chance, width, 1, slope=1.6) - 0.5)
    sky, ground = _shade(chance, 0.6, 0.95), _shade(chance, 0.2, 0.6)
    sky = (
        sky * (1.1 - 0.5 * down)[..., None]
        + 0.12 * (_texture(chance, width, height, slope=1.4) - 0.5)[..., None]
    )
    ground = ground * (0.6 + 0.8 * _texture(chance, width, height, slope=0.5)[..., None])
    scene = np.where((down > horizon)[..., None], ground, sky)
    for _ in range(_OBJECTS):
        _put_object(scene, chance)
    scene *= (0.8 + 0.4 * across)[..., None]
    grain = _GRAIN * chance.standard_normal((height, width, 1), np.float32)
    pixels = np.clip(scene * np.float32(255) + grain, 0, 255).astype(np.uint8)
    made: Image = decoding.pillow().fromarray(pixels)
    return made


def photograph_url(seed: int, *, width: int = 640, height: int = 480) -> str:
    """The same as a ``data:image/jpeg;base64,…``, of about as many bytes as a camera's JPEG of the size."""
    stream = BytesIO()
    photograph(seed, width=width, height=height).save(stream, "JPEG", quality=_QUALITY)
    return _url("jpeg", stream)


def film_url(seed: int, *, frames: int = 16, width: int = 320, height: int = 240) -> str:
    """A pan over a scene as an animated ``data:image/webp;base64,…``."""
    step = max(1, width // (4 * frames))
    wide = photograph(seed, width=width + step * frames, height=height)
    first, *others = (wide.crop((step * index, 0, step * index + width, height)) for index in range(frames))
    stream = BytesIO()
    first.save(stream, "WEBP", save_all=True, append_images=others, duration=40, quality=60, method=0)
    return _url("webp", stream)


def _put_object(scene: np.ndarray, chance: np.random.Generator) -> None:
    """An ellipse or a block onto the scene, with a texture, a lit side and a hard edge."""
    height, width, _ = scene.shape
    tall, wide = (max(2, int(edge * chance.uniform(0.1, 0.4))) for edge in (height, width))
    top, left = int(chance.uniform(0, height - tall)), int(chance.uniform(0, width - wide))
    below = np.linspace(-1, 1, tall, dtype=np.float32)[:, None]
    beside = np.linspace(-1, 1, wide, dtype=np.float32)[None]
    texture = _texture(chance, wide, tall, slope=chance.uniform(0.4, 1.2))
    surface = _shade(chance, 0.15, 0.9) * (0.5 + texture - 0.3 * beside)[..., None]
    place = scene[top : top + tall, left : left + wide]
    if chance.random() < 0.6:
        np.copyto(place, surface, where=(below**2 + beside**2 < 1)[..., None])
    else:
        place[:] = surface


def _shade(chance: np.random.Generator, low: float, high: float) -> np.ndarray:
    return chance.uniform(low, high, 3).astype(np.float32)


def _texture(chance: np.random.Generator, width: int, height: int, *, slope: float) -> np.ndarray:
    """Noise of every scale, the finer the weaker, as photographs have it; float32 ``[height, width]`` from 0 to 1.

    Natural images' amplitude falls with about the first power of the frequency (Field 1987, doi:10.1364/JOSAA.4.002379).
    """
    image = decoding.pillow()
    total = np.zeros((height, width), np.float32)
    cells, weight = 2, 1.0
    while cells <= max(width, height):
        tall = max(1, min(height, cells * height // width))
        grid = image.fromarray(chance.random((tall, min(width, cells)), np.float32))
        total += weight * np.asarray(grid.resize((width, height), image.Resampling.BICUBIC))
        cells, weight = cells * 2, weight * 0.5**slope
    low, high = total.min(), total.max()
    scaled: np.ndarray = (total - low) / max(float(high - low), 1e-6)
    return scaled


def _url(kind: str, stream: BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
