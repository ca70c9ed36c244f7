"""Cuts texts of any lengths into batches that waste little padding; knows lengths only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

TOKENS = 512
"""Padded tokens of a batch; one longer text still makes a batch of its own."""

ROWS = 32
"""Most texts in a batch."""

USUAL = 16
"""Texts of a batch as people count them, 32 tokens each: what ``batch`` in a plan stands for comes to the same work."""


def limits(batch: int | None) -> tuple[int, int]:
    """Padded tokens and texts of a batch, for the batch size of a plan."""
    size = batch or USUAL
    return TOKENS * size // USUAL, ROWS * size // USUAL


def cut(lengths: Sequence[int], *, tokens: int = TOKENS, rows: int = ROWS) -> Iterator[list[int]]:
    """Positions of the texts of each batch, longest first, so that memory peaks at the start.

    Args:
        lengths: Tokens of each text.
        tokens: Most tokens of a batch once its rows are padded to its longest.
        rows: Most texts of a batch.
    """
    if len(lengths) == 1:
        yield [0]
        return
    order = np.argsort(-np.asarray(lengths), kind="stable").tolist()
    start = 0
    while start < len(order):
        width = max(lengths[order[start]], 1)
        stop = start + max(1, min(rows, tokens // width))
        yield order[start:stop]
        start = stop
