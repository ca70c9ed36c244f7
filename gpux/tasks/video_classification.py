"""``video-classification``: labels with scores, in the shape that the transformers pipeline gives them.

Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/video_classification.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.head import VIDEO, Head
from gpux.pipelines import class_labels
from gpux.pipelines.image_pipeline import Finish
from gpux.pipelines.pipeline import Table
from gpux.pipelines.pixel_graph import Batch
from gpux.pipelines.video_pipeline import VideoPipeline
from gpux.session import Session


class TaskPipeline(VideoPipeline):
    """A video classifier; items are whatever :func:`gpux.images.video.open_video` takes, but a list, or ``{"video": …}``."""

    head: ClassVar[Head] = Head(
        auto="AutoModelForVideoClassification",
        suffixes=("ForVideoClassification",),
        outputs=("logits",),
        scores=("logits",),
        takes=(VIDEO,),
    )
    parameters: ClassVar[tuple[str, ...]] = (
        "frame_sampling_rate",
        "function_to_apply",
        "num_frames",
        "top_k",
    )

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._output = self.output("logits", rank=2).name
        self._labels = class_labels.read(self.config)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The logits."""
        return (self._output,)

    def finish(
        self,
        *,
        top_k: int | None = None,
        num_frames: int | None = None,
        frame_sampling_rate: int | None = None,
        function_to_apply: str | None = None,
    ) -> Finish:
        """Labels of each video.

        Args:
            top_k: That many labels, best first; five when ``None``.
            num_frames: Frames that the model is shown; as its configuration says when ``None``.
            frame_sampling_rate: One frame of so many is taken, from the video's start; every one when ``None``.
            function_to_apply: ``sigmoid``, ``softmax`` or ``none``; as the model's configuration says when ``None``.

        Returns:
            Per video a list of ``{"score": float, "label": str}``.

        Raises:
            InvalidInput: A parameter that the task cannot take.
        """
        self.sampling(num_frames, frame_sampling_rate)
        keep = class_labels.count(5 if top_k is None else top_k)
        apply = class_labels.function(function_to_apply, self.config, one_label=class_labels.softmax)

        def answers(batch: Batch) -> list[Any]:
            scores = apply(batch.outputs[self._output].astype(np.float32, copy=False))
            return [class_labels.ranked(self._labels, row, keep) for row in scores]

        return answers

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Video, label and score; one row per label."""
        return class_labels.table(self.key, [self.shown(item, i) for i, item in enumerate(items)], answers)

    def describe(self) -> Mapping[str, Any]:
        """Labels, the number of frames, and the processor."""
        labels = [self._labels[index] for index in sorted(self._labels)]
        return {**super().describe(), "labels": labels, "num_frames": self.sampling(None, None)[0]}
