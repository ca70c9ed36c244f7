"""A tiny GPT-2 of random weights, and the same behind the protocol that the decoding loop asks for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

VOCABULARY = 97


@cache
def gpt2() -> Any:
    """transformers' GPT-2 of 97 tokens, large weights: its scores are far from even."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(3)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=64, n_embd=32, n_layer=1, n_head=2, initializer_range=0.4,
        bos_token_id=0, eos_token_id=1, pad_token_id=2,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


class TorchDecoder:
    """Reads each row from its beginning every time: nothing to get wrong, and slow."""

    limit = 64

    def __init__(self, model: Any) -> None:
        self.model = model
        self.rows: list[list[int]] = []
        self.picked: list[list[int]] = []

    @property
    def lengths(self) -> list[int]:
        return [len(row) for row in self.rows]

    def prefill(self, rows: Sequence[Sequence[int]]) -> np.ndarray:
        self.rows = [list(row) for row in rows]
        return self._scores()

    def step(self, tokens: np.ndarray) -> np.ndarray:
        assert tokens.shape == (len(self.rows),)
        assert tokens.dtype == np.int64
        for row, token in zip(self.rows, tokens.tolist(), strict=True):
            row.append(token)
        return self._scores()

    def pick(self, rows: Sequence[int]) -> None:
        self.picked.append(list(rows))
        self.rows = [list(self.rows[row]) for row in rows]

    def _scores(self) -> np.ndarray:
        import torch

        found = np.empty((len(self.rows), VOCABULARY), dtype=np.float32)
        with torch.no_grad():
            for length in set(self.lengths):
                places = [place for place, row in enumerate(self.rows) if len(row) == length]
                tokens = torch.tensor([self.rows[place] for place in places])
                found[places] = self.model(tokens).logits[:, -1].numpy()
        return found
