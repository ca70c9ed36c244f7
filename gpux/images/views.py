"""Pictures → what a vision graph is given of each, and how many places it takes in a text, as the model's own processor says.

Knows no text and no graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput, RunFailed, UnsupportedModel
from gpux.fields import Fields
from gpux.images import recipe
from gpux.images.processor import ImageProcessor
from gpux.images.tiles import Tiling
from gpux.picture_grids import Features, Grid, Tower, features

if TYPE_CHECKING:
    from PIL.Image import Image

Arrays = Mapping[str, np.ndarray]

_NARROWEST = 200  # times as long as wide: Qwen's processor takes nothing narrower


@dataclass(frozen=True, slots=True)
class View:
    """One picture as a vision graph is given it.

    Attributes:
        feeds: The graph's inputs.
        places: How many places it takes in a text.
        grid: Frames, rows and columns of its places, where the model tells positions in two dimensions.
        cut: Of a picture in tiles, rows and columns of them, height and width of the picture.
    """

    feeds: Arrays
    places: int
    grid: Grid | None = None
    cut: tuple[int, int, int, int] | None = None

    def features(self, outputs: Arrays) -> Features:
        """What the graph's outputs mean for the language model.

        Raises:
            RunFailed: They do not fill the places.
        """
        found = features(outputs, grid=self.grid, cut=self.cut)
        if len(found.embeds) != self.places:
            raise RunFailed(
                f"the vision graph gives {len(found.embeds)} features where the processor leaves {self.places} places",
                hint="its processor_config.json does not belong to its weights; gpux pull --force",
            )
        return found


class Views(Protocol):
    """Makes views of pictures."""

    name: str

    def view(self, image: Image, *, position: int | None = None) -> View:
        """One picture, in RGB."""
        ...


def read(artifact: Artifact) -> Views:
    """What makes the views of a stored model.

    Raises:
        UnsupportedModel: It is of a family whose pictures GPUX cannot prepare.
    """
    configuration = Fields(artifact, recipe.CONFIGURATION)
    kind = configuration.text("model_type")
    if kind == "llava":
        return _WholeViews(artifact, configuration)
    if kind == "llava_next":
        return _TiledViews(artifact, configuration)
    if kind in {"qwen2_vl", "qwen2_5_vl", "qwen3_vl"}:
        return _PatchViews(artifact, configuration, kind)
    raise UnsupportedModel(
        f"pictures for models of type `{kind}` cannot be prepared yet",
        hint="the types that run are llava, llava_next, qwen2_vl, qwen2_5_vl, qwen3_vl",
        reference=artifact.reference,
    )


@dataclass(frozen=True, slots=True)
class _Counting:
    """How LLaVA's processors count the places of a picture."""

    patch: int
    more: int

    @classmethod
    def read(cls, artifact: Artifact, configuration: Fields) -> _Counting:
        own = Fields(artifact, "processor_config.json")
        tower = configuration.table("vision_config")
        patch = own.whole("patch_size", least=1) or tower.whole("patch_size", least=1)
        extra = own.whole("num_additional_image_tokens")
        strategy = own.text("vision_feature_select_strategy") or configuration.text(
            "vision_feature_select_strategy"
        )
        if patch is None:
            raise configuration.refused("vision_config", "an object with patch_size")
        # Without a word of it, a tower puts one place before its patches, which the strategy named `default` leaves out.
        first = extra if extra is not None else int(tower.text("model_type") != "siglip_vision_model")
        return cls(patch, first - int((strategy or "default") == "default"))

    def places(self, height: int, width: int) -> int:
        return (height // self.patch) * (width // self.patch) + self.more


class _WholeViews:
    """LLaVA: a picture of one size."""

    def __init__(self, artifact: Artifact, configuration: Fields) -> None:
        self._processor = ImageProcessor.read(artifact)
        self._counting = _Counting.read(artifact, configuration)
        self.name = self._processor.name

    def view(self, image: Image, *, position: int | None = None) -> View:
        array = self._processor.prepare(image, position=position).array
        return View({"pixel_values": array[None]}, self._counting.places(*array.shape[1:]))


class _TiledViews:
    """LLaVA-NeXT: tiles of one size, as many as the picture's proportions call for."""

    def __init__(self, artifact: Artifact, configuration: Fields) -> None:
        made = recipe.read(artifact)
        self._processor = ImageProcessor(made)
        self._counting = _Counting.read(artifact, configuration)
        self._tiling = Tiling.read(artifact, made, patch=self._counting.patch)
        self.name = made.name

    def view(self, image: Image, *, position: int | None = None) -> View:
        original = (image.height, image.width)
        tiles = self._tiling.cut(image)
        pixels = np.stack([self._processor.prepare(tile, position=position).array for tile in tiles])
        height, width = pixels.shape[2:]
        places = self._tiling.places(original, (height, width)) + self._counting.places(height, width)
        return View({"pixel_values": pixels}, places, cut=(*self._tiling.grid(original), *original))


class _PatchViews:
    """Qwen2-VL and later: a picture of any size in patches, in the order of the blocks that become one place."""

    def __init__(self, artifact: Artifact, configuration: Fields, kind: str) -> None:
        made = recipe.read(artifact)
        fields = recipe.settings(artifact)
        self._processor = ImageProcessor(made)
        self._patch = fields.whole("patch_size", least=1) or 14
        self._frames = fields.whole("temporal_patch_size", least=1) or 2
        self._tower = Tower.of(configuration.table("vision_config").data, kind)
        self.name = made.name

    def view(self, image: Image, *, position: int | None = None) -> View:
        if max(image.size) > _NARROWEST * min(image.size):
            raise InvalidInput(
                f"a picture of {image.width}×{image.height} pixels is too narrow for the model",
                hint=f"its longer edge may be {_NARROWEST} times the shorter",
                position=position,
            )
        array = self._processor.prepare(image, position=position).array
        grid = (1, array.shape[1] // self._patch, array.shape[2] // self._patch)
        feeds = {"pixel_values": self._patches(array, grid), **self._tower.feeds([grid])}
        merge = self._tower.merge
        return View(feeds, self._tower.places(grid), (1, grid[1] // merge, grid[2] // merge))

    def _patches(self, array: np.ndarray, grid: Grid) -> np.ndarray:
        """float32 [patches, channels × frames × patch × patch], every frame of a still picture alike."""
        merge, patch = self._tower.merge, self._patch
        blocks = array.reshape(3, grid[1] // merge, merge, patch, grid[2] // merge, merge, patch)
        ordered = blocks.transpose(1, 4, 2, 5, 0, 3, 6)[:, :, :, :, :, None]
        shape = (*ordered.shape[:5], self._frames, *ordered.shape[6:])
        return np.broadcast_to(ordered, shape).reshape(grid[1] * grid[2], -1)
