"""Texts of overlapping chunks → one: where they hear the same, they say nearly the same tokens; knows no times.

Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/models/whisper/tokenization_whisper.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

Times: TypeAlias = tuple[float, float]


def joined(
    sequences: Sequence[Sequence[int]], times: Sequence[Sequence[Times]]
) -> tuple[list[int], list[Times]]:
    """One sequence out of several, each of which overlaps the one before it.

    Args:
        sequences: Tokens of each.
        times: When each token was said; nothing where nobody asked.

    Returns:
        The tokens, and their times where they were given.
    """
    left = list(sequences[0])
    left_times = list(times[0]) if times else []
    whole: list[int] = []
    whole_times: list[Times] = []
    for position in range(1, len(sequences)):
        right = list(sequences[position])
        right_times = list(times[position]) if times else []
        (start, stop), (from_, to) = _overlap(left, right, left_times, right_times)
        # The left one knows the beginning of what both heard better, the right one its end.
        middle, other = (start + stop) // 2, (from_ + to) // 2
        whole += left[:middle]
        whole_times += left_times[:middle]
        left, left_times = right[other:], right_times[other:]
    return whole + left, whole_times + left_times


def _overlap(
    left: list[int], right: list[int], left_times: list[Times], right_times: list[Times]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The parts of both that agree best when one slides over the other."""
    best, found = 0.0, ((len(left), len(left)), (0, 0))
    lefts, rights = np.asarray(left), np.asarray(right)
    for shift in range(1, len(left) + len(right)):
        start, stop = max(0, len(left) - shift), min(len(left), len(left) + len(right) - shift)
        from_, to = max(0, shift - len(left)), min(len(right), shift)
        same = lefts[start:stop] == rights[from_:to]
        if left_times:
            pairs = zip(left_times[start:stop], right_times[from_:to], strict=True)
            same = same & np.fromiter((one <= other for one, other in pairs), bool, stop - start)
        matches = int(same.sum())
        # Long matches are favoured, a very little.
        score = matches / shift + shift / 10000.0
        if matches > 1 and score > best:
            best, found = score, ((start, stop), (from_, to))
    return found
