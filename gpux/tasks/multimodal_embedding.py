"""``multimodal-embedding``: pictures and texts as vectors of one space, as sentence-transformers encodes both with CLIP."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.head import Head
from gpux.images.processor import Prepared
from gpux.pipelines import layers, pair_embedding
from gpux.pipelines.image_pipeline import Finish
from gpux.pipelines.pair_embedding import PairEmbedding
from gpux.pipelines.pipeline import Clock, Table
from gpux.session import Session
from gpux.text import texts

_SAMPLES = 4


class TaskPipeline(PairEmbedding):
    """A vector per picture or text, of unit length.

    Raises:
        UnsupportedModel: The graph takes no texts, or gives scores only.
        CorruptArtifact: A file of the model cannot be read.
    """

    # The same outputs, so that one artifact answers both; a model that scores says by that what it is for.
    head: ClassVar[Head] = replace(pair_embedding.HEAD, scores=())
    noun: ClassVar[str] = "inputs"
    parameters: ClassVar[tuple[str, ...]] = ("normalize", "prompt", "truncate_dim")

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self.dimension()

    @property
    def outputs(self) -> tuple[str, ...]:
        """The vectors of pictures."""
        return (pair_embedding.IMAGES,)

    def finish(self, **parameters: Any) -> Finish:
        """The vector of each picture of a batch; a text's is made in the same way.

        Args:
            **parameters: ``prompt``: put before every text; ``truncate_dim``: keep only so many leading dimensions;
                ``normalize``: scale to unit length again after that.

        Returns:
            Per item a float32 [dimensions].

        Raises:
            InvalidInput: A parameter that the task cannot take.
        """
        wanted = self.wanted(**parameters)
        return lambda batch: [wanted.finished(vector) for vector in batch.outputs[pair_embedding.IMAGES]]

    def collate(self, prepared: list[Prepared]) -> dict[str, np.ndarray]:
        """Pictures of one shape, and an empty text beside them."""
        return {**super().collate(prepared), **self.texts.whole(("",))}

    def parse(self, text: str) -> Any:
        """A text, path or URL as it stands; a mapping where the line is a JSON object with a text or picture in it."""
        if text.lstrip().startswith("{"):
            try:
                item = json.loads(text)
            except (ValueError, RecursionError):
                return text
            return item if isinstance(item, dict) and item.keys() & {"text", self.key} else text
        return text

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """Four generated photographs as data URLs, and four texts."""
        return [*super().samples(length, **parameters)[:_SAMPLES], *texts.SAMPLES[:_SAMPLES]]

    def work(self, items: Sequence[Any], **parameters: Any) -> Mapping[str, float]:
        """``pixels`` and ``tokens``: what the model sees of the pictures and the texts, without what is shown beside them."""
        self.check(parameters)
        written, pictures = self.apart(items, 0, self.wanted(**parameters))
        work: dict[str, float] = {}
        if pictures:
            work["pixels"] = self.graph.count(list(pictures.values()), self.prepare)
        if written:
            work["tokens"] = self.texts.count(list(written.values()))
        return work

    def feeds(self, items: Sequence[Any], **parameters: Any) -> list[dict[str, np.ndarray]]:
        """Token ids for each batch of texts, pixels for each of pictures, and what stands beside either."""
        self.check(parameters)
        written, pictures = self.apart(items, 0, self.wanted(**parameters))
        made = [feeds for _, feeds in self.read_feeds(list(written.values()))]
        return made + list(self.graph.feeds(list(pictures.values()), self.prepare, window=self.window))

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Text or picture, dimensions, first values, and the cosine to the first of all."""
        rows = []
        for position, (item, vector) in enumerate(zip(items, answers, strict=True)):
            text = pair_embedding.written_text(item, position)
            shown = self.shown(item, position) if text is None else texts.brief(text)
            rows.append((shown, str(len(vector)), texts.numbers(vector)))
        columns = "input", "dimensions", "first values"
        if len(rows) < 2:
            return Table(columns, tuple(rows))
        cosines = layers.unit(np.stack(answers)) @ layers.unit(answers[0])
        return Table(
            (*columns, "cosine to first"),
            tuple((*row, f"{cosine:.4f}") for row, cosine in zip(rows, cosines, strict=True)),
        )

    def describe(self) -> Mapping[str, Any]:
        """The processor, the size of a vector, and the most tokens of a text."""
        return {**super().describe(), "dimension": self.dimension(), "max_length": self.texts.limit}

    def _answers(
        self, items: Iterable[Any], clock: Clock, parameters: Mapping[str, Any], window: int
    ) -> Iterator[Any]:
        return self.vectors(items, clock, self.wanted(**parameters), window)
