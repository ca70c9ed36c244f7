"""The decoder of models that read pictures: features take the places of a picture's tokens, and the rest is as in any other.

Knows no picture: it is given features, as :mod:`gpux.images.views` makes them of a vision graph's outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gpux.errors import InvalidInput, RunFailed
from gpux.generation.causal import CausalDecoder, Graph
from gpux.picture_grids import Features, rotary_positions

if TYPE_CHECKING:
    from gpux.tensors import TensorSpec

VISION, EMBEDDER, DECODER = COMPONENTS = ("vision", "embedder", "decoder")

_EMBEDS, _DEEPER = "inputs_embeds", "deepstack_embeds"


class Runs(Protocol):
    """An open graph that keeps nothing between runs."""

    inputs: tuple[TensorSpec, ...]

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Arrays in, arrays out."""
        ...


@dataclass(frozen=True, slots=True)
class _Row:
    """The pictures of one row.

    Attributes:
        index: int64 [tokens]: which of its features a token stands for, -1 for a token of a text.
        embeds: float32 [features, hidden].
        deeper: float32 [layers, features, hidden], or ``None``.
        places: int64 [3, tokens]: where each token stands.
        shift: What is added to the place of every later token.
    """

    index: np.ndarray
    embeds: np.ndarray
    deeper: np.ndarray | None
    places: np.ndarray
    shift: int


class PictureDecoder(CausalDecoder):
    """Rows of tokens and pictures; see :class:`gpux.generation.decoder.Decoder`.

    Args:
        embedder: Tokens → embeddings.
        graph: The decoder's graph, which takes embeddings.
        token: The id that stands for one place of a picture.
        limit: Tokens that a row can come to, places of pictures among them.

    Raises:
        UnsupportedModel: The graph has no cache.
    """

    def __init__(self, embedder: Runs, graph: Graph, *, token: int, limit: int) -> None:
        super().__init__(graph, limit=limit)
        self._embedder = embedder
        self._token = token
        specs = {spec.name: spec for spec in graph.inputs}
        self._three = "position_ids" in specs and len(specs["position_ids"].shape) == 3
        self._layers = int(specs[_DEEPER].shape[0] or 0) if _DEEPER in specs else 0
        self._rows: list[_Row] = []
        self._shown: list[_Row] = []

    def show(self, rows: Sequence[Sequence[int]], pictures: Sequence[Sequence[Features]]) -> None:
        """The pictures of the rows that :meth:`prefill` is given next.

        Args:
            rows: Tokens of each row.
            pictures: Features of the pictures of each row, in order.

        Raises:
            InvalidInput: A row has another number of places than its pictures take.
        """
        self._shown = [self._row(row, seen) for row, seen in zip(rows, pictures, strict=True)]

    def prefill(self, rows: Sequence[Sequence[int]]) -> np.ndarray:
        """Read the prompts with the pictures that were shown, which are forgotten for the next."""
        self._rows, self._shown = self._shown or [self._row(row, ()) for row in rows], []
        if len(self._rows) != len(rows):
            raise RunFailed("other rows are read than were shown", hint="show the pictures of each row")
        return super().prefill(rows)

    def pick(self, rows: Sequence[int]) -> None:
        """Go on with these rows in this order."""
        super().pick(rows)
        self._rows = [self._rows[row] for row in rows]

    def close(self) -> None:
        """Let go of the memory, but of the graphs'."""
        super().close()

    def _row(self, tokens: Sequence[int], pictures: Sequence[Features]) -> _Row:
        ids = np.asarray(tokens, np.int64)
        marked = ids == self._token if pictures else np.zeros(ids.shape, bool)
        places = sum(len(one.embeds) for one in pictures)
        if int(marked.sum()) != places:
            raise InvalidInput(
                f"the text has {int(marked.sum())} places for pictures, and its pictures take {places}",
                hint="give one placeholder for each picture",
            )
        index = np.where(marked, marked.cumsum() - 1, -1)
        grids = [one.grid for one in pictures if one.grid is not None]
        if self._three:
            where, shift = rotary_positions(marked, grids)
        else:
            where, shift = np.broadcast_to(np.arange(len(ids)), (3, len(ids))), 0
        embeds = (
            np.concatenate([one.embeds for one in pictures]) if pictures else np.zeros((0, 0), np.float32)
        )
        stacks = [one.deeper for one in pictures if one.deeper is not None]
        deeper = np.concatenate(stacks, axis=1) if stacks else None
        return _Row(index, embeds, deeper, where, shift)

    def _run(self, ids: np.ndarray, mask: np.ndarray, places: np.ndarray, keep: np.ndarray) -> np.ndarray:
        """float32 [rows, kept, vocabulary]."""
        embeds = self._embedder.run({"input_ids": ids}, (_EMBEDS,))[_EMBEDS]
        more: dict[str, np.ndarray] = {}
        if self._layers:
            more[_DEEPER] = np.zeros((self._layers, *embeds.shape), np.float32)
        where = np.empty((3, *ids.shape), np.int64)
        for number, row in enumerate(self._rows):
            at = places[number]
            inside = at < len(row.index)
            told = at[inside]
            where[:, number] = at + row.shift
            where[:, number, inside] = row.places[:, told]
            columns = np.flatnonzero(inside)[row.index[told] >= 0]
            if len(columns):
                chosen = row.index[at[columns]]
                if not embeds.flags.writeable:
                    embeds = embeds.copy()
                embeds[number, columns] = row.embeds[chosen]
                if self._layers and row.deeper is not None:
                    more[_DEEPER][:, number, columns] = row.deeper[:, chosen]
        every: dict[str, Any] = {
            "attention_mask": mask,
            "position_ids": where if self._three else places,
            "logits_to_keep": keep,
        }
        feeds = {_EMBEDS: embeds, **more, **{name: every[name] for name in self._takes}}
        assert self._bound is not None  # noqa: S101 - prefill binds it before anything runs
        logits = self._bound.run(feeds, ("logits",))["logits"].astype(np.float32, copy=False)
        return logits if "logits_to_keep" in self._takes else logits[:, keep]
