"""Pictures as a language model counts them: their features, and what follows from their sizes in patches; knows no pixels.

Source: ``transformers.vision_utils``, which computes the same from ``grid_thw`` inside the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Grid: TypeAlias = tuple[int, int, int]
"""Frames, rows and columns of patches."""
Size: TypeAlias = tuple[int, int]
"""Height and width, or rows and columns."""

AXES = {
    "position_ids": "patches",
    "segments": "patches",
    "order": "places",
    "window_index": "places",
    "window_segments": "patches",
    "interp_indices": "patches",
    "interp_weights": "patches",
}
"""Tensor → the name of its first axis."""


@dataclass(frozen=True, slots=True)
class Features:
    """What the language model sees of a picture.

    Attributes:
        embeds: float32 [places, hidden].
        deeper: float32 [layers, places, hidden], added to what its first layers make of those places; ``None`` in most models.
        grid: Frames, rows and columns of its places, where positions are told in two dimensions.
    """

    embeds: np.ndarray
    deeper: np.ndarray | None = None
    grid: Grid | None = None


@dataclass(frozen=True, slots=True)
class Tower:
    """What of a tower's configuration decides about sizes.

    Attributes:
        merge: Patches along an edge that become one place in the text.
        window: Places along an edge of a window of attention; 0 where every patch sees its whole picture.
        side: Entries along an edge of the table of learned positions; 0 where there is none.
    """

    merge: int
    window: int = 0
    side: int = 0

    @classmethod
    def of(cls, config: Mapping[str, Any], model_type: str) -> Tower:
        """The tower of a ``vision_config``."""
        merge = int(config["spatial_merge_size"])
        if model_type == "qwen2_5_vl":
            return cls(merge, window=int(config["window_size"]) // merge // int(config["patch_size"]))
        if model_type == "qwen3_vl":
            return cls(merge, side=int(int(config["num_position_embeddings"]) ** 0.5))
        return cls(merge)

    def places(self, grid: Grid) -> int:
        """How many places a picture takes in a text."""
        frames, rows, columns = grid
        return frames * rows * columns // self.merge**2

    def feeds(self, sizes: Sequence[Grid]) -> dict[str, np.ndarray]:
        """Everything about pictures that lie in one row of patches: int64, weights float32, by the names of :data:`AXES`."""
        given = {"position_ids": self._positions(sizes), "segments": _segments(sizes)}
        if self.window:
            given |= self._windows(sizes)
        else:  # so that the number of places, too, is the size of something that is given
            given["order"] = np.arange(sum(map(self.places, sizes)))
        if self.side:
            given |= self._interpolation(sizes)
        return given

    def _blocks(self, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of each patch of a frame, in the order of the blocks that become one place."""
        down, across = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
        shape = (rows // self.merge, self.merge, columns // self.merge, self.merge)
        return tuple(one.reshape(shape).transpose(0, 2, 1, 3).ravel() for one in (down, across))  # type: ignore[return-value]

    def _positions(self, sizes: Sequence[Grid]) -> np.ndarray:
        parts = []
        for frames, rows, columns in sizes:
            parts.append(np.tile(np.stack(self._blocks(rows, columns), axis=-1), (frames, 1)))
        return np.concatenate(parts).astype(np.int64)

    def _windows(self, sizes: Sequence[Grid]) -> dict[str, np.ndarray]:
        order, lengths, first = [], [], 0
        edge = self.window
        for frames, rows, columns in sizes:
            down, across = rows // self.merge, columns // self.merge
            index = np.arange(frames * down * across).reshape(frames, down, across)
            for frame in index:
                for top in range(0, down, edge):
                    for left in range(0, across, edge):
                        inside = frame[top : top + edge, left : left + edge].ravel()
                        order.append(inside + first)
                        lengths.append(inside.size * self.merge**2)
            first += index.size
        return {
            "window_index": np.concatenate(order).astype(np.int64),
            "window_segments": np.repeat(np.arange(len(lengths)), lengths).astype(np.int64),
        }

    def _interpolation(self, sizes: Sequence[Grid]) -> dict[str, np.ndarray]:
        """Which four of the learned positions each patch lies between, and how near to each."""
        indices, weights = [], []
        for frames, rows, columns in sizes:
            down, across = self._blocks(rows, columns)
            tall, near = self._taps(down, rows)
            wide, beside = self._taps(across, columns)
            taps = (tall[:, :, None] * self.side + wide[:, None, :]).reshape(-1, 4)
            share = (near[:, :, None] * beside[:, None, :]).reshape(-1, 4)
            indices.append(np.tile(taps, (frames, 1)))
            weights.append(np.tile(share, (frames, 1)))
        return {
            "interp_indices": np.concatenate(indices).astype(np.int64),
            "interp_weights": np.concatenate(weights).astype(np.float32),
        }

    def _taps(self, index: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        # In float32 and in this order, as transformers computes it.
        source = index.astype(np.float32) * np.float32(self.side - 1) / np.float32(max(size - 1, 1))
        floor = np.floor(source)
        taps = floor.astype(np.int64)[:, None] + np.arange(2)
        distance = np.abs(source[:, None] - floor[:, None] - np.arange(2, dtype=np.float32))
        return np.clip(taps, 0, self.side - 1), np.maximum(1 - distance, 0)


def _segments(sizes: Sequence[Grid]) -> np.ndarray:
    """The number of the frame that each patch belongs to; patches see those of their own frame alone."""
    lengths = [rows * columns for frames, rows, columns in sizes for _ in range(frames)]
    return np.repeat(np.arange(len(lengths)), lengths).astype(np.int64)


def coordinates(grid: Grid) -> np.ndarray:
    """Frame, row and column of each place of a picture, int64 [3, places]."""
    frame, row, column = np.meshgrid(*map(np.arange, grid), indexing="ij")
    return np.stack([frame, row, column]).reshape(3, -1)


FEATURES, NEWLINE, DEEPSTACK = "image_features", "image_newline", "deepstack_features"
"""Outputs of a vision graph."""


def features(
    outputs: Mapping[str, np.ndarray], *, grid: Sequence[int] | None = None, cut: Sequence[int] | None = None
) -> Features:
    """What a vision graph's outputs for one picture mean for the language model.

    Args:
        outputs: By name.
        grid: Frames, rows and columns of its places, where positions are told in two dimensions.
        cut: Of a picture in tiles, rows and columns of them, height and width of the picture.
    """
    given = {name: array.astype(np.float32, copy=False) for name, array in outputs.items()}
    found = given[FEATURES]
    if cut is not None:
        down, across, height, width = map(int, cut)
        return Features(joined(found, given[NEWLINE], (down, across), (height, width)))
    told = None if grid is None else (int(grid[0]), int(grid[1]), int(grid[2]))
    return Features(found.reshape(-1, found.shape[-1]), given.get(DEEPSTACK), told)


def joined(tiles: np.ndarray, newline: np.ndarray, cut: Size, original: Size) -> np.ndarray:
    """The features of a picture in tiles as LLaVA-NeXT packs them (``pack_image_features`` in transformers).

    Args:
        tiles: float32 [tiles, places, hidden]: the small picture of the whole, then the tiles row by row.
        newline: float32 [hidden]: what stands behind each row.
        cut: Rows and columns of tiles.
        original: Height and width of the picture that was given; what lies outside it in the tiles is padding.

    Returns:
        float32 [places, hidden].
    """
    small, rest = tiles[0], tiles[1:]
    edge, hidden = round(rest.shape[1] ** 0.5), rest.shape[-1]
    whole = rest.reshape(*cut, edge, edge, hidden).transpose(0, 2, 1, 3, 4)
    whole = whole.reshape(cut[0] * edge, cut[1] * edge, hidden)
    top, left = margins(original, (cut[0] * edge, cut[1] * edge))
    whole = whole[top : whole.shape[0] - top, left : whole.shape[1] - left]
    ends = np.broadcast_to(newline, (whole.shape[0], 1, hidden))
    return np.concatenate([small, np.concatenate([whole, ends], axis=1).reshape(-1, hidden)])


def margins(original: Size, grid: Size) -> Size:
    """Rows and columns on each side of a grid that hold padding alone (``unpad_image`` in transformers)."""
    height, width = original
    rows, columns = grid
    if width / height > columns / rows:
        return (rows - int(round(height * (columns / width), 7))) // 2, 0
    return 0, (columns - int(round(width * (rows / height), 7))) // 2
