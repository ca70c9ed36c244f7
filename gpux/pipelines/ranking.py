"""A query and documents: the item of every task that ranks, its answer as sentence-transformers' ``CrossEncoder.rank`` shapes it.

Source: https://github.com/huggingface/sentence-transformers/blob/v6.2.0/sentence_transformers/cross_encoder/model.py
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gpux.errors import InvalidInput
from gpux.pipelines import arguments
from gpux.pipelines.pipeline import Clock
from gpux.text import texts

KEYS = ("query", "documents")
_EXAMPLE = 'give {"query": "…", "documents": ["…", "…"]}'


class Ranks(ABC):
    """What :meth:`gpux.model.Model.rank` asks a task for."""

    @abstractmethod
    def answer(self, items: Sequence[Any], clock: Clock, /, *_: Any, **parameters: Any) -> list[Any]:
        """As :meth:`gpux.pipelines.pipeline.Pipeline.answer`."""

    def rank(
        self, query: str, documents: Iterable[str], *, top_k: int | None, return_documents: bool
    ) -> list[dict[str, Any]]:
        """The documents, best first.

        Returns:
            Per document ``{"corpus_id": its place in the list, "score": float}``, and its ``text`` where that is asked for.

        Raises:
            InvalidInput: The query or a document is no text, or ``top_k`` is out of range.
        """
        listed = documents if texts.is_item(documents) else list(documents)
        item = {"query": query, "documents": listed}
        ranked: list[dict[str, Any]] = self.answer(
            [item], Clock(), top_k=top_k, return_documents=return_documents
        )[0]
        return ranked


def read(item: Mapping[Any, Any], *, position: int) -> tuple[str, list[str]]:
    """The query and the documents of an item.

    Raises:
        InvalidInput: A key is missing or unknown, ``documents`` is no list, or one of them is no text.
    """
    texts.keys(item, required=KEYS, position=position)
    documents = item["documents"]
    if texts.is_item(documents):
        raise InvalidInput(
            f"`documents` of input {position} is no list of texts", hint=_EXAMPLE, position=position
        )
    query = texts.checked(item["query"], position=position)
    return query, [texts.checked(document, position=position) for document in documents]


def is_ranking(item: Any) -> bool:
    """Whether an item is meant as a query with documents."""
    return isinstance(item, Mapping) and any(key in item for key in KEYS)


def ranked(
    scores: Sequence[float], documents: Sequence[str], *, top_k: int | None, return_documents: bool
) -> list[dict[str, Any]]:
    """The answer to one item; among equal scores the earlier document comes first."""
    rows: list[dict[str, Any]] = [{"corpus_id": i, "score": score} for i, score in enumerate(scores)]
    if return_documents:
        for row, document in zip(rows, documents, strict=True):
            row["text"] = document
    return sorted(rows, key=lambda row: -row["score"])[:top_k]


def check_top_k(top_k: Any) -> None:
    """Make sure that ``top_k`` is a number of answers, or ``None`` for all.

    Raises:
        InvalidInput: It is not.
    """
    if top_k is not None:
        arguments.whole("top_k", top_k)


def parse(text: str, keys: Iterable[str] = KEYS) -> Any:
    """The mapping that a line holds where it is a JSON object with one of the keys, else the line itself."""
    if text.lstrip().startswith("{"):
        try:
            item = json.loads(text)
        except ValueError:
            return text
        if isinstance(item, dict) and item.keys() & set(keys):
            return item
    return text


def rows(item: Mapping[str, Any], answer: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Query, document and score of each document, best first, for a table; the query once."""
    table = []
    shown = texts.brief(item["query"])
    for row in answer:
        document = texts.brief(item["documents"][row["corpus_id"]])
        table.append((shown, document, f"{row['score']:.4f}"))
        shown = ""
    return table
