"""What a model that writes is asked in its proof: texts, cut to lengths that show padding, and how many tokens it answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ANSWER = 16
"""Tokens of each answer that are compared."""

BATCHES: tuple[dict[int, int], ...] = ({0: 40}, {1: 5, 2: 13, 3: 9})
"""Per probe, which text stands in each row → its tokens at most: one alone, then rows of different lengths."""

NAMES = ("input_ids", "lengths", "answer")
"""The tensors of a probe; what it has beside them is read before its prompts."""

_TEXTS = (
    "The glacier had lost half of its ice since the first survey, and the river that it fed was running low. "
    "Researchers who measured it every spring wrote in their report that",
    "What is the capital of France, and why?",
    "def mean(values):\n    total = 0\n    for value in values:\n        total +=",
    "Once upon a time there was a lighthouse keeper who",
)


def prompts() -> tuple[str, ...]:
    """The texts."""
    return _TEXTS


def probe(texts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> dict[str, np.ndarray]:
    """The tensors of one probe.

    Returns:
        ``input_ids`` int64 [rows, longest] filled up with 0 at the end, ``lengths`` int64 [rows], ``answer`` int64
        [rows, ``ANSWER``].
    """
    ids = np.zeros((len(texts), max(map(len, texts))), np.int64)
    for row, tokens in enumerate(texts):
        ids[row, : len(tokens)] = tokens
    lengths = np.array([len(tokens) for tokens in texts], np.int64)
    return {"input_ids": ids, "lengths": lengths, "answer": np.asarray(answers, np.int64)}


def without_answers(texts: Sequence[Sequence[int]]) -> list[dict[str, np.ndarray]]:
    """Probes for graphs that nothing answers for: each prompt goes on with what stands behind it in the texts.

    Args:
        texts: Tokens of each text.
    """
    endless = [token for text in texts for token in text] * (1 + 64 // max(1, sum(map(len, texts))))
    made = []
    for rows_ in BATCHES:
        prompts_ = [[*texts[row % len(texts)], *endless][: rows_[row]] for row in rows_]
        told = [[*texts[row % len(texts)], *endless][rows_[row] : rows_[row] + ANSWER] for row in rows_]
        made.append(probe(prompts_, told))
    return made


def rows(feeds: dict[str, np.ndarray]) -> list[list[int]]:
    """The prompts of a probe."""
    return [ids[:length].tolist() for ids, length in zip(feeds["input_ids"], feeds["lengths"], strict=True)]
