"""Tokens with class scores to the entities that they spell, by the strategies of the transformers pipeline; knows no graph.

Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/token_classification.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpux.pipelines import class_labels
from gpux.text.tokens import Tokenizer

if TYPE_CHECKING:
    from tokenizers import Encoding

STRATEGIES = ("none", "simple", "first", "average", "max")
"""How tokens become entities: not at all, side by side, or word by word with the scores of its first token, all, or the surest."""

Join = Callable[[Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class Token:
    """One token of the text.

    Attributes:
        word: The token as the vocabulary spells it; the text itself where it has none.
        scores: Shares of the classes, [classes].
        start: Where it begins, in characters of the text.
        end: Where it ends.
        index: Its place among the model's tokens.
        continues: Whether it goes on with the word of the token before.
    """

    word: str
    scores: np.ndarray
    start: int
    end: int
    index: int
    continues: bool


class Speller:
    """Makes tokens of what a tokenizer and a model said, and texts of tokens.

    Args:
        tokenizer: The model's tokenizer.
        unknown: The id of the token that stands for what the vocabulary lacks.
    """

    def __init__(self, tokenizer: Tokenizer, unknown: int | None) -> None:
        self._tokenizer = tokenizer
        self._unknown = unknown
        self._word_pieces = bool(getattr(tokenizer.backend.model, "continuing_subword_prefix", None))
        self._decoder = tokenizer.backend.decoder

    def join(self, words: Sequence[str]) -> str:
        """The text that tokens spell."""
        with self._tokenizer.trusted():
            return " ".join(words) if self._decoder is None else str(self._decoder.decode(list(words)))

    def tokens(self, text: str, encoding: Encoding, scores: np.ndarray) -> list[Token]:
        """Every token but the special ones; scores are [tokens, classes]."""
        found = []
        name = self._tokenizer.backend.id_to_token
        ids, offsets = encoding.ids, encoding.offsets
        for index, hidden in enumerate(encoding.special_tokens_mask):
            if hidden:
                continue
            start, end = offsets[index]
            word, covered = str(name(ids[index])), text[start:end]
            if self._word_pieces:
                continues = len(word) != len(covered)
            else:  # without word pieces, words are what stands between spaces
                continues = start > 0 and " " not in text[start - 1 : start + 1]
            if ids[index] == self._unknown:
                word, continues = covered, False
            found.append(Token(word, scores[index], start, end, index, continues))
        return found


def spell(
    tokens: Sequence[Token], strategy: str, labels: Mapping[int, str], join: Join
) -> list[dict[str, Any]]:
    """The entities of one piece of a text, in the shapes of the pipeline."""
    if strategy in {"none", "simple"}:
        single = [_of_token(token, labels) for token in tokens]
        return single if strategy == "none" else _grouped(single, join)
    words: list[list[Token]] = []
    for token in tokens:
        if words and token.continues:
            words[-1].append(token)
        else:
            words.append([token])
    return _grouped([_of_word(word, strategy, labels, join) for word in words], join)


def without_overlaps(entities: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of entities that overlap, as those of neighbouring pieces do, the longest; of equal ones the surest."""
    ordered = sorted(entities, key=lambda entity: entity["start"])
    kept = ordered[:1]
    for entity in ordered[1:]:
        last = kept[-1]
        if not last["start"] <= entity["start"] < last["end"]:
            kept.append(entity)
        elif _weight(entity) > _weight(last):
            kept[-1] = entity
    return kept


def _weight(entity: Mapping[str, Any]) -> tuple[int, float]:
    return entity["end"] - entity["start"], entity["score"]


def _of_token(token: Token, labels: Mapping[int, str]) -> dict[str, Any]:
    best = int(token.scores.argmax())
    return {
        "entity": class_labels.name(labels, best),
        "score": float(token.scores[best]),
        "index": token.index,
        "word": token.word,
        "start": token.start,
        "end": token.end,
    }


def _of_word(word: Sequence[Token], strategy: str, labels: Mapping[int, str], join: Join) -> dict[str, Any]:
    if strategy == "first":
        scores = word[0].scores
    elif strategy == "max":
        scores = max(word, key=lambda token: token.scores.max()).scores
    else:
        scores = np.mean([token.scores for token in word], axis=0)
    best = int(scores.argmax())
    return {
        "entity": class_labels.name(labels, best),
        "score": float(scores[best]),
        "word": join([token.word for token in word]),
        "start": word[0].start,
        "end": word[-1].end,
    }


def _grouped(entities: Sequence[dict[str, Any]], join: Join) -> list[dict[str, Any]]:
    groups: list[list[dict[str, Any]]] = []
    for entity in entities:
        begins, tag = _tag(entity["entity"])
        if groups and not begins and tag == _tag(groups[-1][-1]["entity"])[1]:
            groups[-1].append(entity)
        else:
            groups.append([entity])
    return [
        {
            "entity_group": group[0]["entity"].split("-", 1)[-1],
            "score": float(np.mean([entity["score"] for entity in group])),
            "word": join([entity["word"] for entity in group]),
            "start": group[0]["start"],
            "end": group[-1]["end"],
        }
        for group in groups
    ]


def _tag(label: str) -> tuple[bool, str]:
    """Whether a label begins an entity, and the entity's own name."""
    return label.startswith("B-"), label[2:] if label.startswith(("B-", "I-")) else label
