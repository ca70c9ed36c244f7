"""What a detector's outputs say → scores, classes and boxes of one picture; knows no labels and no sizes of pictures.

A box is its corners ``[xmin, ymin, xmax, ymax]``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpux.pipelines.class_labels import sigmoid, softmax


@dataclass(frozen=True, slots=True)
class Found:
    """Objects of one picture.

    Attributes:
        scores: float32 [objects].
        classes: int64 [objects].
        boxes: float32 [objects, 4].
    """

    scores: np.ndarray
    classes: np.ndarray
    boxes: np.ndarray

    def __getitem__(self, which: np.ndarray) -> Found:
        return Found(self.scores[which], self.classes[which], self.boxes[which])


def best_class(logits: np.ndarray, centred: np.ndarray) -> Found:
    """DETR's reading: softmax over the classes, of which the last is "no object"; one class per query, in their order.

    Args:
        logits: float32 [queries, classes + 1].
        centred: float32 [queries, 4], centre and size.
    """
    shares = softmax(logits)[:, :-1]
    return Found(shares.max(axis=-1), shares.argmax(axis=-1), corners(centred))


def best_pairs(logits: np.ndarray, centred: np.ndarray, most: int) -> Found:
    """Deformable DETR's reading: each pair of query and class has a chance of its own; the best so many of all, best first.

    Args:
        logits: float32 [queries, classes].
        centred: float32 [queries, 4], centre and size.
        most: Pairs to keep.
    """
    classes = logits.shape[-1]
    chances = sigmoid(logits).ravel()
    order = np.argsort(-chances, kind="stable")[:most]
    return Found(chances[order], order % classes, corners(centred)[order // classes])


def best_anchors(rows: np.ndarray, threshold: float) -> Found:
    """YOLO's reading: an anchor has its box, centre and size first, and then a chance per class; one class per anchor.

    Args:
        rows: float32 [4 + classes, anchors].
        threshold: Anchors below are dropped at once, for there are thousands.
    """
    chances = rows[4:]
    scores = chances.max(axis=0)
    kept = scores > threshold
    return Found(scores[kept], chances[:, kept].argmax(axis=0), corners(rows[:4, kept].T))


def suppressed(found: Found, overlap: float) -> Found:
    """Without the boxes that overlap a better one of the same class by more than a share of what both cover; best first."""
    left = found[np.argsort(-found.scores, kind="stable")]
    kept = []
    while len(left.scores):
        kept.append(left[np.arange(1)])
        rest = left[np.arange(1, len(left.scores))]
        other = rest.classes != left.classes[0]
        left = rest[other | (_overlaps(left.boxes[0], rest.boxes) <= overlap)]
    if not kept:
        return left
    return Found(
        np.concatenate([one.scores for one in kept]),
        np.concatenate([one.classes for one in kept]),
        np.concatenate([one.boxes for one in kept]),
    )


def corners(centred: np.ndarray) -> np.ndarray:
    """Corners of boxes [boxes, 4] that are given by centre, width and height."""
    x, y, width, height = np.moveaxis(centred, -1, 0)
    half = np.float32(0.5)
    return np.stack([x - half * width, y - half * height, x + half * width, y + half * height], axis=-1)


def _overlaps(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Common area over the area of both, [others]."""
    low, high = np.maximum(one[:2], others[:, :2]), np.minimum(one[2:], others[:, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=-1)
    both = np.prod(one[2:] - one[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=-1) - common
    shares: np.ndarray = common / np.maximum(both, np.float32(1e-9))
    return shares
