"""The item of the Hub's sentence-similarity API, a source sentence and others to compare it with, and what they are compared by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gpux.errors import InvalidInput
from gpux.pipelines import layers
from gpux.text import texts

_KEYS = ("source_sentence", "sentences")

SIMILARITIES: dict[str, Callable[[layers.Floats, layers.Floats], layers.Floats]] = {
    "cosine": lambda source, others: layers.unit(others) @ layers.unit(source),
    "dot": lambda source, others: others @ source,
    "euclidean": lambda source, others: -np.sqrt(np.square(others - source).sum(axis=-1)),
    "manhattan": lambda source, others: -np.abs(others - source).sum(axis=-1),
}
"""Name in ``config_sentence_transformers.json`` → similarities of a vector [dimensions] to others [texts, dimensions]."""


def flattened(items: Sequence[Any]) -> tuple[list[str], list[int | None]]:
    """The texts to embed, and for each item the number of its sentences, ``None`` where it is a text.

    Raises:
        InvalidInput: An item is neither a text nor a comparison.
    """
    flat: list[str] = []
    counts: list[int | None] = []
    for position, item in enumerate(items):
        if isinstance(item, Mapping):
            source, sentences = _comparison(item, position)
            flat += [source, *sentences]
            counts.append(len(sentences))
        else:
            flat.append(texts.checked(item, position=position))
            counts.append(None)
    return flat, counts


def parse(text: str) -> Any:
    """A text, or the mapping of a comparison where the line is a JSON object with its keys."""
    if text.lstrip().startswith("{"):
        try:
            item = json.loads(text)
        except ValueError:
            return text
        if isinstance(item, dict) and item.keys() & set(_KEYS):
            return item
    return text


def rows(
    items: Sequence[Any], answers: Sequence[Any], shown: Callable[[Any], str]
) -> list[tuple[str, str, str]]:
    """Source, sentence and similarity of each comparison, for a table; of a text, what ``shown`` makes of its answer."""
    table: list[tuple[str, str, str]] = []
    for item, answer in zip(items, answers, strict=True):
        if isinstance(item, Mapping):
            source = texts.brief(item["source_sentence"])
            pairs = zip(item["sentences"], answer, strict=True)
            table += [(source, texts.brief(sentence), f"{score:.4f}") for sentence, score in pairs]
        else:
            table.append((texts.brief(item), "", shown(answer)))
    return table


def _comparison(item: Mapping[Any, Any], position: int) -> tuple[str, list[str]]:
    texts.keys(item, required=_KEYS, position=position)
    sentences = item["sentences"]
    if texts.is_item(sentences):
        raise InvalidInput(
            f"`sentences` of input {position} is no list",
            hint='give {"source_sentence": "…", "sentences": ["…"]}',
            position=position,
        )
    source = texts.checked(item["source_sentence"], position=position)
    return source, [texts.checked(sentence, position=position) for sentence in sentences]
