"""What the tasks over texts share: what an item is, and what its work comes to in tokens; knows no answers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from gpux.artifact import Artifact
from gpux.pipelines.pipeline import Pipeline
from gpux.pipelines.text_graph import TextGraph
from gpux.text import batching, limits, text_samples, texts, tokens
from gpux.text.tokens import Text

if TYPE_CHECKING:
    import numpy as np


_LONGEST = 512  # of a model that does not say


class TextPipeline(Pipeline):
    """A task whose items are texts, or are made of them."""

    noun: ClassVar[str] = "texts"
    batch: ClassVar[int] = batching.USUAL

    @classmethod
    def prefetch(cls, artifact: Artifact) -> None:
        """Read the tokenizer."""
        tokens.prefetch(artifact)

    @classmethod
    def dimensions(cls, artifact: Artifact) -> Mapping[str, tuple[int, int, int]]:
        """A batch of texts and their tokens, as the exporter names both."""
        longest = limits.tokenizer_limit(artifact) or _LONGEST
        return {"batch": (1, 8, batching.ROWS), "sequence": (1, min(64, longest), longest)}

    @abstractmethod
    def _seen(self, items: Sequence[Any], parameters: Mapping[str, Any]) -> tuple[TextGraph, list[Text]]:
        """The graph that answers these items, and the texts as it is given them.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """

    def _prefix(self, parameters: Mapping[str, Any]) -> str:
        """What the task puts before every text."""
        return ""

    def is_item(self, inputs: Any) -> bool:
        """A text or a mapping is one item; a list of them is not."""
        return texts.is_item(inputs)

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """Eight texts of 1 to 30 words: queries, reviews and prose in three languages; or cut to a length in tokens."""
        if length is None:
            return list(texts.SAMPLES)
        self.check(parameters)
        graph, _ = self._seen([], parameters)
        return list(
            text_samples.of_length(graph.tokenizer, texts.SAMPLES, length, prefix=self._prefix(parameters))
        )

    def work(self, items: Sequence[Any], **parameters: Any) -> Mapping[str, float]:
        """``tokens``: what the model sees of the texts, cut at its maximum, special tokens counted, without padding."""
        self.check(parameters)
        graph, seen = self._seen(items, parameters)
        return {"tokens": graph.count(seen)}

    def feeds(self, items: Sequence[Any], **parameters: Any) -> list[dict[str, np.ndarray]]:
        """Token ids and masks of each batch, as the task makes and pads them."""
        self.check(parameters)
        graph, seen = self._seen(items, parameters)
        return list(graph.feeds(seen))
