"""The decoder of models that read pictures: features take the places of a picture, and the rest is as in any other.

Knows no picture: it is given features, as :mod:`gpux.images.views` makes them of a vision graph's outputs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakValueDictionary

import numpy as np

from gpux.errors import RunFailed
from gpux.generation.causal import CausalDecoder, Graph
from gpux.picture_grids import Features, coordinates

if TYPE_CHECKING:
    from gpux.tensors import TensorSpec

VISION, EMBEDDER, DECODER = COMPONENTS = ("vision", "embedder", "decoder")

FIRST = 1 << 32
"""The first id that stands for a place of a picture: greater than any vocabulary's."""

_REMEMBERED = 256 << 20  # bytes of features that are kept for the next prompt with the same picture
_EMBEDS, _DEEPER = "inputs_embeds", "deepstack_embeds"


class Runs(Protocol):
    """An open graph that keeps nothing between runs."""

    inputs: tuple[TensorSpec, ...]

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Arrays in, arrays out."""
        ...


def typed(graph: Runs | Graph, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Feeds whose numbers with a point are of the type that the graph takes them in, such as float16."""
    takes = {spec.name: spec.dtype for spec in graph.inputs}
    return {
        name: array.astype(takes[name], copy=False) if array.dtype.kind == "f" else array
        for name, array in feeds.items()
    }


@dataclass(slots=True, weakref_slot=True, eq=False)
class Picture:
    """A picture in prompts.

    Attributes:
        first: The id of its first place; the others follow.
        features: What the language model sees of it.
    """

    first: int
    features: Features

    @property
    def ids(self) -> range:
        """The ids of its places."""
        return range(self.first, self.first + len(self.features.embeds))


@dataclass(slots=True)
class Album:
    """The pictures of one open model, each with ids of its own: ids alone tell what a row has read, pictures too.

    A picture is here for as long as somebody holds it, and those that were used last are, up to a number of bytes. Safe to use
    from several threads.
    """

    _held: OrderedDict[bytes, Picture] = field(default_factory=OrderedDict)
    _known: WeakValueDictionary[int, Picture] = field(default_factory=WeakValueDictionary)
    _next: int = FIRST
    _lock: Any = field(default_factory=Lock)

    def add(self, key: bytes, make: Callable[[], Features]) -> Picture:
        """The picture of a key, its features made where it is not here."""
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
                return found
        features = make()
        with self._lock:
            picture = Picture(self._next, features)
            self._next += len(features.embeds)
            self._known[picture.first] = self._held[key] = picture
            while len(self._held) > 1 and sum(map(_size, self._held.values())) > _REMEMBERED:
                self._held.popitem(last=False)
            return picture

    def find(self, token: int) -> Picture:
        """The picture that an id is a place of.

        Raises:
            RunFailed: Nobody holds it any more.
        """
        with self._lock:
            for picture in self._known.values():
                if token in picture.ids:
                    return picture
        raise RunFailed("a picture of the prompt was let go of", hint="give the prompt again")


def _size(picture: Picture) -> int:
    deeper = picture.features.deeper
    return picture.features.embeds.nbytes + (0 if deeper is None else deeper.nbytes)


@dataclass(slots=True)
class _Row:
    """What one row has come to.

    Attributes:
        places: int64 [3, room]: where each of its tokens stands.
        next: Where a text goes on.
    """

    places: np.ndarray
    next: int = 0


