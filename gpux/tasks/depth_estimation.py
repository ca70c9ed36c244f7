"""``depth-estimation``: how far each point of a picture is, in the shape that the transformers pipeline gives it.

Sources: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/depth_estimation.py and
``post_process_depth_estimation`` of each family's image processor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.fields import Fields
from gpux.head import IMAGE, Head
from gpux.session import Session
from gpux.tasks import layers
from gpux.tasks.image_pipeline import Finish, ImagePipeline
from gpux.tasks.interpolation import Floats, Size, bicubic
from gpux.tasks.pipeline import Table
from gpux.tasks.pixel_graph import Batch

if TYPE_CHECKING:
    from PIL import Image

_ZOE = "ZoeDepthImageProcessor"


class TaskPipeline(ImagePipeline):
    """A model of one depth per point: DPT, Depth Anything, GLPN, ZoeDepth."""

    head: ClassVar[Head] = Head(
        auto="AutoModelForDepthEstimation",
        suffixes=("ForDepthEstimation",),
        outputs=("predicted_depth",),
        takes=(IMAGE,),
    )

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        if "DepthPro" in self.processor.name:
            raise layers.unsupported(artifact, "depths that follow from a field of view")
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
        zoe = self.processor.name == _ZOE

        def answers(batch: Batch) -> list[Any]:
            maps = batch.outputs[self._output.name].astype(np.float32, copy=False)
            maps = maps[:, 0] if maps.ndim == 4 else maps
            found = []
            for depth, prepared in zip(maps, batch.prepared, strict=True):
                size = prepared.original
                sized = self._unpadded(depth, size) if zoe else bicubic(depth, size)
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

        return drawing.depth(self.opened(item), answer)

    def _unpadded(self, depth: Floats, size: Size) -> Floats:
        """ZoeDepth sees more than the picture, reflected at its edges; what lies outside is cut off."""
        pads = Fields(self.artifact, "preprocessor_config.json").flag("do_pad") is not False
        rows, columns = (int(math.sqrt(side / 2) * 3) if pads else 0 for side in size)
        sized = bicubic(depth, (size[0] + 2 * rows, size[1] + 2 * columns))
        return np.ascontiguousarray(sized[rows : rows + size[0], columns : columns + size[1]])


def _picture(depth: Floats) -> Image.Image:
    from PIL import Image

    low, high = depth.min(), depth.max()
    spread = high - low
    # A wall straight ahead has one depth; transformers divides by zero there.
    scaled = (depth - low) / spread if spread > 0 else np.zeros_like(depth)
    return Image.fromarray((scaled * 255).astype(np.uint8))
