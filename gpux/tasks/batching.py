"""Cuts texts of any lengths into batches that waste little padding; knows lengths only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

TOKENS = 512
"""Padded tokens of a batch; one longer text still makes a batch of its own."""

ROWS = 32
"""Most texts in a batch."""


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
