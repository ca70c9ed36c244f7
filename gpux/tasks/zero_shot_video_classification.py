"""``zero-shot-video-classification``: labels of the caller's own for videos (X-CLIP), answered as those for pictures are.

transformers has no pipeline for it; the scores are the softmax of what ``XCLIPModel`` gives.
Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/models/x_clip/modeling_x_clip.py
"""

from __future__ import annotations

from typing import Any, ClassVar

from gpux.head import TEXT, VIDEO, Head
from gpux.pipelines.image_pipeline import Finish
from gpux.pipelines.video_pipeline import VideoPipeline
from gpux.pipelines.zero_shot_pictures import ZeroShotPipeline


class TaskPipeline(ZeroShotPipeline, VideoPipeline):
    """Scores of labels for videos; the model reads each text in the light of the video, so none has an embedding alone."""

    head: ClassVar[Head] = Head(
        auto="AutoModel",
        suffixes=(),
        outputs=("logits_per_video", "video_embeds"),
        scores=("logits_per_video",),
        takes=(TEXT, VIDEO),
        classes=("XCLIPModel",),
    )
    parameters: ClassVar[tuple[str, ...]] = (
        *ZeroShotPipeline.parameters,
        "frame_sampling_rate",
        "num_frames",
    )
    template: ClassVar[str] = "{}"  # its authors trained it on the names of actions themselves
    logits: ClassVar[str] = "logits_per_video"

    def finish(self, **parameters: Any) -> Finish:
        """The labels of each video.

        Args:
            **parameters: ``candidate_labels``: the labels, as a list or with commas between, for items without labels of
                their own; ``hypothesis_template``: a sentence with ``{}`` in the label's place; ``num_frames``: frames that the
                model is shown, as its configuration says where it is not given; ``frame_sampling_rate``: one frame of so many
                is taken, from the video's start (1).

        Returns:
            Per item a list of ``{"score": float, "label": str}``, best first; the scores of an item add up to one.

        Raises:
            InvalidInput: A parameter that the task cannot take.
        """
        self.sampling(parameters.get("num_frames"), parameters.get("frame_sampling_rate"))
        return super().finish(**parameters)
