"""Makes tiny vision models of random weights, exports each to one graph, and asks the transformers pipelines.

Usage: python tiny_vision.py DIRECTORY; every picture of DIRECTORY/pictures is shown to every model, every video of
DIRECTORY/films to those that take one. Per model a directory with its
files and ``graph.onnx``; the answers of the pipelines are in ``answers.json``, and their arrays and pictures in ``arrays.npz``.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as hf
from transformers import pipeline

LABELS = {index: f"thing {index}" for index in range(6)}
HIDDEN = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
LOW = {"threshold": 0.0}
MASKS = {"threshold": 0.05, "mask_threshold": 0.0, "overlap_mask_area_threshold": 0.0}

CALLS: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "vit": ("image-classification", {"best": {}, "two": {"top_k": 2}, "sigmoid": {"function_to_apply": "sigmoid"}, "none": {"function_to_apply": "none"}}),
    "resnet": ("image-classification", {"best": {}}),
    "dinov2": ("image-feature-extraction", {"patches": {}, "pooled": {"pool": True}}),
    "detr": ("object-detection", {"all": LOW, "some": {"threshold": 0.365}}),
    "yolos": ("object-detection", {"all": LOW}),
    "segformer": ("image-segmentation", {"default": {}, "semantic": {"subtask": "semantic"}}),
    "detr_masks": ("image-segmentation", {"panoptic": MASKS, "semantic": {"subtask": "semantic"}}),
    "mask2former": ("image-segmentation", {"panoptic": MASKS, "semantic": {"subtask": "semantic"}}),
    "dpt": ("depth-estimation", {"depth": {}}),
    "depth_anything": ("depth-estimation", {"depth": {}}),
    "swin2sr": ("image-to-image", {"larger": {}}),
    "videomae": ("video-classification", {"best": {}, "two": {"top_k": 2, "frame_sampling_rate": 2}, "sigmoid": {"function_to_apply": "sigmoid"}}),
}  # fmt: skip
"""Model → task and calls."""


def vit(**changed: Any) -> Any:
    return hf.ViTConfig(**HIDDEN, image_size=32, patch_size=8, id2label=LABELS, **changed)


def resnet(**changed: Any) -> Any:
    return hf.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], id2label=LABELS, **changed
    )


def detr() -> Any:
    return hf.DetrConfig(
        use_timm_backbone=False, backbone=None, backbone_config=resnet(out_features=["stage1", "stage2", "stage3", "stage4"]), d_model=32, encoder_layers=1,
        decoder_layers=1, encoder_attention_heads=8, decoder_attention_heads=8, encoder_ffn_dim=48, decoder_ffn_dim=48,
        num_queries=8, id2label=LABELS,
    )  # fmt: skip


def mask2former() -> Any:
    swin = hf.SwinConfig(
        image_size=64, patch_size=4, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    return hf.Mask2FormerConfig(
        backbone_config=swin, feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=24,
        dim_feedforward=24, encoder_layers=1, decoder_layers=2, num_attention_heads=2, num_queries=8, id2label=LABELS,
    )  # fmt: skip


def depth_anything() -> Any:
    dino = hf.Dinov2Config(
        **{**HIDDEN, "num_hidden_layers": 4}, image_size=56, patch_size=14, out_features=[f"stage{i}" for i in range(1, 5)],
        reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    return hf.DepthAnythingConfig(
        backbone_config=dino, reassemble_hidden_size=32, patch_size=14, neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8,
        head_hidden_size=8, depth_estimation_type="metric", max_depth=20,
    )  # fmt: skip


def made() -> dict[str, tuple[Any, Any]]:
    """Model → itself and its processor."""
    square, edges = {"height": 32, "width": 32}, {"shortest_edge": 64, "longest_edge": 96}
    segformer = hf.SegformerConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 16, 16], num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=16, id2label=LABELS,
    )  # fmt: skip
    dpt = hf.DPTConfig(
        **{**HIDDEN, "num_hidden_layers": 4}, image_size=32, patch_size=8, neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8,
        backbone_out_indices=[0, 1, 2, 3], is_hybrid=False,
    )  # fmt: skip
    videomae = hf.VideoMAEConfig(
        **HIDDEN, image_size=32, patch_size=8, num_frames=4, tubelet_size=2, id2label=LABELS
    )
    return {
        "videomae": (
            hf.VideoMAEForVideoClassification(videomae),
            hf.VideoMAEImageProcessorPil(size={"shortest_edge": 36}, crop_size=square),
        ),
        "vit": (hf.ViTForImageClassification(vit()), hf.ViTImageProcessorPil(size=square)),
        "resnet": (hf.ResNetForImageClassification(resnet()), hf.ConvNextImageProcessorPil(size={"shortest_edge": 48})),
        "dinov2": (
            hf.Dinov2Model(hf.Dinov2Config(**HIDDEN, image_size=28, patch_size=7)),
            hf.BitImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28}),
        ),
        "detr": (hf.DetrForObjectDetection(detr()), hf.DetrImageProcessorPil(size=edges)),
        "yolos": (
            hf.YolosForObjectDetection(hf.YolosConfig(**HIDDEN, image_size=[64, 96], patch_size=16, num_detection_tokens=8, id2label=LABELS)),
            hf.YolosImageProcessorPil(size=edges),
        ),
        "segformer": (hf.SegformerForSemanticSegmentation(segformer), hf.SegformerImageProcessorPil(size={"height": 64, "width": 64})),
        "detr_masks": (hf.DetrForSegmentation(detr()), hf.DetrImageProcessorPil(size=edges)),
        "mask2former": (hf.Mask2FormerForUniversalSegmentation(mask2former()), hf.Mask2FormerImageProcessorPil(size={"height": 64, "width": 64})),
        "dpt": (hf.DPTForDepthEstimation(dpt), hf.DPTImageProcessorPil(size=square)),
        "depth_anything": (
            hf.DepthAnythingForDepthEstimation(depth_anything()),
            hf.DPTImageProcessorPil(size={"height": 56, "width": 56}, ensure_multiple_of=14),
        ),
        "swin2sr": (
            hf.Swin2SRForImageSuperResolution(hf.Swin2SRConfig(image_size=32, embed_dim=16, depths=[1], num_heads=[2], window_size=4, upscale=2)),
            hf.Swin2SRImageProcessorPil(),
        ),
    }  # fmt: skip


APART = ("model.query_position_embeddings", "detr.model.query_position_embeddings", "bbox_attention")
"""Weights of DETR that must be large, or all queries see the same."""
OUTPUTS = ("logits", "pred_boxes", "pred_masks", "class_queries_logits", "masks_queries_logits", "predicted_depth", "reconstruction", "last_hidden_state", "pooler_output")  # fmt: skip


class Plain(torch.nn.Module):
    """The model with its outputs as a tuple."""

    def __init__(self, model: Any, names: list[str]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, pixel_values: Any) -> Any:
        found = self.model(pixel_values)
        return tuple(found[name] for name in self.names)


def export(model: Any, feeds: Any, path: Path) -> None:
    """By the exporter that is quickest for tiny models; it settles sizes in some, which get pictures of one size then."""
    pixels = feeds["pixel_values"]
    with torch.no_grad():
        names = [name for name in OUTPUTS if name in model(pixels)]
    moving = pixels.ndim == 5
    axes = {
        "pixel_values": {0: "batch"} if moving else {0: "batch", 2: "height", 3: "width"},
        **{name: {0: "batch"} for name in names},
    }
    torch.onnx.export(
        Plain(model, names).eval(), (pixels,), path, input_names=["pixel_values"], output_names=names, dynamic_axes=axes,
        dynamo=False, opset_version=17,
    )  # fmt: skip


def plain(value: Any, key: str, arrays: dict[str, np.ndarray]) -> Any:
    """JSON, with arrays and pictures put apart under a key."""
    if isinstance(value, dict):
        return {name: plain(part, f"{key}/{name}", arrays) for name, part in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [plain(part, f"{key}/{index}", arrays) for index, part in enumerate(value)]
    if isinstance(value, str | int | float | None | list):
        return value
    arrays[key] = np.asarray(value)
    return key


def enlarged(model: Any, processor: Any, image: Any) -> Any:
    """As the pipeline of transformers 4 did, without what the processor added."""
    with torch.no_grad():
        found = model(**processor(images=image, return_tensors="pt")).reconstruction
    whole = np.moveaxis(found[0].clamp(0, 1).numpy(), 0, -1)[: image.height * 2, : image.width * 2]
    return (whole * 255.0).round().astype(np.uint8)


def main(directory: Path) -> None:
    from PIL import Image

    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    answers: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    images = {
        path.stem: Image.open(path).convert("RGB") for path in sorted((directory / "pictures").iterdir())
    }
    films = {path.stem: str(path) for path in sorted((directory / "films").iterdir())}
    for name, (model, processor) in made().items():
        torch.manual_seed(4)
        for key, weight in model.named_parameters():
            if weight.ndim > 1 and "norm" not in key.lower() and name != "swin2sr":
                torch.nn.init.normal_(weight, std=1.5 if key.startswith(APART) else 0.2)
        model.eval()
        model.save_pretrained(directory / name)
        processor.save_pretrained(directory / name)
        task, calls = CALLS[name]
        moving = task == "video-classification"
        shown = films if moving else images
        example = [next(iter(images.values()))]
        feeds = processor(images=[example * 4] if moving else example, return_tensors="pt")
        export(model, feeds, directory / name / "graph.onnx")
        run = (
            None
            if task == "image-to-image"
            else pipeline(task, model=model, image_processor=processor, device="cpu")
        )
        for call, parameters in calls.items():
            for stem, item in shown.items():
                key = f"{name}/{call}/{stem}"
                found = run(item, **parameters) if run else enlarged(model, processor, item)
                answers[key] = plain(found, key, arrays)
    (directory / "answers.json").write_text(json.dumps(answers), encoding="utf-8")
    np.savez(directory / "arrays.npz", **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
