"""Scores of where an answer starts and ends to the answers that a context holds; knows no graph.

As the question-answering pipeline of transformers did it, which version 5.3 took out.
Source: https://github.com/huggingface/transformers/blob/v5.2.0/src/transformers/pipelines/question_answering.py
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gpux.text.pieces import Piece

_NOWHERE = np.float32(-10000.0)  # the logit of a token that no answer starts or ends at
_NO_ANSWER_YET = 1_000_000.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an answer may be.

    Attributes:
        top_k: Most answers of a question.
        longest: Most tokens of an answer.
        or_none: Whether "there is none" is an answer.
        whole_words: Whether an answer is widened to whole words.
    """

    top_k: int
    longest: int
    or_none: bool
    whole_words: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What one piece of a context holds.

    Attributes:
        spans: Score, first and last token of each candidate, best first.
        none: The score of there being no answer.
    """

    spans: list[tuple[float, int, int]]
    none: float


def find(start: np.ndarray, end: np.ndarray, allowed: np.ndarray, wanted: Wanted) -> Found:
    """The best spans of one piece.

    Args:
        start: Logits of each token to be the first of the answer, float32 [tokens].
        end: Logits of each token to be the last.
        allowed: Which tokens an answer may start and end at, bool [tokens].
        wanted: What an answer may be.
    """
    if not len(allowed):  # two blanks, and a tokenizer without special tokens
        return Found([], 0.0)
    starts, ends = _shares(start, allowed), _shares(end, allowed)
    none = float(starts[0] * ends[0])
    starts[0] = ends[0] = 0.0  # the token that stands for "no answer"
    scores = np.tril(np.triu(np.outer(starts, ends)), wanted.longest - 1)
    # Of answers widened to words, several come to the same.
    count = wanted.top_k * 2 + 10 if wanted.whole_words else wanted.top_k
    best = _best(scores.ravel(), count)
    places = zip(*(axis.tolist() for axis in np.unravel_index(best, scores.shape)), strict=True)
    spans = [(float(scores[s, e]), s, e) for s, e in places if allowed[s] and allowed[e]]
    return Found(spans, none)


def answers(context: str, pieces: Iterable[tuple[Piece, Found]], wanted: Wanted) -> list[dict[str, Any]]:
    """The best answers over all pieces of a context, best first; what is said in several places counts together."""
    found: dict[str, dict[str, Any]] = {}
    none = _NO_ANSWER_YET
    for piece, held in pieces:
        none = min(none, held.none)
        for score, first, last in _places(piece, held, whole_words=wanted.whole_words):
            text = context[first:last]
            known = found.setdefault(
                text.lower(), {"score": 0.0, "start": first, "end": last, "answer": text}
            )
            known["score"] += score
    listed = list(found.values())
    if wanted.or_none:
        listed.append({"score": none, "start": 0, "end": 0, "answer": ""})
    return sorted(listed, key=lambda answer: answer["score"], reverse=True)[: wanted.top_k]


def _places(piece: Piece, held: Found, *, whole_words: bool) -> Iterator[tuple[float, int, int]]:
    """Score, first and last character of each span."""
    offsets, of_token = piece.encoding.offsets, piece.encoding.word_ids
    words = _words(piece) if whole_words else {}
    for score, start, end in held.spans:
        first, last = words.get(of_token[start]), words.get(of_token[end])
        if first and last:
            yield score, first[0], last[1]
        else:  # a special token, or a tokenizer that knows no words
            yield score, offsets[start][0], offsets[end][1]


def _words(piece: Piece) -> Mapping[int | None, tuple[int, int]]:
    """Where each word of the context stands, as far as the piece reaches."""
    found: dict[int | None, tuple[int, int]] = {}
    whole = piece.encoding
    for of, word, (start, end) in zip(whole.sequence_ids, whole.word_ids, whole.offsets, strict=True):
        if of == piece.sequence and word is not None:
            found[word] = (found.get(word, (start, end))[0], end)
    return found


def _shares(logits: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    masked = np.where(allowed, logits, _NOWHERE)
    powers = np.exp(masked - masked.max())
    shares: np.ndarray = powers / powers.sum()
    return shares


def _best(scores: np.ndarray, count: int) -> np.ndarray:
    if count == 1:
        return np.array([scores.argmax()])
    if count < len(scores):
        chosen = np.argpartition(-scores, count)[:count]
        return chosen[np.argsort(-scores[chosen])]
    return np.argsort(-scores)
