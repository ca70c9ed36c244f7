"""Pictures → what the model reads, as its own processor of transformers makes it, to the bit; one picture at a time.

Knows no files of pictures and no tasks. Resizing and decoding leave Python's lock, so threads prepare side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.images import pixels, recipe
from gpux.images.recipe import Recipe
from gpux.images.sizing import Size

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST = 1 << 26
"""Pixels of the largest picture that a model's settings may make: a strip of one pixel's width can become gigabytes."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One picture as the model reads it.

    Attributes:
        array: float32 ``[channels, height, width]``.
        original: Height and width of the picture that was given.
        resized: Height and width of what is picture in ``array``; the rest is padding, below and to the right of it.
    """

    array: np.ndarray
    original: Size
    resized: Size


class ImageProcessor:
    """What a model's own processor does.

    Attributes:
        name: The class of transformers that does the same.
        fixed: Height and width where every picture comes out alike, else ``None``.
        divisor: What height and width are multiples of; 1 where the model does not say.
        masked: Whether :meth:`batch` gives a ``pixel_mask``.
        padded: Whether :meth:`batch` takes pictures of several sizes.
    """

    __slots__ = ("_recipe", "divisor", "fixed", "masked", "name", "padded")

    def __init__(self, made: Recipe) -> None:
        self._recipe = made
        self.name = made.name
        self.fixed = made.fixed
        self.divisor = made.divisor
        self.masked = made.pads in {"mask", "always"}
        self.padded = self.masked or made.pads == "zeros"

    @classmethod
    def read(cls, artifact: Artifact) -> ImageProcessor:
        """The processor of a stored model.

        Raises:
            UnsupportedModel: The model's files name no processor that GPUX knows, or have a setting out of range.
            CorruptArtifact: A file is no JSON.
        """
        return cls(recipe.read(artifact))

    def prepare(self, image: Image, *, position: int | None = None) -> Prepared:
        """One picture.

        Args:
            image: In RGB, as :func:`gpux.images.loading.open_image` gives it.
            position: Where it stood in the list, for the error.

        Raises:
            InvalidInput: The model's settings would make nothing of it, or more than :data:`LARGEST` pixels.
        """
        made = self._recipe
        original = image.height, image.width
        if made.page is not None:
            image = made.page.laid(image, resample=made.resample)
        if made.squared:
            edge = max(self._sound((max(original), max(original)), original, position))
            image = self._placed(image, (edge, edge), (edge - original[0]) // 2, (edge - original[1]) // 2)
        if made.window is not None:
            image = self._cut(image, self._sound(made.window(*original), original, position))
        if made.rule is not None:
            height, width = self._sound(made.rule(image.height, image.width), original, position)
            if made.smooth:
                smooth = pixels.resize(image, (height, width), made.table, resample=made.resample)
                return Prepared(smooth, original, (height, width))
            image = image.resize((width, height), resample=made.resample)
        for size in made.crops:
            image = self._cut(image, size)
        array = pixels.look_up(np.asarray(image), made.table, flipped=made.flipped)
        return Prepared(self._around(array), original, (image.height, image.width))

    def batch(self, prepared: Sequence[Prepared]) -> dict[str, np.ndarray]:
        """What the graph is given: ``pixel_values`` float32 ``[batch, channels, height, width]``.

        And ``pixel_mask`` int64 ``[batch, height, width]``, 1 where there is picture, where the model's processor makes one.

        Raises:
            InvalidInput: The pictures are of several sizes and the model's processor does not pad them, or one is larger
                than the size that it pads to.
        """
        sizes = [one.array.shape[1:] for one in prepared]
        height, width = self._recipe.pad_size or (max(s[0] for s in sizes), max(s[1] for s in sizes))
        whole = all(size == (height, width) for size in sizes)
        if not whole and not self.padded:
            raise InvalidInput(
                "pictures of several sizes cannot be computed together by this model",
                hint="put those of one size into a batch",
            )
        if any(size[0] > height or size[1] > width for size in sizes):
            raise InvalidInput(
                f"a picture is larger than {width}×{height}, to which the model pads",
                hint="make it smaller",
            )
        values = (np.empty if whole else np.zeros)((len(prepared), 3, height, width), np.float32)
        for row, one in zip(values, prepared, strict=True):
            row[:, : one.array.shape[1], : one.array.shape[2]] = one.array
        if not self.masked:
            return {"pixel_values": values}
        mask = np.zeros((len(prepared), height, width), np.int64)
        for row, size in zip(mask, sizes, strict=True):
            row[: size[0], : size[1]] = 1
        return {"pixel_values": values, "pixel_mask": mask}

    def _cut(self, image: Image, size: Size) -> Image:
        height, width = size
        top, left = self._recipe.begin(height, image.height), self._recipe.begin(width, image.width)
        inside = height <= image.height and width <= image.width
        if inside or self._recipe.fill == (0, 0, 0):  # which is what lies outside a picture to Pillow
            return image.crop((left, top, left + width, top + height))
        return self._placed(image, size, -top, -left)

    def _placed(self, image: Image, size: Size, top: int, left: int) -> Image:
        """A picture on a ground of the colour of what lies outside."""
        from PIL import Image

        ground = Image.new("RGB", (size[1], size[0]), self._recipe.fill)
        ground.paste(image, (left, top))
        return ground

    def _around(self, array: np.ndarray) -> np.ndarray:
        made = self._recipe
        height, width = array.shape[1:]
        target = recipe.padded_to((height, width), made.pads, made.divisor)
        below, beside = target[0] - height, target[1] - width
        if not below and not beside:
            return array
        if made.pads == "mirror":
            return np.pad(array, ((0, 0), (0, below), (0, beside)), mode="symmetric")
        edges = (below // 2, below - below // 2), (beside // 2, beside - beside // 2)
        return np.pad(array, ((0, 0), *edges))

    def _sound(self, size: Size, original: Size, position: int | None) -> Size:
        name = "the picture" if position is None else f"the picture of input {position}"
        if min(size) < 1:
            raise InvalidInput(
                f"{name}, {original[1]}×{original[0]} pixels, is too small or too narrow for the model",
                hint="give a larger one",
                position=position,
            )
        if size[0] * size[1] > LARGEST:
            raise InvalidInput(
                f"{name}, {original[1]}×{original[0]} pixels, would become {size[1]}×{size[0]} for the model",
                hint="cut it into pieces that are less long and thin",
                position=position,
            )
        return size
