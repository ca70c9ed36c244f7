"""``sentence-similarity``: embeddings of texts, and similarities of a source sentence to others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.pipelines import comparison, layers
from gpux.pipelines.embedding import EmbeddingPipeline
from gpux.pipelines.pipeline import Clock, Table
from gpux.pipelines.text_graph import TextGraph
from gpux.session import Session
from gpux.text import texts
from gpux.text.tokens import Text


class TaskPipeline(EmbeddingPipeline):
    """A text gives its embedding; ``{"source_sentence", "sentences"}``, the item of the Hub's API, gives similarities."""

    parameters: ClassVar[tuple[str, ...]] = ("prompt_name", "prompt", "normalize", "truncate_dim")

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._similarity = (
            self._settings.text("similarity_fn_name", among=comparison.SIMILARITIES) or "cosine"
        )

    def answer(self, items: Sequence[Any], clock: Clock, /, **parameters: Any) -> list[Any]:
        """One answer per item.

        Args:
            items: Texts, or mappings of ``source_sentence`` (a text) and ``sentences`` (a list of texts).
            clock: Where the time goes.
            prompt_name: A prompt of ``config_sentence_transformers.json``; its default prompt when ``None``.
            prompt: A text put before every text; wins over ``prompt_name``.
            normalize: ``True`` scales to unit length, ``False`` leaves out the model's own scaling; as the model's modules say
                when ``None``.
            truncate_dim: Keep only so many leading dimensions; the model's own when ``None``.
            **parameters: These, as :meth:`gpux.pipelines.embedding.EmbeddingPipeline.embed` takes them.

        Returns:
            Per text a float32 [dimensions]; per mapping a list of floats, one per sentence: the similarity that the
            model's ``config_sentence_transformers.json`` names, cosine by default.

        Raises:
            InvalidInput: An item is neither, or a parameter is out of range.
        """
        flat, counts = comparison.flattened(items)
        vectors = self.embed(flat, clock, **parameters)
        similarity = comparison.SIMILARITIES[self._similarity]
        answers: list[Any] = []
        start = 0
        for count in counts:
            if count is None:
                answers.append(vectors[start])
                start += 1
            else:
                answers.append(similarity(vectors[start], vectors[start + 1 : start + 1 + count]).tolist())
                start += 1 + count
        clock.lap("postprocess")
        return answers

    def work(self, items: Sequence[Any], **parameters: Any) -> Mapping[str, float]:
        """``tokens``, and ``sentences`` where there are comparisons, each of which is several of them."""
        work = super().work(items, **parameters)
        if not any(isinstance(item, Mapping) for item in items):
            return work
        return {**work, self.noun: len(comparison.flattened(items)[0])}

    def _seen(self, items: Sequence[Any], parameters: Mapping[str, Any]) -> tuple[TextGraph, list[Text]]:
        return super()._seen(comparison.flattened(items)[0], parameters)

    def parse(self, text: str) -> Any:
        """A text, or the mapping of a comparison where the line is a JSON object with its keys."""
        return comparison.parse(text)

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Text, dimensions, first values, and the cosine to the first text; for comparisons, sentence and similarity."""
        if any(isinstance(item, Mapping) for item in items):
            return Table(
                ("source", "sentence", "similarity"), tuple(comparison.rows(items, answers, texts.numbers))
            )
        columns: tuple[str, ...] = ("text", "dimensions", "first values")
        rows = [
            (texts.brief(item), str(len(vector)), texts.numbers(vector))
            for item, vector in zip(items, answers, strict=True)
        ]
        if len(rows) < 2:
            return Table(columns, tuple(rows))
        cosines = layers.unit(np.stack(answers)) @ layers.unit(answers[0])
        return Table(
            (*columns, "cosine to first"),
            tuple((*row, f"{cosine:.4f}") for row, cosine in zip(rows, cosines, strict=True)),
        )
