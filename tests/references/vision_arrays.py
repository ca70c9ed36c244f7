"""Outputs of detectors, segmenters and depth models as seeded arrays, and what transformers' own processors make of them.

Usage: python vision_arrays.py OUT.npz; the arrays come from :func:`outputs`, which the tests call as well. A key of OUT is
``<processor>/<subtask or ->/<what>``, masks are stacked in ``…/masks`` beside ``…/classes`` and ``…/scores``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

SIZE = (45, 61)  # of the picture: height and width
CLASSES, QUERIES = 70, 9  # from 64 classes on torch's topk gives an order
THRESHOLD = 0.3
SIZES = (
    ((2, 7, 5), (14, 10)),
    ((3, 16, 16), (45, 61)),
    ((1, 37, 53), (16, 16)),
    ((2, 8, 8), (8, 20)),
    ((1, 1, 1), (3, 4)),
)

DETECTORS = ("DetrImageProcessor", "YolosImageProcessor", "ConditionalDetrImageProcessor", "DeformableDetrImageProcessor", "RTDetrImageProcessor")  # fmt: skip
MASKS = ("DetrImageProcessor", "MaskFormerImageProcessor", "Mask2FormerImageProcessor")
PLANES = ("SegformerImageProcessor", "BeitImageProcessor", "MobileViTImageProcessor", "DPTImageProcessor")
DEPTHS = ("DPTImageProcessor", "GLPNImageProcessor")


def maps(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


def outputs() -> dict[str, np.ndarray]:
    """One picture's outputs, as a graph would give them."""
    random = np.random.default_rng(7)
    logits = random.normal(scale=0.5, size=(1, QUERIES, CLASSES + 1)).astype(np.float32)
    # Six queries are sure of their class, two of the same, and one is sure that there is nothing.
    for query, index in enumerate((3, 11, 3, 40, 69, 8)):
        logits[0, query, index] += 4.5 + query / 2
    logits[0, 6, CLASSES] += 9
    corner = random.uniform(0.1, 0.6, size=(1, QUERIES, 2))
    spread = random.uniform(0.1, 0.5, size=(1, QUERIES, 2))
    boxes = np.concatenate([corner + spread / 2, spread], axis=-1).astype(np.float32)
    rows, columns = np.mgrid[0:12, 0:16]
    blobs = [
        8 - 2.2 * np.hypot(rows - 1 - 1.3 * query, (columns - 2 - 1.5 * query) / 1.4)
        for query in range(QUERIES)
    ]
    masks = (np.stack(blobs)[None] + random.normal(scale=0.3, size=(1, QUERIES, 12, 16))).astype(np.float32)
    return {
        "logits": logits,
        "pred_boxes": boxes,
        "pred_masks": masks,
        "class_queries_logits": logits,
        "masks_queries_logits": masks,
        "planes": random.normal(size=(1, 6, 12, 16)).astype(np.float32),
        "predicted_depth": random.uniform(1, 9, size=(1, 12, 16)).astype(np.float32),
    }


def main(path: Path) -> None:
    import torch
    import transformers

    found: dict[str, np.ndarray] = {}
    given = {name: torch.from_numpy(array) for name, array in outputs().items()}

    def processor(name: str):
        return getattr(transformers, f"{name}Pil")()

    for position, (shape, size) in enumerate(SIZES):
        for mode in ("bilinear", "bicubic", "nearest"):
            flags = {} if mode == "nearest" else {"align_corners": False}
            made = torch.nn.functional.interpolate(
                torch.from_numpy(maps(shape))[None], size=size, mode=mode, **flags
            )
            found[f"interpolate/{mode}/{position}"] = made[0].numpy()
    for name in DETECTORS:
        read = processor(name).post_process_object_detection(
            SimpleNamespace(logits=given["logits"], pred_boxes=given["pred_boxes"]),
            THRESHOLD,
            torch.tensor([SIZE]),
        )[0]
        found.update({f"{name}/-/{key}": value.numpy() for key, value in read.items()})
    for name in PLANES:
        read = processor(name).post_process_semantic_segmentation(
            SimpleNamespace(logits=given["planes"]), target_sizes=[SIZE]
        )
        found[f"{name}/semantic/map"] = read[0].numpy()
    for name in MASKS:
        read = processor(name).post_process_semantic_segmentation(
            SimpleNamespace(**given), target_sizes=[SIZE]
        )
        found[f"{name}/semantic/map"] = read[0].numpy()
        for subtask in ("panoptic", "instance"):
            call = getattr(processor(name), f"post_process_{subtask}_segmentation")
            read = call(SimpleNamespace(**given), threshold=THRESHOLD, mask_threshold=0.2, overlap_mask_area_threshold=0.4, target_sizes=[SIZE])[0]  # fmt: skip
            parts = read["segments_info"]
            segmentation = read["segmentation"].numpy()
            found[f"{name}/{subtask}/masks"] = np.array([segmentation == part["id"] for part in parts])
            found[f"{name}/{subtask}/classes"] = np.array([part["label_id"] for part in parts])
            found[f"{name}/{subtask}/scores"] = np.array([part["score"] for part in parts])
    for name in DEPTHS:
        read = processor(name).post_process_depth_estimation(
            SimpleNamespace(predicted_depth=given["predicted_depth"]), [SIZE]
        )
        found[f"{name}/-/depth"] = read[0]["predicted_depth"].numpy()
    np.savez(path, **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
