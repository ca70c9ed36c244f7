"""The decoder over one open graph: what it has read lies in the graph's own buffers, which grow as they must."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gpux.errors import InvalidInput, UnsupportedModel

if TYPE_CHECKING:
    from gpux.provider import Bound
    from gpux.tensors import TensorSpec

PAST, PRESENT = "past_key_values.", "present."
CHUNK = 512
"""Tokens of a prompt that are read at once: a longer run would hold scores of every token against every other."""

_ROOM = 256
"""Buffers are made, and grow, by whole multiples of so many tokens."""

_FIRST = np.zeros(1, np.int64)


class Graph(Protocol):
    """What the decoder needs of an open graph; :class:`gpux.session.Session` is one."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def bind(
        self,
        pairs: Mapping[str, str],
        shapes: Mapping[str, tuple[int, ...]],
        *,
        held: Mapping[str, np.ndarray],
        moving: bool = False,
    ) -> Bound:
        """Tensors that stay between runs."""
        ...

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Run once."""
        ...


class CausalDecoder:
    """Rows of tokens read by a causal graph; see :class:`gpux.generation.decoder.Decoder`.

    Args:
        graph: The open graph, of the form that :mod:`gpux.export.generators.causal` gives, or with a cache that grows by what
            each run adds (its axis is not called ``capacity``).
        limit: Tokens that a row can come to.

    Raises:
        UnsupportedModel: The graph has no cache.
    """

    part = CHUNK

    def __init__(self, graph: Graph, *, limit: int) -> None:
        self.limit = limit
        self.lengths: list[int] = []
        self._graph = graph
        self._cache = {spec.name: spec for spec in graph.inputs if spec.name.startswith(PAST)}
        names = {spec.name for spec in graph.inputs}
        if not self._cache:
            raise UnsupportedModel(
                "the graph keeps nothing of what it has read: it has no inputs `past_key_values.…`",
                hint="pull the model again with --force",
            )
        self._shared = next(iter(self._cache.values())).shape[2] == "capacity"
        self._takes = {name for name in ("attention_mask", "position_ids", "logits_to_keep") if name in names}
        self._pairs = {name: name.replace(PAST, PRESENT) for name in self._cache}
        self._capacity = self._rows = 0
        self._padding: np.ndarray | None = None
        self._bound: Bound | None = None
        self._held: dict[str, np.ndarray] = {}
        self._ones = np.ones((1, _ROOM), np.int64)

    def prefill(self, rows: Sequence[Sequence[int]]) -> np.ndarray:
        """Read the prompts, which may differ in length; what was read before is forgotten."""
        lengths = [len(row) for row in rows]
        if not rows or min(lengths) < 1:
            raise InvalidInput("a prompt without tokens cannot be read", hint="give at least one token")
        self._begin(len(rows), max(lengths))
        if len(rows) == 1:
            return self._read(rows[0], every=False)
        if self._shared:
            return self._read_right(rows, lengths)
        return self._read_left(rows, lengths)

    def step(self, tokens: np.ndarray, *, active: np.ndarray | None = None) -> np.ndarray:
        """Add one token to each row; of rows that are not ``active`` (bool [rows]) the run leaves nothing behind."""
        ids = tokens.astype(np.int64, copy=False)[:, None]
        self._reserve(max(self.lengths) + 1)
        if len(self.lengths) == 1:
            return self._run_one(ids, _FIRST)[:, 0]
        lengths = np.asarray(self.lengths, np.int64)
        added = np.ones(len(lengths), np.int64) if active is None else active.astype(np.int64)
        if self._padding is None:
            mask = (np.arange(lengths.max() + 1) <= lengths[:, None]).astype(np.int64)
        else:
            self._padding = mask = np.concatenate([self._padding, added[:, None]], 1)
        places = np.minimum(lengths, self.limit - 1)[:, None]
        logits = self._run(ids, mask, places, _FIRST)
        self.lengths = (lengths + added).tolist()
        return logits[:, 0]

    def extend(self, tokens: Sequence[int], *, every: bool = True) -> np.ndarray:
        """Add several tokens to the only row."""
        if len(self.lengths) != 1:
            raise InvalidInput("several tokens can only be added to one row", hint="add them one by one")
        self._reserve(self.lengths[0] + len(tokens))
        return self._read(tokens, every=every)

    def rewind(self, length: int) -> None:
        """Forget what the only row has behind so many tokens."""
        self.lengths[0] = length
        if self._padding is not None:
            held = np.flatnonzero(self._padding[0])[:length]
            self._padding = self._padding[:, : int(held[-1]) + 1 if length else 0]
            self._resize(self._padding.shape[1])
        elif not self._shared:
            self._resize(length)

    def pick(self, rows: Sequence[int]) -> None:
        """Go on with these rows in this order."""
        if self._bound is not None and list(rows) != list(range(len(self.lengths))):
            self._move(self._bound, list(rows))
            self._rows = len(rows)
            self.lengths = [self.lengths[row] for row in rows]
            self._padding = None if self._padding is None else self._padding[list(rows)]

    def fork(self, rows: Sequence[int]) -> CausalDecoder:
        """Another decoder that has read what these rows have."""
        made = CausalDecoder(self._graph, limit=self.limit)
        if self._bound is not None:
            made._bound, made._capacity, made._rows = self._bound.fork(rows), self._capacity, len(rows)
            made.lengths = [self.lengths[row] for row in rows]
            made._padding = None if self._padding is None else self._padding[list(rows)]
        return made

    def join(self, other: CausalDecoder) -> None:
        """Take the rows of another decoder of the graph behind its own; the other one has read nothing any more."""
        assert self._bound is not None  # noqa: S101 - both have read something
        assert other._bound is not None  # noqa: S101
        if self._shared:
            self.hold(other._capacity)
            other.hold(self._capacity)
        else:
            columns = [self.columns(), other.columns()]
            width = max(each.shape[1] for each in columns)
            filled = [np.pad(each, [(0, 0), (width - each.shape[1], 0)]) for each in columns]
            self._padding = np.concatenate(filled)
        self._bound.join(other._bound)
        self._rows += other._rows
        self.lengths += other.lengths
        other._bound = None
        other.close()

    def _move(self, bound: Bound, rows: list[int]) -> None:
        bound.pick(rows)

    def close(self) -> None:
        """Let go of the memory."""
        self._release()

    def _release(self) -> None:
        if self._bound is not None:
            self._bound.close()
            self._bound = None
        self.lengths, self._capacity = [], 0

    @property
    def bytes_per_token(self) -> int:
        """Bytes of cache for each token of a row."""
        shapes = self._shapes(1, 1)
        return sum(
            int(np.prod(shapes[name])) * np.dtype(spec.dtype).itemsize for name, spec in self._cache.items()
        )

    @property
    def cache_bytes(self) -> int:
        """Bytes that the cache takes now."""
        return self.bytes_per_token * self._capacity * len(self.lengths)

    def hold(self, capacity: int) -> None:
        """Buffers of so many tokens at least."""
        if self._capacity < capacity:
            self._resize(capacity)

    def _reserve(self, tokens: int) -> None:
        if self._shared and tokens > self._capacity:
            self._resize(max(self._room(tokens), min(2 * self._capacity, self._room(self.limit))))

    def columns(self) -> np.ndarray:
        """Which columns of a growing cache hold a token of each row: int64 [rows, columns]."""
        if self._padding is not None:
            return self._padding
        return np.ones((len(self.lengths), max(self.lengths)), np.int64)

    def _begin(self, rows: int, longest: int) -> None:
        room = self._room(longest + 1)
        usable = self._bound is not None and self._shared and self._rows == rows
        if not usable or self._capacity < room:
            self._release()
            self._capacity, self._rows = room if self._shared else 0, rows
            shapes = self._shapes(rows, self._capacity)
            self._bound = self._graph.bind(self._pairs, shapes, held=self._held, moving=not self._shared)
        self.lengths = [0] * rows
        self._padding = None

    def _room(self, tokens: int) -> int:
        return -(-tokens // _ROOM) * _ROOM

    def _resize(self, capacity: int) -> None:
        if self._bound is not None:
            self._bound.grow(self._shapes(len(self.lengths), capacity))
        self._capacity = capacity

    def _shapes(self, rows: int, capacity: int) -> dict[str, tuple[int, ...]]:
        return {
            name: (rows, int(spec.shape[1] or 0), capacity, int(spec.shape[3] or 0))
            for name, spec in self._cache.items()
        }

    def _read(self, tokens: Sequence[int], *, every: bool) -> np.ndarray:
        """Tokens of one row, by parts; scores after each one, or after the last."""
        found = []
        for start in range(0, len(tokens), CHUNK):
            part = np.asarray(tokens[start : start + CHUNK], np.int64)[None]
            size = part.shape[1]
            found.append(self._run_one(part, np.arange(size) if every else np.array([size - 1]))[0])
        return np.concatenate(found) if every else found[-1]

    def _read_right(self, rows: Sequence[Sequence[int]], lengths: list[int]) -> np.ndarray:
        """Prompts filled up at their ends: the cache's node knows each row's length."""
        width = max(lengths)
        ids, mask = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width), np.int64)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
        ends = np.unique([length - 1 for length in lengths])
        places = np.broadcast_to(np.arange(width), ids.shape)
        logits = self._run(ids, mask, places, ends)
        self.lengths = list(lengths)
        return logits[np.arange(len(rows)), np.searchsorted(ends, np.asarray(lengths) - 1)]

    def _read_left(self, rows: Sequence[Sequence[int]], lengths: list[int]) -> np.ndarray:
        """Prompts filled up at their beginnings, which the mask hides from then on."""
        width = max(lengths)
        ids, mask = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width), np.int64)
        for row, tokens in enumerate(rows):
            ids[row, width - len(tokens) :], mask[row, width - len(tokens) :] = tokens, 1
        places = np.maximum(mask.cumsum(1) - 1, 0)
        logits = self._run(ids, mask, places, np.array([width - 1]))
        self._padding = mask
        self.lengths = list(lengths)
        return logits[:, 0]

    def _run_one(self, ids: np.ndarray, keep: np.ndarray) -> np.ndarray:
        length, size = self.lengths[0], ids.shape[1]
        total = length + size
        if self._ones.shape[1] < total:
            self._ones = np.ones((1, 2 * total), np.int64)
        mask = self._ones[:, :total]
        if self._padding is not None:
            self._padding = mask = np.concatenate([self._padding, self._ones[:, :size]], 1)
        places = np.arange(length, total)[None]
        logits = self._run(ids, mask, places, keep)
        self.lengths[0] = total
        return logits

    def _run(self, ids: np.ndarray, mask: np.ndarray, places: np.ndarray, keep: np.ndarray) -> np.ndarray:
        """float32 [rows, kept, vocabulary]."""
        every: dict[str, Any] = {"attention_mask": mask, "position_ids": places, "logits_to_keep": keep}
        feeds: dict[str, Any] = {"input_ids": ids, **{name: every[name] for name in self._takes}}
        assert self._bound is not None  # noqa: S101 - prefill binds it before anything runs
        logits = self._bound.run(feeds, ("logits",))["logits"]
        logits = logits.astype(np.float32, copy=False)
        return logits if "logits_to_keep" in self._takes else logits[:, keep]
