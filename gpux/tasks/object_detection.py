"""``object-detection``: labelled boxes in the picture as it was given, in the shape that the transformers pipeline gives them.

Sources: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/object_detection.py and
``post_process_object_detection`` of each family's image processor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.head import IMAGE, Head
from gpux.pipelines import boxes, class_labels, layers
from gpux.pipelines.boxes import Found
from gpux.pipelines.image_pipeline import Finish, ImagePipeline, share
from gpux.pipelines.pipeline import Table
from gpux.pipelines.pixel_graph import Batch
from gpux.session import Session

if TYPE_CHECKING:
    from PIL import Image

    from gpux.images.processor import Prepared

_DETR = ("logits", "pred_boxes")
_LISTED = ("scores", "labels", "boxes")
_OVERLAP = 0.45
"""As YOLO's own tools suppress."""

_SOFTMAX = {"DetrImageProcessor", "YolosImageProcessor"}
_PAIRS = {"ConditionalDetrImageProcessor": 100, "DeformableDetrImageProcessor": 100}
"""Most objects of a picture, by the processor that reads the outputs; as many as queries for all others."""

Read = Callable[[dict[str, np.ndarray], "Prepared", float], Found]
"""One picture's outputs, its sizes and the threshold → objects with boxes in pixels of the picture."""


class TaskPipeline(ImagePipeline):
    """A detector with DETR's outputs, with ``scores``, ``labels`` and ``boxes``, or with YOLO's one output.

    Boxes of the last two are pixels of what the graph saw, and those that overlap a better one are dropped here.

    Raises:
        UnsupportedModel: The graph's outputs are none of these.
    """

    head: ClassVar[Head] = Head(
        auto="AutoModelForObjectDetection",
        suffixes=("ForObjectDetection",),
        outputs=_DETR,
        scores=("logits",),
        takes=(IMAGE,),
        unordered=_DETR,
    )
    parameters: ClassVar[tuple[str, ...]] = ("iou_threshold", "threshold")

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        have = {spec.name for spec in session.outputs}
        self._labels = class_labels.read(self.config)
        self._suppresses = not have.issuperset(_DETR)
        self._outputs: tuple[str, ...]
        if not self._suppresses:
            self._outputs, self._read = _DETR, self._queries()
        elif have.issuperset(_LISTED):
            self._outputs, self._read = _LISTED, _listed
        elif len(have) == 1 and len(session.outputs[0].shape) == 3:
            self._outputs, self._read = (session.outputs[0].name,), _anchors
        else:
            told = ", ".join(f"`{spec.name}`" for spec in session.outputs)
            raise layers.unsupported(artifact, f"outputs {told}, which are no detector's,")

    @property
    def outputs(self) -> tuple[str, ...]:
        """The scores and boxes."""
        return self._outputs

    def finish(self, *, threshold: float = 0.5, iou_threshold: float | None = None) -> Finish:
        """Objects of each picture.

        Args:
            threshold: Scores must be above.
            iou_threshold: Largest common share of two boxes of one class before the worse is dropped, 0.45 when ``None``;
                for graphs that leave this to whoever reads them.

        Returns:
            Per picture a list of ``{"score": float, "label": str, "box": {"xmin", "ymin", "xmax", "ymax"}}``, the box in whole
            pixels of the picture.

        Raises:
            InvalidInput: A parameter that the task cannot take.
        """
        least = share("threshold", threshold)
        if iou_threshold is not None and not self._suppresses:
            raise InvalidInput(
                "this model gives each object one box, and none is suppressed",
                hint="leave `iou_threshold` out",
                iou_threshold=iou_threshold,
            )
        overlap = _OVERLAP if iou_threshold is None else share("iou_threshold", iou_threshold)

        def answers(batch: Batch) -> list[Any]:
            found = []
            for row, prepared in enumerate(batch.prepared):
                outputs = {name: array[row] for name, array in batch.outputs.items()}
                objects = self._read(outputs, prepared, least)
                objects = objects[objects.scores > least]
                found.append(self._told(boxes.suppressed(objects, overlap) if self._suppresses else objects))
            return found

        return answers

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Picture, label, score and box; one row per object."""
        rows = []
        for position, (item, answer) in enumerate(zip(items, answers, strict=True)):
            shown = self.shown(item, position)
            for thing in answer or [None]:
                cells = ("nothing", "", "")
                if thing:
                    box = ", ".join(map(str, thing["box"].values()))
                    cells = (thing["label"], f"{thing['score']:.4f}", box)
                rows.append((shown, *cells))
                shown = ""
        return Table((self.key, "label", "score", "xmin, ymin, xmax, ymax"), tuple(rows))

    def draw(self, item: Any, answer: Any) -> Image.Image:
        """The picture with its boxes."""
        from gpux.images import drawing

        return drawing.draw_boxes(self.opened(item), answer)

    def describe(self) -> Mapping[str, Any]:
        """Labels and the processor."""
        return {**super().describe(), "labels": [self._labels[index] for index in sorted(self._labels)]}

    def _queries(self) -> Read:
        kind, model = self.processor.name, self.config.text("model_type")
        softly = kind in _SOFTMAX or (not kind and model in {"detr", "yolos", "table-transformer"})

        def read(outputs: dict[str, np.ndarray], prepared: Prepared, _: float) -> Found:
            logits, centred = (outputs[name].astype(np.float32, copy=False) for name in _DETR)
            most = _PAIRS.get(kind, len(logits))
            found = boxes.best_class(logits, centred) if softly else boxes.best_pairs(logits, centred, most)
            height, width = prepared.original
            return Found(
                found.scores,
                found.classes,
                found.boxes * np.array([width, height, width, height], np.float32),
            )

        return read

    def _told(self, objects: Found) -> list[dict[str, Any]]:
        sides = ("xmin", "ymin", "xmax", "ymax")
        return [
            {
                "score": score,
                "label": class_labels.name(self._labels, index),
                "box": dict(zip(sides, map(int, box), strict=True)),
            }
            for score, index, box in zip(
                objects.scores.tolist(), objects.classes.tolist(), objects.boxes.tolist(), strict=True
            )
        ]


def _listed(outputs: dict[str, np.ndarray], prepared: Prepared, _: float) -> Found:
    scores, classes, corners = (outputs[name] for name in _LISTED)
    return _in_picture(
        Found(scores.astype(np.float32), classes.astype(np.int64), corners.astype(np.float32)), prepared
    )


def _anchors(outputs: dict[str, np.ndarray], prepared: Prepared, threshold: float) -> Found:
    (rows,) = outputs.values()
    return _in_picture(boxes.best_anchors(rows.astype(np.float32, copy=False), threshold), prepared)


def _in_picture(found: Found, prepared: Prepared) -> Found:
    """Boxes in pixels of what the graph saw → in pixels of the picture, none of them beyond its edge."""
    (height, width), (seen_height, seen_width) = prepared.original, prepared.resized
    scale = np.array([width / seen_width, height / seen_height] * 2, np.float32)
    edge = np.array([width, height] * 2, np.float32)
    return Found(found.scores, found.classes, np.clip(found.boxes * scale, 0, edge))
