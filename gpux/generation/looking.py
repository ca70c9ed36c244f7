"""A decoder over what an encoder has heard, that also tells at which positions it looked; knows no sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gpux.errors import UnsupportedModel
from gpux.generation.causal import Graph
from gpux.generation.encoder_decoder import EncoderDecoder

ALIGNMENT = "alignment"
"""The output that holds it, float32 [rows, heads, tokens, positions]."""


class LookingDecoder(EncoderDecoder):
    """See :class:`gpux.generation.encoder_decoder.EncoderDecoder`."""

    def __init__(self, graphs: Mapping[str, Graph], *, limit: int) -> None:
        super().__init__(graphs["encoder"], graphs["decoder"], limit=limit)
        self.looks = any(spec.name == ALIGNMENT for spec in graphs["decoder"].outputs)

    def look(self, rows: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Read rows over what was heard, one for each, and tell where the heads looked.

        Returns:
            Per row float32 [heads, tokens, positions].

        Raises:
            UnsupportedModel: The graph does not tell.
            RunFailed: The runtime failed.
        """
        if not self.looks:
            raise UnsupportedModel(
                "the model does not say which of its heads tell when a word was said",
                hint="ask for segments: return_timestamps=True (--param return_timestamps=true)",
            )
        lengths = [len(row) for row in rows]
        width = max(lengths)
        ids, mask = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width), np.int64)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
        self._begin(len(rows), width)
        feeds = {"input_ids": ids, "attention_mask": mask, "logits_to_keep": np.zeros(1, np.int64)}
        assert self._bound is not None  # noqa: S101 - it was bound just now
        weights = self._bound.run(feeds, (ALIGNMENT,))[ALIGNMENT]
        self.lengths = lengths
        return [weights[row, :, :length] for row, length in enumerate(lengths)]
