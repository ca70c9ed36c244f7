"""``image-segmentation``: labelled masks of a picture, in the shape that the transformers pipeline gives them.

Sources: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/image_segmentation.py and
``post_process_*_segmentation`` of each family's image processor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.head import IMAGE, Head
from gpux.pipelines import class_labels, layers, segments
from gpux.pipelines.image_pipeline import Finish, ImagePipeline, share
from gpux.pipelines.interpolation import Size
from gpux.pipelines.pipeline import Table
from gpux.pipelines.pixel_graph import Batch
from gpux.pipelines.segments import Segment, Thresholds
from gpux.session import Session

if TYPE_CHECKING:
    from PIL import Image

_QUERIES = ("class_queries_logits", "masks_queries_logits")
_DETR = ("logits", "pred_masks")
SUBTASKS = ("panoptic", "instance", "semantic")
"""In the order in which one is taken when none is named."""

_MASK2FORMER = "Mask2FormerImageProcessor"
_SIDE = 384  # https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/models/mask2former/image_processing_mask2former.py
_KNOWN = {"MaskFormerImageProcessor", _MASK2FORMER}

Find = Callable[[dict[str, np.ndarray], Size], Iterable[Segment]]
"""One picture's outputs and its size → its segments."""


class TaskPipeline(ImagePipeline):
    """A model of one class per point (SegFormer, BEiT), or of masks with classes (DETR, MaskFormer, Mask2Former).

    Raises:
        UnsupportedModel: The graph's outputs are none of these, or its masks are read in another way.
    """

    head: ClassVar[Head] = Head(
        auto=(
            "AutoModelForSemanticSegmentation",
            "AutoModelForUniversalSegmentation",
            "AutoModelForInstanceSegmentation",
            "AutoModelForImageSegmentation",
        ),
        suffixes=(
            "ForSemanticSegmentation",
            "ForUniversalSegmentation",
            "ForInstanceSegmentation",
            "ForSegmentation",
        ),
        outputs=("logits", *_QUERIES, "pred_boxes", "pred_masks"),
        scores=("class_queries_logits",),
        takes=(IMAGE,),
    )
    parameters: ClassVar[tuple[str, ...]] = (
        "mask_threshold",
        "overlap_mask_area_threshold",
        "subtask",
        "threshold",
    )
    window: ClassVar[int] = 32

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        have = {spec.name for spec in session.outputs}
        self._labels = class_labels.read(self.config)
        self._names = next((names for names in (_QUERIES, _DETR) if have.issuperset(names)), None)
        if self._names is None:
            self._output = self.output("logits", rank=4).name
        elif self._names == _QUERIES and self.processor.name not in _KNOWN:
            raise layers.unsupported(artifact, f"masks that `{self.processor.name}` reads in its own way")

    @property
    def outputs(self) -> tuple[str, ...]:
        """The classes, and the masks where they are apart."""
        return self._names or (self._output,)

    def finish(
        self,
        *,
        subtask: str | None = None,
        threshold: float = 0.9,
        mask_threshold: float = 0.5,
        overlap_mask_area_threshold: float = 0.5,
    ) -> Finish:
        """Segments of each picture.

        Args:
            subtask: ``panoptic``, ``instance`` or ``semantic``; the first of these that the model can when ``None``.
            threshold: Scores must be above; for what is not semantic.
            mask_threshold: Share from which a point counts as covered by a mask; for panoptic segments.
            overlap_mask_area_threshold: Share of a mask that no other may cover; for panoptic segments.

        Returns:
            Per picture a list of ``{"score": float | None, "label": str, "mask": PIL image}``, the mask of the picture's size,
            255 where the segment is and 0 elsewhere.

        Raises:
            InvalidInput: A parameter that the task cannot take.
        """
        thresholds = Thresholds(
            share("threshold", threshold),
            share("mask_threshold", mask_threshold),
            share("overlap_mask_area_threshold", overlap_mask_area_threshold),
        )
        find = self._find(self._subtask(subtask), thresholds)

        def answers(batch: Batch) -> list[Any]:
            found = []
            for row, prepared in enumerate(batch.prepared):
                outputs = {
                    name: array[row].astype(np.float32, copy=False) for name, array in batch.outputs.items()
                }
                found.append([self._told(segment) for segment in find(outputs, prepared.original)])
            return found

        return answers

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Picture, label, score, and the share of the picture; one row per segment."""
        rows = []
        for position, (item, answer) in enumerate(zip(items, answers, strict=True)):
            shown = self.shown(item, position)
            for segment in answer or [None]:
                cells = ("nothing", "", "")
                if segment:
                    score = "" if segment["score"] is None else f"{segment['score']:.4f}"
                    cells = (segment["label"], score, f"{np.asarray(segment['mask']).mean() / 255:.1%}")
                rows.append((shown, *cells))
                shown = ""
        return Table((self.key, "label", "score", "area"), tuple(rows))

    def draw(self, item: Any, answer: Any) -> Image.Image:
        """The picture with its segments in colours."""
        from gpux.images import drawing

        return drawing.draw_masks(self.opened(item), answer)

    def describe(self) -> Mapping[str, Any]:
        """Labels, what the model can find, and the processor."""
        labels = [self._labels[index] for index in sorted(self._labels)]
        return {**super().describe(), "labels": labels, "subtasks": list(self._subtasks())}

    def _subtasks(self) -> tuple[str, ...]:
        return SUBTASKS if self._names else SUBTASKS[-1:]

    def _subtask(self, named: str | None) -> str:
        can = self._subtasks()
        if named is not None and named not in can:
            raise InvalidInput(
                f"`subtask` is {named!r}", hint=f"this model can do {', '.join(can)}", subtask=named
            )
        return named or can[0]

    def _find(self, subtask: str, thresholds: Thresholds) -> Find:
        if self._names is None:
            return lambda outputs, size: segments.classes(outputs[self._output], size)
        classes, masks = self._names
        square = self.processor.name == _MASK2FORMER

        def find(outputs: dict[str, np.ndarray], size: Size) -> Iterable[Segment]:
            queries = outputs[classes]
            logits = segments.squared(outputs[masks], _SIDE) if square else outputs[masks]
            if subtask == "semantic":
                return segments.semantic(queries, logits, size)
            if subtask == "instance" and self._names == _QUERIES:
                return segments.instances(queries, logits, size, thresholds.query)
            return segments.panoptic(queries, logits, size, thresholds)

        return find

    def _told(self, segment: Segment) -> dict[str, Any]:
        from PIL import Image

        mask = Image.fromarray(segment.mask.astype(np.uint8) * np.uint8(255))
        return {"score": segment.score, "label": class_labels.name(self._labels, segment.index), "mask": mask}
