"""``video-classification``: labels with scores, in the shape that the transformers pipeline gives them.

Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/video_classification.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.head import VIDEO, Head
from gpux.images.photographs import film_url
from gpux.images.processor import Prepared
from gpux.images.video import ENDINGS, open_video
from gpux.session import Session
from gpux.tasks import arguments, class_labels
from gpux.tasks.image_pipeline import Finish, ImagePipeline
from gpux.tasks.pipeline import Pipeline, Table
from gpux.tasks.pixel_graph import PIXELS, Batch, Prepare

_FRAMES = 16  # of a model that does not say


class TaskPipeline(ImagePipeline):
    """A video classifier; items are whatever :func:`gpux.images.video.open_video` takes, but a list, or ``{"video": …}``."""

    head: ClassVar[Head] = Head(
        auto="AutoModelForVideoClassification",
        suffixes=("ForVideoClassification",),
        outputs=("logits",),
        scores=("logits",),
        takes=(VIDEO,),
    )
    noun: ClassVar[str] = "videos"
    parameters: ClassVar[tuple[str, ...]] = (
        "frame_sampling_rate",
        "function_to_apply",
        "num_frames",
        "top_k",
    )
    files: ClassVar[tuple[str, ...]] = ENDINGS
    batch: ClassVar[int] = 1
    window: ClassVar[int] = 8
    key: ClassVar[str] = "video"
    rank: ClassVar[int] = 5

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
        self._sampling(num_frames, frame_sampling_rate)
        keep = class_labels.count(5 if top_k is None else top_k)
        apply = class_labels.function(function_to_apply, self.config, one_label=class_labels.softmax)

        def answers(batch: Batch) -> list[Any]:
            scores = apply(batch.outputs[self._output].astype(np.float32, copy=False))
            return [class_labels.ranked(self._labels, row, keep) for row in scores]

        return answers

    def preparing(self, parameters: Mapping[str, Any]) -> Prepare:
        """What makes frames of a video, for the parameters of a call."""
        frames, rate = self._sampling(parameters.get("num_frames"), parameters.get("frame_sampling_rate"))
        return partial(self._frames, frames=frames, rate=rate)

    def collate(self, prepared: list[Prepared]) -> dict[str, np.ndarray]:
        """Frames of several videos as the tensor of a batch, [videos, frames, 3, height, width]."""
        return {PIXELS: np.stack([one.array for one in prepared])}

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """Two generated films of as many frames as the model sees, as data URLs."""
        Pipeline.samples(self, length)
        frames, rate = self._sampling(parameters.get("num_frames"), parameters.get("frame_sampling_rate"))
        return [film_url(seed, frames=frames * rate) for seed in range(2)]

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Video, label and score; one row per label."""
        return class_labels.table(self.key, [self.shown(item, i) for i, item in enumerate(items)], answers)

    def describe(self) -> Mapping[str, Any]:
        """Labels, the number of frames, and the processor."""
        labels = [self._labels[index] for index in sorted(self._labels)]
        return {**super().describe(), "labels": labels, "num_frames": self._sampling(None, None)[0]}

    def _sampling(self, frames: Any, rate: Any) -> tuple[int, int]:
        for name, value in (("num_frames", frames), ("frame_sampling_rate", rate)):
            if value is not None:
                arguments.whole(name, value)
        fixed = self.graph.shape[1]
        if isinstance(fixed, int) and frames not in {None, fixed}:
            raise InvalidInput(
                f"`num_frames` is {frames}, and the graph takes {fixed}",
                hint="leave it out; frame_sampling_rate spreads the frames over more of the video",
                num_frames=frames,
            )
        frames = frames or (fixed if isinstance(fixed, int) else self._usual_frames())
        return frames, rate or 1

    def _usual_frames(self) -> int:
        own = self.config.whole("num_frames", least=1) or self.config.whole("frames_per_clip", least=1)
        return own or _FRAMES

    def _frames(self, item: Any, position: int, *, frames: int, rate: int) -> Prepared:
        images = open_video(self.value(item, position), frames=frames, rate=rate, position=position)
        each = [self.processor.prepare(image, position=position) for image in images]
        first = each[0]
        return Prepared(np.stack([one.array for one in each]), first.original, first.resized)