class PictureDecoder(CausalDecoder):
    """Rows of tokens and places of pictures; see :class:`gpux.generation.decoder.Decoder`.

    Args:
        embedder: Tokens → embeddings.
        graph: The decoder's graph, which takes embeddings.
        album: The pictures that ids from :data:`FIRST` on stand for.
        limit: Tokens that a row can come to, places of pictures among them.

    Attributes:
        seconds: What each component took, by name, since it was set to nothing.

    Raises:
        UnsupportedModel: The graph has no cache.
    """

    def __init__(self, embedder: Runs, graph: Graph, *, album: Album, limit: int) -> None:
        super().__init__(graph, limit=limit)
        self._embedder = embedder
        self._album = album
        specs = {spec.name: spec for spec in graph.inputs}
        self._three = "position_ids" in specs and len(specs["position_ids"].shape) == 3
        self._layers = int(specs[_DEEPER].shape[0] or 0) if _DEEPER in specs else 0
        self._where: list[_Row] = []
        self.seconds = dict.fromkeys((EMBEDDER, DECODER), 0.0)

    def prefill(self, rows: Sequence[Sequence[int]]) -> np.ndarray:
        """Read the prompts, which may differ in length; what was read before is forgotten."""
        self._where = [_Row(np.zeros((3, 0), np.int64)) for _ in rows]
        for row, tokens in zip(self._where, rows, strict=True):
            self._place(row, 0, np.asarray(tokens, np.int64))
        return super().prefill(rows)

    def step(self, tokens: np.ndarray, *, active: np.ndarray | None = None) -> np.ndarray:
        """Add one token to each row; of rows that are not ``active`` the run leaves nothing behind."""
        if self._three:
            goes_on = [True] * len(self._where) if active is None else active.tolist()
            for row, length, stays in zip(self._where, self.lengths, goes_on, strict=True):
                self._widened(row, length + 1)[:, length] = row.next
                row.next += stays
        return super().step(tokens, active=active)

    def extend(self, tokens: Sequence[int], *, every: bool = True) -> np.ndarray:
        """Add several tokens to the only row."""
        self._place(self._where[0], self.lengths[0], np.asarray(tokens, np.int64))
        return super().extend(tokens, every=every)

    def rewind(self, length: int) -> None:
        """Forget what the only row has behind so many tokens."""
        super().rewind(length)
        if self._three:
            row = self._where[0]
            row.next = int(row.places[:, :length].max(initial=-1)) + 1

    def pick(self, rows: Sequence[int]) -> None:
        """Go on with these rows in this order."""
        super().pick(rows)
        self._where = [_Row(self._where[row].places.copy(), self._where[row].next) for row in rows]

    def _place(self, row: _Row, start: int, ids: np.ndarray) -> None:
        """Where new tokens stand, as ``get_rope_index`` of Qwen2-VL counts: a text goes on behind a picture's longer edge."""
        if not self._three:
            return
        places, at = self._widened(row, start + len(ids)), 0
        while at < len(ids):
            if ids[at] < FIRST:
                end = at + int(np.argmax(np.append(ids[at:] >= FIRST, True)))
                places[:, start + at : start + end] = np.arange(row.next, row.next + end - at)
                row.next, at = row.next + end - at, end
                continue
            picture = self._album.find(int(ids[at]))
            grid = picture.features.grid or (1, 1, len(picture.ids))
            skipped = int(ids[at]) - picture.first
            begin = int(places[0, start + at - skipped]) if skipped else row.next
            count = min(len(picture.ids) - skipped, len(ids) - at)
            here = coordinates(grid)[:, skipped : skipped + count]
            places[:, start + at : start + at + count] = here + begin
            row.next, at = begin + max(grid[1:]), at + count

    def _widened(self, row: _Row, tokens: int) -> np.ndarray:
        if row.places.shape[1] < tokens:
            wider = np.zeros((3, max(2 * row.places.shape[1], tokens)), np.int64)
            wider[:, : row.places.shape[1]] = row.places
            row.places = wider
        return row.places

    def _run(self, ids: np.ndarray, mask: np.ndarray, places: np.ndarray, keep: np.ndarray) -> np.ndarray:
        """float32 [rows, kept, vocabulary]."""
        pictured, began = ids >= FIRST, perf_counter()
        embeds = self._embedder.run({"input_ids": np.where(pictured, 0, ids)}, (_EMBEDS,))[_EMBEDS]
        self.seconds[EMBEDDER] += perf_counter() - began
        more: dict[str, np.ndarray] = {}
        if self._layers:
            more[_DEEPER] = np.zeros((self._layers, *embeds.shape), np.float32)
        if pictured.any():
            embeds = np.array(embeds, np.float32)
            self._show(ids, pictured, embeds, more.get(_DEEPER))
        every: dict[str, Any] = {
            "attention_mask": mask,
            "position_ids": self._positions(places) if self._three else places,
            "logits_to_keep": keep,
        }
        feeds: dict[str, Any] = {_EMBEDS: embeds, **more, **{name: every[name] for name in self._takes}}
        assert self._bound is not None  # noqa: S101 - prefill binds it before anything runs
        began = perf_counter()
        logits = self._bound.run(typed(self._graph, feeds), ("logits",))["logits"].astype(
            np.float32, copy=False
        )
        self.seconds[DECODER] += perf_counter() - began
        return logits if "logits_to_keep" in self._takes else logits[:, keep]

    def _show(
        self, ids: np.ndarray, pictured: np.ndarray, embeds: np.ndarray, deeper: np.ndarray | None
    ) -> None:
        for number, row in enumerate(ids):
            columns = np.flatnonzero(pictured[number])
            while len(columns):
                picture = self._album.find(int(row[columns[0]]))
                own = columns[row[columns] < picture.ids.stop]
                own = own[row[own] >= picture.first]
                offsets = row[own] - picture.first
                embeds[number, own] = picture.features.embeds[offsets]
                if deeper is not None and picture.features.deeper is not None:
                    deeper[:, number, own] = picture.features.deeper[:, offsets]
                columns = np.setdiff1d(columns, own)

    def _positions(self, places: np.ndarray) -> np.ndarray:
        """int64 [3, rows, sequence] of the numbers of tokens in their rows; those of padding mean nothing."""
        found = np.zeros((3, *places.shape), np.int64)
        for number, row in enumerate(self._where):
            inside = np.minimum(places[number], row.places.shape[1] - 1)
            found[:, number] = row.places[:, inside]
        return found
