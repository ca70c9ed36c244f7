"""``depth-estimation``: how far each point of a picture is, in the shape that the transformers pipeline gives it.

Sources: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/depth_estimation.py and
``post_process_depth_estimation`` of each family's image processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.head import IMAGE, Head
from gpux.pipelines import layers
from gpux.pipelines.image_pipeline import Finish, ImagePipeline
from gpux.pipelines.interpolation import Floats, bicubic
from gpux.pipelines.pipeline import Table
from gpux.pipelines.pixel_graph import Batch
from gpux.session import Session

if TYPE_CHECKING:
    from PIL import Image


class TaskPipeline(ImagePipeline):
    """A model of one depth per point: DPT, Depth Anything, GLPN."""

    head: ClassVar[Head] = Head(
        auto="AutoModelForDepthEstimation",
        suffixes=("ForDepthEstimation",),
        outputs=("predicted_depth",),
        takes=(IMAGE,),
    )

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._output = self.output("predicted_depth")
        if len(self._output.shape) not in {3, 4}:
            raise layers.unsupported(artifact, f"an output `{self._output}` that is no map of each picture")

    @property
    def outputs(self) -> tuple[str, ...]:
        """The depths."""
        return (self._output.name,)

    def finish(self) -> Finish:
        """The depths of each picture, at its own size.

        Returns:
            Per picture ``{"predicted_depth": float32 [height, width] in the model's unit, "depth": PIL image}``, the image
            from 0 for the smallest depth to 255 for the largest.
        """

        def answers(batch: Batch) -> list[Any]:
            maps = batch.outputs[self._output.name].astype(np.float32, copy=False)
            maps = maps[:, 0] if maps.ndim == 4 else maps
            found = []
            for depth, prepared in zip(maps, batch.prepared, strict=True):
                sized = bicubic(depth, prepared.original)
                found.append({"predicted_depth": sized, "depth": _picture(sized)})
            return found

        return answers

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Picture, size, and the smallest, median and largest depth."""
        rows = []
        for position, (item, answer) in enumerate(zip(items, answers, strict=True)):
            depth = answer["predicted_depth"]
            height, width = depth.shape
            figures = (f"{value:.4g}" for value in (depth.min(), np.median(depth), depth.max()))
            rows.append((self.shown(item, position), f"{width} × {height}", *figures))
        return Table((self.key, "size", "smallest", "median", "largest"), tuple(rows))

    def draw(self, item: Any, answer: Any) -> Image.Image:
        """The depths in colours."""
        from gpux.images import drawing

        del item
        return drawing.draw_depth(answer["predicted_depth"], coloured=True)


def _picture(depth: Floats) -> Image.Image:
    from PIL import Image

    low, high = depth.min(), depth.max()
    spread = high - low
    # A wall straight ahead has one depth; transformers divides by zero there.
    scaled = (depth - low) / spread if spread > 0 else np.zeros_like(depth)
    return Image.fromarray((scaled * 255).astype(np.uint8))
