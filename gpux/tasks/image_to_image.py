"""``image-to-image``: a picture out of a picture, such as a larger one, as transformers' own pipeline gave it until version 4.

Source: https://github.com/huggingface/transformers/blob/v4.57.1/src/transformers/pipelines/image_to_image.py; other than there,
what the processor added at the edges is cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.head import IMAGE, Head
from gpux.pipelines.image_pipeline import Finish, ImagePipeline
from gpux.pipelines.pipeline import Table
from gpux.pipelines.pixel_graph import Batch
from gpux.session import Session

if TYPE_CHECKING:
    from PIL import Image


class TaskPipeline(ImagePipeline):
    """A model whose output is a picture, of the size that it saw or a multiple."""

    head: ClassVar[Head] = Head(
        auto="AutoModelForImageToImage",
        suffixes=("ForImageSuperResolution", "ForImageToImage"),
        outputs=("reconstruction",),
        takes=(IMAGE,),
    )

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._output = self.output("reconstruction", rank=4).name

    @property
    def outputs(self) -> tuple[str, ...]:
        """The pictures."""
        return (self._output,)

    def finish(self) -> Finish:
        """The picture that the model makes of each.

        Returns:
            Per picture a PIL image, colours below 0 and above 1 clipped.
        """

        def answers(batch: Batch) -> list[Any]:
            from PIL import Image

            found = []
            for made, prepared in zip(batch.outputs[self._output], batch.prepared, strict=True):
                factor = made.shape[-1] // prepared.array.shape[-1]
                height, width = (side * factor for side in prepared.resized)
                kept = np.moveaxis(made[:, :height, :width].astype(np.float32, copy=False), 0, -1)
                whole = (np.clip(kept, 0, 1) * np.float32(255)).round().astype(np.uint8)
                found.append(Image.fromarray(whole[..., 0] if whole.shape[-1] == 1 else whole))
            return found

        return answers

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Picture, and the size of what was made of it."""
        rows = tuple(
            (self.shown(item, position), f"{answer.width} × {answer.height}")
            for position, (item, answer) in enumerate(zip(items, answers, strict=True))
        )
        return Table((self.key, "size"), rows, ("write --output picture.png to keep the picture",))

    def draw(self, item: Any, answer: Any) -> Image.Image:
        """The picture itself."""
        del item
        picture: Image.Image = answer
        return picture
