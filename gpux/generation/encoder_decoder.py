"""The decoder over two open graphs: an encoder that reads a batch once, and a decoder that looks at it with every token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gpux.errors import InvalidInput, RunFailed
from gpux.generation.causal import CausalDecoder, Graph

if TYPE_CHECKING:
    from gpux.provider import Bound

CROSS = "cross."
_MASK, _SOURCE_MASK = "attention_mask", "encoder_attention_mask"


class EncoderDecoder(CausalDecoder):
    """Answers to what an encoder has read; see :class:`gpux.generation.decoder.Decoder`.

    After :meth:`begin`, rows are answers as far as they are given. Without it, rows are texts to read, and each answer begins with
    the model's start token.

    Args:
        encoder: The open graph that gives ``cross.…``, of the form that :mod:`gpux.export.generators.encoder_decoder` makes.
        decoder: The open graph that takes them.
        limit: Tokens that an answer can come to.
        start: The token that answers begin with, where the model has one.

    Raises:
        UnsupportedModel: The decoder has no cache.
    """

    part = 0  # rows may be what the encoder reads

    def __init__(self, encoder: Graph, decoder: Graph, *, limit: int, start: int | None = None) -> None:
        super().__init__(decoder, limit=limit)
        self._encoder, self._start = encoder, start
        names = [spec.name for spec in decoder.inputs]
        self._cross = tuple(name for name in names if name.startswith(CROSS))
        self._masked = _SOURCE_MASK in names
        self._begun = False
        self._sources: list[int] = []

    def begin(self, feeds: Mapping[str, np.ndarray]) -> None:
        """Read something else, by the encoder's input names; what was written before is forgotten.

        Raises:
            RunFailed: The runtime failed.
        """
        self.close()
        takes = {
            spec.name: spec.dtype for spec in self._encoder.inputs
        }  # sound in half precision, where the graph is
        given = {n: array.astype(takes[n], copy=False) for n, array in feeds.items() if n in takes}
        self._held = dict(self._encoder.run(given, self._cross))
        if self._masked:
            self._held[_SOURCE_MASK] = feeds[_MASK]
        self._begun = True

    def prefill(self, rows: Sequence[Sequence[int]]) -> np.ndarray:
        """Begin the answers with these tokens, or read these texts; answers that were written before are forgotten."""
        if self._begun:
            return super().prefill(rows)
        if self._start is None:
            raise InvalidInput(
                "nothing says what an answer begins with", hint="give decoder_start_token_id=<token>"
            )
        self.begin(text_feeds(rows))
        try:
            return super().prefill([[self._start]] * len(rows))
        finally:
            self._begun = False

    def _move(self, bound: Bound, rows: list[int]) -> None:
        # Beams of one text look at the same tensors, the largest of all: they move only where a row goes on with another text.
        sources = [self._sources[row] for row in rows]
        bound.pick(rows, held=sources != self._sources)
        self._sources = sources

    def close(self) -> None:
        """Let go of the memory, and of what was read."""
        super().close()
        self._held, self._begun = {}, False

    def _begin(self, rows: int, longest: int) -> None:
        read = len(next(iter(self._held.values())))
        if read != rows:
            raise RunFailed(f"{rows} answers cannot begin over a batch of {read}", hint="begin one for each")
        if self._sources != list(range(rows)):
            self._release()  # rows were picked: what is bound is no longer the batch as it was read
        self._sources = list(range(rows))
        super()._begin(rows, longest)


def text_feeds(rows: Sequence[Sequence[int]], *, pad: int = 0) -> dict[str, np.ndarray]:
    """Texts for an encoder: ``input_ids`` and ``attention_mask`` int64 [rows, longest], filled up at their ends."""
    width = max((len(row) for row in rows), default=0)
    if not rows or not min(len(row) for row in rows):
        raise InvalidInput("a text without tokens cannot be read", hint="give at least one token")
    ids, mask = np.full((len(rows), width), pad, np.int64), np.zeros((len(rows), width), np.int64)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
    return {"input_ids": ids, _MASK: mask}
