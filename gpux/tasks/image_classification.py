"""``image-classification``: labels with scores, in the shape that the transformers pipeline gives them.

Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/image_classification.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.head import IMAGE, Head
from gpux.pipelines import class_labels
from gpux.pipelines.image_pipeline import Finish, ImagePipeline
from gpux.pipelines.pipeline import Table
from gpux.pipelines.pixel_graph import Batch
from gpux.session import Session


class TaskPipeline(ImagePipeline):
    """An image classifier: one label, several labels, or a regression."""

    head: ClassVar[Head] = Head(
        auto="AutoModelForImageClassification",
        suffixes=("ForImageClassification", "ForImageClassificationWithTeacher"),
        outputs=("logits",),
        scores=("logits",),
        takes=(IMAGE,),
    )
    parameters: ClassVar[tuple[str, ...]] = ("function_to_apply", "top_k")

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._output = self.output("logits", rank=2).name
        self._labels = class_labels.read(self.config)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The logits."""
        return (self._output,)

    def finish(self, *, top_k: int | None = None, function_to_apply: str | None = None) -> Finish:
        """Labels of each picture.

        Args:
            top_k: That many labels, best first; five when ``None``.
            function_to_apply: ``sigmoid``, ``softmax`` or ``none``; as the model's configuration says when ``None``.

        Returns:
            Per picture a list of ``{"label": str, "score": float}``.

        Raises:
            InvalidInput: A parameter that the task cannot take.
        """
        keep = class_labels.count(5 if top_k is None else top_k)
        apply = class_labels.function(function_to_apply, self.config, one_label=class_labels.sigmoid)

        def answers(batch: Batch) -> list[Any]:
            scores = apply(batch.outputs[self._output].astype(np.float32, copy=False))
            return [class_labels.ranked(self._labels, row, keep) for row in scores]

        return answers

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Picture, label and score; one row per label."""
        return class_labels.table(
            self.key, [self.shown(item, position) for position, item in enumerate(items)], answers
        )

    def describe(self) -> Mapping[str, Any]:
        """Labels, the kind of problem, and the processor."""
        labels = [self._labels[index] for index in sorted(self._labels)]
        return {**super().describe(), "labels": labels, "problem_type": self.config.text("problem_type")}
