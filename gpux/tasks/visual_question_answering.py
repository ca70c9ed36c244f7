"""``visual-question-answering``: the answers of a model's own that fit a question about a picture (ViLT).

As the pipeline of transformers answered it, which version 5 took out.
Source: https://github.com/huggingface/transformers/blob/v4.57.0/src/transformers/pipelines/visual_question_answering.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.head import IMAGE, TEXT, Head
from gpux.images.processor import Prepared
from gpux.pipelines import class_labels
from gpux.pipelines.image_pipeline import Finish, ImagePipeline
from gpux.pipelines.pair_pipeline import PairPipeline
from gpux.pipelines.pipeline import Table
from gpux.pipelines.pixel_graph import Batch, Prepare
from gpux.session import Session
from gpux.text import limits, texts

_KEY = "question"
_FORM = '{"image": "cat.jpg", "question": "…"}'
_QUESTIONS = (
    "What is in the picture?",
    "How many objects are there?",
    "What colour is the sky?",
    "Is it day?",
)
_LONGEST = 40  # tokens of a model that does not say


@dataclass(frozen=True, slots=True)
class Questioned(Prepared):
    """A picture with the question about it."""

    question: str


class TaskPipeline(PairPipeline):
    """Answers to questions about pictures, each question beside its picture.

    Raises:
        UnsupportedModel: The graph takes no texts.
        CorruptArtifact: A file of the model cannot be read.
    """

    head: ClassVar[Head] = Head(
        auto="AutoModelForVisualQuestionAnswering",
        suffixes=(),
        outputs=("logits",),
        scores=("logits",),
        takes=(TEXT, IMAGE),
        classes=("ViltForQuestionAnswering",),
    )
    noun: ClassVar[str] = "questions"
    parameters: ClassVar[tuple[str, ...]] = (_KEY, "top_k")

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._output = self.output("logits", rank=2).name
        self._labels = class_labels.read(self.config)

    @classmethod
    def dimensions(cls, artifact: Artifact) -> Mapping[str, tuple[int, int, int]]:
        """A batch of pictures with a question each, as the exporter names it."""
        longest = limits.tokenizer_limit(artifact) or _LONGEST
        return {**ImagePipeline.dimensions(artifact), "sequence": (1, min(16, longest), longest)}

    @property
    def outputs(self) -> tuple[str, ...]:
        """The logits."""
        return (self._output,)

    def value(self, item: Any, position: int) -> Any:
        """The picture in ``{"image": …, "question": …}``, or the item itself.

        Raises:
            InvalidInput: A mapping has another key.
        """
        if not isinstance(item, Mapping):
            return item
        texts.keys(item, required=(self.key,), optional=(_KEY,), position=position)
        return item[self.key]

    def preparing(self, parameters: Mapping[str, Any]) -> Prepare:
        """What prepares a picture and its question.

        Raises:
            InvalidInput: The question for all is no text.
        """
        prepare = super().preparing(parameters)
        common = parameters.get(_KEY)
        if common is not None:
            texts.checked(common, position=0)

        def both(item: Any, position: int) -> Prepared:
            self.value(item, position)  # another key is told before a question is missed
            asked = item.get(_KEY, common) if isinstance(item, Mapping) else common
            if asked is None:
                raise InvalidInput(
                    f"input {position} has no question", hint=f"give {_FORM}", position=position
                )
            question = texts.checked(asked, position=position)
            made = prepare(item, position)
            return Questioned(made.array, made.original, made.resized, question)

        return both

    def collate(self, prepared: list[Prepared]) -> dict[str, np.ndarray]:
        """Pictures of one shape, and the question of each."""
        questions = [one.question for one in prepared if isinstance(one, Questioned)]
        return {**super().collate(prepared), **self.texts.rows(questions)}

    def finish(self, *, top_k: int = 5, question: str | None = None) -> Finish:
        """The answers to each question.

        Args:
            top_k: That many, best first.
            question: What is asked of every picture without a question of its own.

        Returns:
            Per item a list of ``{"score": float, "answer": str}``; each score stands for itself.

        Raises:
            InvalidInput: A parameter that the task cannot take.
        """
        del question
        keep = class_labels.count(top_k)

        def answers(batch: Batch) -> list[Any]:
            scores = class_labels.sigmoid(batch.outputs[self._output].astype(np.float32, copy=False))
            ranked = [class_labels.ranked(self._labels, row, keep) for row in scores]
            return [[{"score": one["score"], "answer": one["label"]} for one in row] for row in ranked]

        return answers

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """Four generated photographs with a question each."""
        pictures = super().samples(length, **parameters)
        return [
            {self.key: picture, _KEY: question}
            for picture, question in zip(pictures, _QUESTIONS, strict=False)
        ]

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Picture, question, answer and score; one row per answer."""
        rows: list[tuple[str, ...]] = []
        for position, (item, answer) in enumerate(zip(items, answers, strict=True)):
            asked = texts.brief(str(item.get(_KEY, ""))) if isinstance(item, Mapping) else ""
            first = self.shown(item, position), asked
            for one in answer:
                rows.append((*first, one["answer"], f"{one['score']:.4f}"))
                first = "", ""
        return Table((self.key, _KEY, "answer", "score"), tuple(rows))

    def describe(self) -> Mapping[str, Any]:
        """How many answers there are, the processor, and the most tokens of a question."""
        return {**super().describe(), "answers": len(self._labels), "max_length": self.texts.limit}
