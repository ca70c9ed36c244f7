"""What a segmenter's outputs say about one picture → a map of segments; knows no labels.

Source: ``post_process_*_segmentation`` of DETR's, MaskFormer's and Mask2Former's image processors,
https://github.com/huggingface/transformers/tree/v5.24.0/src/transformers/models
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gpux.pipelines.class_labels import sigmoid, softmax
from gpux.pipelines.interpolation import Floats, Size, bands, bilinear, nearest

_SMALL = np.float32(1e-6)  # keeps an empty mask from dividing by zero


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: its class, how sure the model is, and where it is, bool [height, width]."""

    index: int
    score: float | None
    mask: np.ndarray


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What counts: a query by its score, a point by its share in a mask, a mask by how much of it no other covers."""

    query: float
    mask: float
    overlap: float


def classes(logits: Floats, size: Size) -> Iterator[Segment]:
    """Every class that is the best one anywhere: semantic segments, without scores.

    Args:
        logits: float32 [classes, height, width].
        size: Height and width of the picture.
    """
    best = np.zeros(size, np.int32)
    for rows, planes in bands(logits, size):
        best[rows] = _largest(planes)
    for index in np.unique(best).tolist():
        yield Segment(index, None, best == index)


def semantic(class_logits: Floats, mask_logits: Floats, size: Size) -> Iterator[Segment]:
    """Semantic segments out of queries: each query's mask counts for each class as much as the query is of it.

    Args:
        class_logits: float32 [queries, classes + 1], the last for "no object".
        mask_logits: float32 [queries, height, width].
        size: Height and width of the picture.
    """
    shares = softmax(class_logits)[:, :-1]
    return classes(np.tensordot(shares, sigmoid(mask_logits), axes=(0, 0)), size)


def panoptic(
    class_logits: Floats, mask_logits: Floats, size: Size, thresholds: Thresholds
) -> Iterator[Segment]:
    """Segments that share no point: each point belongs to the query whose mask is surest of it; nothing is fused.

    Args:
        class_logits: float32 [queries, classes + 1], the last for "no object".
        mask_logits: float32 [queries, height, width].
        size: Height and width of the picture.
        thresholds: What counts.
    """
    shares = softmax(class_logits)
    best, scores = shares.argmax(axis=-1), shares.max(axis=-1)
    kept = (best != class_logits.shape[-1] - 1) & (scores > thresholds.query)
    if not kept.any():
        return
    best, scores = best[kept], scores[kept]
    chances = sigmoid(mask_logits[kept])
    owner = np.zeros(size, np.int32)
    areas = np.zeros(len(scores), np.int64)
    for rows, planes in bands(chances, size):
        weighed = planes * scores[:, None, None]
        areas += np.count_nonzero(weighed >= thresholds.mask, axis=(1, 2))
        owner[rows] = _largest(weighed)
    for query, (index, score) in enumerate(zip(best.tolist(), scores.tolist(), strict=True)):
        mask = owner == query
        own, whole = np.count_nonzero(mask), areas[query]
        if own and whole and np.float32(own) / np.float32(whole) > thresholds.overlap:
            yield Segment(index, round(score, 6), mask)


def instances(class_logits: Floats, mask_logits: Floats, size: Size, threshold: float) -> Iterator[Segment]:
    """The best pairs of query and class, as many as queries; where two share points, the later, less sure one has them.

    Args:
        class_logits: float32 [queries, classes + 1], the last for "no object".
        mask_logits: float32 [queries, height, width].
        size: Height and width of the picture.
        threshold: Smallest score of a segment: that of its class times the mean of its mask.
    """
    shares = softmax(class_logits)[:, :-1]
    count, width = shares.shape
    # torch leaves the order open where there are fewer than 64 classes.
    order = np.argsort(-shares.ravel(), kind="stable")[:count]
    owner = np.full(size, -1, np.int32)
    found: list[tuple[int, float]] = []
    for pair in order.tolist():
        query, index = divmod(pair, width)
        logits = mask_logits[query]
        inside = logits > 0
        mean = (sigmoid(logits) * inside).sum() / (np.float32(np.count_nonzero(inside)) + _SMALL)
        score = float(shares[query, index] * mean)
        mask = nearest(inside, size)
        if score >= threshold and mask.any():
            owner[mask] = len(found)
            found.append((index, round(score, 6)))
    for position, (index, score) in enumerate(found):
        yield Segment(index, score, owner == position)


def squared(mask_logits: Floats, side: int) -> Floats:
    """Masks at the size at which Mask2Former compares them."""
    return bilinear(mask_logits, (side, side))


def _largest(planes: Floats) -> np.ndarray:
    """Which plane is largest at each point; plane by plane, for argmax over the first axis copies everything."""
    best = planes[0].copy()
    found = np.zeros(best.shape, np.int32)
    for index, plane in enumerate(planes[1:], 1):
        np.putmask(found, plane > best, index)
        np.maximum(best, plane, out=best)
    return found
