"""``feature-extraction``: the vectors of every token, as the transformers pipeline gives them, and ``encode``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from gpux.pipelines import layers
from gpux.pipelines.embedding import EmbeddingPipeline
from gpux.pipelines.pipeline import Clock, Table
from gpux.pipelines.text_graph import TextGraph
from gpux.text import limits, texts
from gpux.text.tokens import Text


class TaskPipeline(EmbeddingPipeline):
    """Token vectors when called, sentence embeddings by ``encode``.

    A call cuts texts at the tokenizer's limit; ``encode`` at sentence-transformers' (512 and 256 tokens for MiniLM).
    """

    parameters: ClassVar[tuple[str, ...]] = ("return_tensors", "truncation")
    window: ClassVar[int] = 64  # answers are lists of numbers, a hundred times the size of an embedding

    def answer(
        self, items: Sequence[Any], clock: Clock, /, *, return_tensors: bool = False, truncation: bool = True
    ) -> list[Any]:
        """Token vectors of each text.

        Args:
            items: Texts.
            clock: Where the time goes.
            return_tensors: Give arrays instead of nested lists.
            truncation: Whether a text of too many tokens is cut; otherwise it is an error.

        Returns:
            Per text a nested list [1][tokens][hidden] of floats, or a float32 array of that shape.

        Raises:
            InvalidInput: An item is no text, or too long.
            UnsupportedModel: The graph gives sentence vectors only.
        """
        if len(self._output.shape) != 3:
            raise layers.unsupported(self.artifact, "a graph without token vectors")
        graph, checked = self._seen(items, {})
        answers: list[Any] = [None] * len(checked)
        name = self._output.name
        for batch in graph.run(checked, clock, [name], truncate=truncation):
            outputs = batch.outputs[name].astype(np.float32, copy=False)
            for row, (position, (start, stop)) in enumerate(zip(batch.rows, batch.spans, strict=True)):
                tokens = outputs[row : row + 1, start:stop]
                answers[position] = tokens.copy() if return_tensors else tokens.tolist()
        return answers

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Text, tokens, dimensions, and the first values of the first token."""
        rows = []
        for item, answer in zip(items, answers, strict=True):
            tokens = answer[0]
            size = len(tokens[0]) if len(tokens) else 0
            rows.append(
                (texts.brief(item), str(len(tokens)), str(size), texts.numbers(tokens[0]) if size else "")
            )
        return Table(("text", "tokens", "dimensions", "first token"), tuple(rows))

    def _seen(self, items: Sequence[Any], parameters: Mapping[str, Any]) -> tuple[TextGraph, list[Text]]:
        return self._token_graph, [texts.checked(item, position=i) for i, item in enumerate(items)]

    def _prefix(self, parameters: Mapping[str, Any]) -> str:
        return ""  # token vectors are those of the text itself; prompts are for `encode`

    @cached_property
    def _token_graph(self) -> TextGraph:
        limit = limits.tokenizer_limit(self.artifact)
        if not self._lower and limit == limits.sentence_limit(self.artifact):
            return self._graph
        return TextGraph(self.artifact, self.session, max_length=limit)
