"""What a decoder looked at while it wrote → when each token was said, by dynamic time warping; knows no graph.

Source: ``_extract_token_timestamps`` of
https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/models/whisper/generation_whisper.py
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BOTH, _TOKEN, _TIME = 0, 1, 2  # which of the two goes on


def times(weights: np.ndarray, *, frames: int, width: int, precision: float = 0.02) -> NDArray[np.float64]:
    """When each token ended.

    Args:
        weights: float32 [heads, tokens, positions], how much each head looked at each position when it had read a token.
        frames: Frames of the recording that are left from the window's first one on; two make a position.
        width: Positions over which the median is taken.
        precision: Seconds of a position.

    Returns:
        Seconds from the window's beginning for each token and the one behind them.
    """
    if not weights.shape[1]:
        return np.zeros(1)
    # Twice, as upstream: it matters where the window begins behind the recording's end, and the number is negative.
    seen = weights[..., : frames // 2][..., : frames // 2].astype(np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):  # one token alone has no spread, as upstream
        seen = (seen - seen.mean(axis=-2, keepdims=True)) / seen.std(axis=-2, keepdims=True)
    matrix = _smooth(seen, width).mean(axis=0)
    tokens, positions = warp(-matrix.astype(np.float64))
    begins = np.diff(tokens, prepend=-1).astype(bool)
    told = positions[begins] * precision
    return np.append(told, told[-1])


def warp(matrix: np.ndarray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The cheapest way through a matrix from its first corner to its last.

    Args:
        matrix: float64 [tokens, positions], what each step costs.

    Returns:
        The token and the position of each step.
    """
    rows, columns = matrix.shape
    cost = np.full((rows + 1, columns + 1), np.inf, np.float32)
    trace = np.full((rows + 1, columns + 1), _TIME, np.int8)
    cost[0, 0] = 0
    # Cells of a diagonal need none of each other.
    for diagonal in range(2, rows + columns + 1):
        token = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        position = diagonal - token
        both, before = cost[token - 1, position - 1], cost[token - 1, position]
        earlier = cost[token, position - 1]
        together = (both < before) & (both < earlier)
        alone = ~together & (before < both) & (before < earlier)
        cheapest = np.where(together, both, np.where(alone, before, earlier))
        cost[token, position] = matrix[token - 1, position - 1] + cheapest
        trace[token, position] = np.where(together, _BOTH, np.where(alone, _TOKEN, _TIME))
    trace[0, :], trace[:, 0] = _TIME, _TOKEN
    found = []
    token, position = rows, columns
    while token > 0 or position > 0:
        found.append((token - 1, position - 1))
        step = trace[token, position]
        token -= step != _TIME
        position -= step != _TOKEN
    steps = np.asarray(found[::-1], np.int64)
    return steps[:, 0], steps[:, 1]


def _smooth(seen: np.ndarray, width: int) -> np.ndarray:
    """The median over so many positions, the ends mirrored."""
    half = width // 2
    if seen.shape[-1] <= half:
        return seen
    wide = np.pad(seen, ((0, 0), (0, 0), (half, half)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(wide, width, axis=-1)
    # NaN stands last in a sorted row here and in PyTorch.
    smooth: np.ndarray = np.sort(windows, axis=-1)[..., half]
    return smooth
