"""``audio-classification``: labels with scores of a recording, in the shape that the transformers pipeline gives them.

Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/audio_classification.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.fields import Fields
from gpux.head import AUDIO, Head
from gpux.pipelines import class_labels
from gpux.pipelines.audio_pipeline import AudioPipeline
from gpux.pipelines.pipeline import Clock, Table
from gpux.session import Session


class TaskPipeline(AudioPipeline):
    """A classifier of recordings: one label, several labels, or a regression."""

    head: ClassVar[Head] = Head(
        auto="AutoModelForAudioClassification",
        suffixes=("ForSequenceClassification", "ForAudioClassification"),
        outputs=("logits",),
        scores=("logits",),
        takes=(AUDIO,),
    )
    parameters: ClassVar[tuple[str, ...]] = ("function_to_apply", "top_k")

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._config = Fields(artifact, "config.json")
        self._labels = class_labels.read(self._config)
        self._logits = self._output("logits", rank=2).name

    def answer(
        self,
        items: Sequence[Any],
        clock: Clock,
        /,
        *,
        top_k: int | None = None,
        function_to_apply: str | None = None,
    ) -> list[Any]:
        """Labels of each recording, best first.

        Args:
            items: Recordings.
            clock: Where the time goes.
            top_k: That many labels; all of them when ``None``.
            function_to_apply: ``sigmoid``, ``softmax`` or ``none``; as the model's configuration says when ``None``.

        Returns:
            Per item a list of ``{"label": str, "score": float}``.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """
        keep = None if top_k is None else class_labels.count(top_k)
        apply = class_labels.function(function_to_apply, self._config, one_label=class_labels.softmax)
        answers: list[Any] = [None] * len(items)
        for batch in self._graph.run(self._prepared(items), clock, [self._logits]):
            scores = apply(batch.outputs[self._logits].astype(np.float32, copy=False))
            for position, row in zip(batch.rows, scores, strict=True):
                answers[position] = class_labels.ranked(self._labels, row, keep or len(row))
        return answers

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Recording, label and score; one row per label."""
        return class_labels.table("recording", self._shown(items), answers)

    def describe(self) -> Mapping[str, Any]:
        """Labels, the kind of problem, the feature extractor and its sampling rate."""
        labels = [self._labels[index] for index in sorted(self._labels)]
        return {
            **super().describe(),
            "labels": labels,
            "problem_type": self._config.text("problem_type"),
        }
