"""LLaVA-NeXT's tiles: which size a picture is cut at, and the tiles themselves.

Source: ``image_processing_llava_next.py`` of transformers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpux.artifact import Artifact
from gpux.fields import Fields
from gpux.images import figures, recipe, sizing
from gpux.images.recipe import Recipe
from gpux.images.sizing import Size
from gpux.picture_grids import margins

if TYPE_CHECKING:
    from PIL.Image import Image

_POINTS = "image_grid_pinpoints"
_MOST = 64  # sizes, and tiles of a size: more is no picture's


@dataclass(frozen=True, slots=True)
class Tiling:
    """How pictures are cut.

    Attributes:
        sizes: Heights and widths that a picture may be fitted into.
        tile: Pixels along an edge of a tile.
        whole: Height and width of the small picture that stands before the tiles.
        patch: Pixels along an edge of what becomes one place.
        resample: Pillow's number of the filter.
    """

    sizes: tuple[Size, ...]
    tile: int
    whole: Size
    patch: int
    resample: int

    @classmethod
    def read(cls, artifact: Artifact, made: Recipe, *, patch: int) -> Tiling:
        """The tiling of a stored model.

        Raises:
            UnsupportedModel: Its sizes are none, or tower and processor have other ones.
        """
        fields = recipe.settings(artifact)
        points = _sizes(fields)
        if _POINTS in (own := Fields(artifact, recipe.CONFIGURATION)) and _sizes(own) != points:
            raise own.refused(_POINTS, "the sizes that its processor cuts pictures at")
        size = figures.edges(fields, "size", square=False)
        edge = size.get("shortest_edge") or size.get("height") or 0
        whole = (size["height"], size["width"]) if "height" in size else (edge, edge)
        crop = figures.edges(fields, "crop_size").get("height")
        tile = crop or whole[0]
        if made.fixed is None or any(side % tile for one in points for side in one):
            raise fields.refused(_POINTS, f"sizes in multiples of {tile} pixels")
        if max(one[0] * one[1] for one in points) > _MOST * tile * tile:
            raise fields.refused(_POINTS, f"at most {_MOST} tiles")
        return cls(points, tile, whole, patch, made.resample)

    def cut(self, image: Image) -> list[Image]:
        """The small picture of the whole, then the tiles from left to right and from top to bottom."""
        target = self.chosen((image.height, image.width))
        tall, wide = sizing.fitted(image.height, image.width, target=target)
        fitted = image.resize((wide, tall), resample=self.resample)
        left, top = (target[1] - wide) // 2, (target[0] - tall) // 2
        ground = fitted.crop((-left, -top, target[1] - left, target[0] - top))
        small = image.resize((self.whole[1], self.whole[0]), resample=self.resample)
        tiles = [
            ground.crop((x, y, x + self.tile, y + self.tile))
            for y in range(0, target[0], self.tile)
            for x in range(0, target[1], self.tile)
        ]
        return [small, *tiles]

    def chosen(self, original: Size) -> Size:
        """The size that keeps most of a picture and wastes least (``select_best_resolution``)."""
        height, width = original
        best, kept, wasted = self.sizes[0], 0, float("inf")
        for tall, wide in self.sizes:
            scale = min(wide / width, tall / height)
            effective = min(int(width * scale) * int(height * scale), width * height)
            waste = tall * wide - effective
            if effective > kept or (effective == kept and waste < wasted):
                best, kept, wasted = (tall, wide), effective, waste
        return best

    def places(self, original: Size, size: Size) -> int:
        """Places of the tiles' rows and of the newlines behind them, without the small picture's."""
        rows, columns = self._grid(original, size)
        return rows * columns + rows

    def grid(self, original: Size) -> Size:
        """Rows and columns of tiles."""
        target = self.chosen(original)
        return target[0] // self.tile, target[1] // self.tile

    def _grid(self, original: Size, size: Size) -> Size:
        target = self.chosen(original)
        rows = size[0] // self.patch * (target[0] // size[0])
        columns = size[1] // self.patch * (target[1] // size[1])
        top, left = margins(original, (rows, columns))
        return rows - 2 * top, columns - 2 * left


def _sizes(fields: Fields) -> tuple[Size, ...]:
    value = fields.data.get(_POINTS)
    good = isinstance(value, list) and 0 < len(value) <= _MOST
    pairs = value if isinstance(value, list) else []
    for pair in pairs:
        good = good and isinstance(pair, list) and len(pair) == 2 and all(map(_is_edge, pair))
    if not good:
        raise fields.refused(_POINTS, "a list of [height, width]")
    return tuple((int(tall), int(wide)) for tall, wide in pairs)


def _is_edge(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= figures.LARGEST_EDGE
