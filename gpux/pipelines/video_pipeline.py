"""What the tasks over videos share: which frames are taken of one, and how several make a batch; knows no answers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np

from gpux.errors import InvalidInput
from gpux.images.photographs import film_url
from gpux.images.processor import Prepared
from gpux.images.video import ENDINGS, open_video
from gpux.pipelines.image_pipeline import ImagePipeline
from gpux.pipelines.pipeline import Pipeline
from gpux.pipelines.pixel_graph import PIXELS, Prepare

_FRAMES = 16  # of a model that does not say


class VideoPipeline(ImagePipeline):
    """A task whose items are whatever :func:`gpux.images.video.open_video` takes, but a list, or ``{"video": …}``."""

    noun: ClassVar[str] = "videos"
    files: ClassVar[tuple[str, ...]] = ENDINGS
    batch: ClassVar[int] = 1
    window: ClassVar[int] = 8
    key: ClassVar[str] = "video"
    rank: ClassVar[int] = 5

    def preparing(self, parameters: Mapping[str, Any]) -> Prepare:
        """What makes frames of a video, for the parameters of a call."""
        frames, rate = self.sampling(parameters.get("num_frames"), parameters.get("frame_sampling_rate"))
        return partial(self._frames, frames=frames, rate=rate)

    def collate(self, prepared: list[Prepared]) -> dict[str, np.ndarray]:
        """Frames of several videos as the tensor of a batch, [videos, frames, 3, height, width]."""
        return {PIXELS: np.stack([one.array for one in prepared])}

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """Two generated films of as many frames as the model sees, as data URLs."""
        Pipeline.samples(self, length)
        frames, rate = self.sampling(parameters.get("num_frames"), parameters.get("frame_sampling_rate"))
        return [film_url(seed, frames=frames * rate) for seed in range(2)]

    def sampling(self, frames: Any, rate: Any) -> tuple[int, int]:
        """How many frames are taken, and one of how many, for the parameters ``num_frames`` and ``frame_sampling_rate``.

        Raises:
            InvalidInput: One is no whole number from 1, or the graph takes another number of frames.
        """
        for name, value in (("num_frames", frames), ("frame_sampling_rate", rate)):
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and (not whole or value < 1):
                raise InvalidInput(
                    f"`{name}` is {value!r}", hint="give a whole number from 1", **{name: value}
                )
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
        places = (self.config, "num_frames"), (self.config, "frames_per_clip"), (self.config.table("vision_config"), "num_frames")  # fmt: skip
        return next((own for table, key in places if (own := table.whole(key, least=1))), _FRAMES)

    def _frames(self, item: Any, position: int, *, frames: int, rate: int) -> Prepared:
        images = open_video(self.value(item, position), frames=frames, rate=rate, position=position)
        each = [self.processor.prepare(image, position=position) for image in images]
        first = each[0]
        return Prepared(np.stack([one.array for one in each]), first.original, first.resized)
