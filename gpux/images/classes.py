"""The processor classes of transformers: what each takes for granted where a model's file is silent, and what it does.

``tests/unit/test_images_classes.py`` holds every line against transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NEAREST, LANCZOS, BILINEAR, BICUBIC, BOX, HAMMING = range(6)
"""Pillow's numbers of its filters."""
STANDARD = ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
"""Mean and standard deviation of red, green and blue."""


@dataclass(frozen=True, slots=True)
class ProcessorClass:
    """One processor class.

    Attributes:
        defaults: Its attributes, by the names that a model's file gives them.
        rule: How it reads ``size``; see :mod:`gpux.images.rules`.
        crops: Whether it follows ``do_center_crop``.
        normalizes: Whether it follows ``do_normalize``.
        pads: How ``do_pad`` makes a batch of one size: not at all, with ``zeros``, with zeros and a ``mask``; ``always``
            with both whatever ``do_pad`` says; or each picture alone, ``around`` it or by ``mirror``, or to a ``square`` of the
            mean colour before it is resized.
        smooth: Whether it resizes floats, which are not rounded to 8 bits after.
    """

    defaults: Mapping[str, Any]
    rule: str = "plain"
    crops: bool = True
    normalizes: bool = True
    pads: str = ""
    smooth: bool = False


def _class(
    statistics: tuple[list[float], list[float]] | None,
    resample: int | None,
    size: Mapping[str, int] | None,
    *,
    crop: int | None = None,
    rule: str = "plain",
    crops: bool = True,
    normalizes: bool = True,
    pads: str = "",
    smooth: bool = False,
    **others: Any,
) -> ProcessorClass:
    defaults: dict[str, Any] = {
        "do_resize": size is not None,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": statistics is not None,
        "default_to_square": True,
    }
    if statistics is not None:
        defaults |= {"image_mean": statistics[0], "image_std": statistics[1]}
    if resample is not None:
        defaults["resample"] = resample
    if size is not None:
        defaults["size"] = dict(size)
    if crop is not None:
        defaults |= {"do_center_crop": True, "crop_size": _square(crop)}
    return ProcessorClass(defaults | others, rule, crops, normalizes, pads, smooth)


def _square(edge: int) -> dict[str, int]:
    return {"height": edge, "width": edge}


def _shortest(edge: int) -> dict[str, int]:
    return {"shortest_edge": edge}


_DETECTION = {"shortest_edge": 800, "longest_edge": 1333}
_DETR = _class(
    IMAGENET,
    BILINEAR,
    _DETECTION,
    rule="edges",
    crops=False,
    pads="mask",
    default_to_square=False,
    do_pad=True,
)
_MASKFORMER = _class(
    IMAGENET,
    BILINEAR,
    _DETECTION,
    rule="maskformer",
    crops=False,
    pads="always",
    default_to_square=False,
    size_divisor=32,
)
_CLIP = _class(CLIP, BICUBIC, _shortest(224), crop=224, pads="zeros", default_to_square=False)
_DPT = _class(
    STANDARD,
    BICUBIC,
    _square(384),
    rule="dpt",
    crops=False,
    pads="around",
    do_pad=False,
    ensure_multiple_of=1,
    keep_aspect_ratio=False,
)

CLASSES: Mapping[str, ProcessorClass] = {
    "BeitImageProcessor": _class(STANDARD, BICUBIC, _square(224), crop=224, do_center_crop=False),
    "BitImageProcessor": _CLIP,
    "BlipImageProcessor": _class(CLIP, BICUBIC, _square(384), pads="zeros"),
    "BridgeTowerImageProcessor": _class(
        CLIP,
        BICUBIC,
        _shortest(288),
        rule="vilt",
        pads="mask",
        default_to_square=False,
        do_center_crop=True,
        crop_size=_shortest(288),
        do_pad=True,
        size_divisor=32,
    ),
    "CLIPImageProcessor": _CLIP,
    "ChineseCLIPImageProcessor": _CLIP,
    "ConditionalDetrImageProcessor": _DETR,
    "ConvNextImageProcessor": _class(
        STANDARD, BICUBIC, _shortest(384), rule="convnext", default_to_square=False, crop_pct=224 / 256
    ),
    "DINOv3ViTImageProcessor": _class(IMAGENET, BILINEAR, _square(224), crops=False, smooth=True),
    "DPTImageProcessor": _DPT,
    "DeformableDetrImageProcessor": _DETR,
    "DeiTImageProcessor": _class(STANDARD, BICUBIC, _square(256), crop=224, pads="zeros"),
    "DetrImageProcessor": _DETR,
    "DonutImageProcessor": _class(
        STANDARD,
        BILINEAR,
        {"height": 2560, "width": 1920},
        rule="page",
        crops=False,
        do_thumbnail=True,
        do_align_long_axis=False,
        do_pad=True,
    ),
    "EfficientNetImageProcessor": _class(
        STANDARD,
        BICUBIC,
        _square(346),
        crop=289,
        do_center_crop=False,
        rescale_offset=False,
        include_top=True,
    ),
    "FlavaImageProcessor": _class(CLIP, BICUBIC, _square(224), crop=224),
    "GLPNImageProcessor": _class(
        None, BILINEAR, None, rule="lowered", crops=False, do_resize=True, size_divisor=32
    ),
    "GroundingDinoImageProcessor": _DETR,
    "LevitImageProcessor": _class(
        IMAGENET, BICUBIC, _shortest(224), crop=224, rule="levit", pads="zeros", default_to_square=False
    ),
    "LlavaImageProcessor": _class(
        CLIP, BICUBIC, _shortest(224), crop=224, pads="square", default_to_square=False, do_pad=False
    ),
    "LlavaNextImageProcessor": _class(
        CLIP,
        BICUBIC,
        _shortest(224),
        crop=224,
        default_to_square=False,
        do_pad=True,
        image_grid_pinpoints=[[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]],
    ),
    "Mask2FormerImageProcessor": _MASKFORMER,
    "MaskFormerImageProcessor": _MASKFORMER,
    "MobileNetV1ImageProcessor": _class(
        STANDARD, BILINEAR, _shortest(256), crop=224, pads="zeros", default_to_square=False
    ),
    "MobileNetV2ImageProcessor": _class(
        STANDARD, BILINEAR, _shortest(256), crop=224, default_to_square=False
    ),
    "MobileViTImageProcessor": _class(
        STANDARD,
        BICUBIC,
        _shortest(224),
        crop=256,
        normalizes=False,
        default_to_square=False,
        do_normalize=None,
        do_flip_channel_order=True,
    ),
    "OwlViTImageProcessor": _class(CLIP, BICUBIC, _square(768), crop=768, pads="zeros", do_center_crop=False),
    "PerceiverImageProcessor": _class(IMAGENET, BICUBIC, _square(224), crop=256),
    "PoolFormerImageProcessor": _class(
        IMAGENET,
        BICUBIC,
        _shortest(224),
        crop=224,
        rule="poolformer",
        pads="zeros",
        default_to_square=False,
        crop_pct=0.9,
    ),
    "PromptDepthAnythingImageProcessor": _DPT,
    "PvtImageProcessor": _class(IMAGENET, BICUBIC, _square(224), pads="zeros"),
    "Qwen2VLImageProcessor": _class(
        CLIP,
        BICUBIC,
        {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 1280},
        rule="patches",
        crops=False,
        default_to_square=False,
        patch_size=14,
        temporal_patch_size=2,
        merge_size=2,
    ),
    "RTDetrImageProcessor": _class(
        IMAGENET,
        BILINEAR,
        _square(640),
        rule="edges",
        crops=False,
        pads="mask",
        default_to_square=False,
        do_normalize=False,
        do_pad=False,
    ),
    "SegformerImageProcessor": _class(IMAGENET, BILINEAR, _square(512), crops=False),
    "SiglipImageProcessor": _class(STANDARD, BICUBIC, _square(224), pads="zeros", default_to_square=False),
    "Swin2SRImageProcessor": _class(
        None, None, None, crops=False, normalizes=False, pads="mirror", do_pad=True, size_divisor=8
    ),
    "TextNetImageProcessor": _class(
        IMAGENET,
        BILINEAR,
        _shortest(640),
        crop=224,
        rule="textnet",
        default_to_square=False,
        do_center_crop=False,
        size_divisor=32,
    ),
    "ViTImageProcessor": _class(STANDARD, BILINEAR, _square(224), pads="zeros"),
    "VideoMAEImageProcessor": _class(STANDARD, BILINEAR, _shortest(224), crop=224, default_to_square=False),
    "ViltImageProcessor": _class(
        STANDARD,
        BICUBIC,
        _shortest(384),
        rule="vilt",
        crops=False,
        pads="mask",
        default_to_square=False,
        do_pad=True,
        size_divisor=32,
    ),
    "VivitImageProcessor": _class(
        STANDARD,
        BILINEAR,
        _shortest(256),
        crop=224,
        default_to_square=False,
        rescale_factor=1 / 127.5,
        offset=True,
    ),
    "YolosImageProcessor": _class(
        IMAGENET,
        BILINEAR,
        _DETECTION,
        rule="yolos",
        crops=False,
        pads="mask",
        default_to_square=False,
        do_pad=True,
    ),
}

_OF_MODELS: Mapping[str, tuple[str, ...]] = {
    "Beit": ("beit", "data2vec-vision"),
    "Bit": ("bit", "dinov2", "focalnet", "hiera", "pixio"),
    "Blip": ("blip", "blip-2", "instructblip"),
    "BridgeTower": ("bridgetower",),
    "CLIP": (
        "aimv2",
        "aimv2_vision_model",
        "altclip",
        "clip",
        "git",
        "groupvit",
        "metaclip_2",
        "mlcd",
        "xclip",
    ),
    "ChineseCLIP": ("chinese_clip",),
    "ConditionalDetr": ("conditional_detr",),
    "ConvNext": ("convnext", "convnextv2", "cvt", "regnet", "resnet"),
    "DINOv3ViT": ("dinov3_vit",),
    "DPT": ("depth_anything", "dpt"),
    "DeformableDetr": ("deformable_detr", "lw_detr"),
    "DeiT": ("deit",),
    "Detr": ("detr", "omdet-turbo", "table-transformer"),
    "Donut": ("donut-swin",),
    "EfficientNet": ("align", "efficientnet"),
    "Flava": ("flava",),
    "GLPN": ("glpn",),
    "GroundingDino": ("grounding-dino", "mm-grounding-dino"),
    "Levit": ("levit",),
    "Llava": ("llava",),
    "LlavaNext": ("granite4_vision", "llava_next", "llava_next_video"),
    "Mask2Former": ("mask2former",),
    "MaskFormer": ("maskformer",),
    "MobileNetV1": ("mobilenet_v1",),
    "MobileNetV2": ("mobilenet_v2",),
    "MobileViT": ("mobilevit", "mobilevitv2"),
    "OwlViT": ("owlvit",),
    "Perceiver": ("perceiver",),
    "PoolFormer": ("poolformer",),
    "PromptDepthAnything": ("prompt_depth_anything",),
    "Pvt": ("pvt", "pvt_v2"),
    "Qwen2VL": (
        "colqwen2",
        "cosmos3_omni",
        "dots3_note",
        "exaone4_5",
        "hyperclovax_vision_v2",
        "lfm3_vl",
        "qwen2_5_omni",
        "qwen2_5_vl",
        "qwen2_vl",
        "qwen3_5",
        "qwen3_5_moe",
        "qwen3_omni_moe",
        "qwen3_vl",
        "qwen4_exp",
    ),
    "RTDetr": ("deimv2", "rt_detr"),
    "Segformer": ("segformer", "upernet"),
    "Siglip": ("siglip",),
    "Swin2SR": ("swin2sr",),
    "TextNet": ("textnet",),
    "ViT": (
        "clipseg",
        "dinat",
        "ijepa",
        "mgp-str",
        "swiftformer",
        "swin",
        "swinv2",
        "vit",
        "vit_mae",
        "vit_msn",
    ),
    "VideoMAE": ("timesformer", "videomae"),
    "Vilt": ("vilt",),
    "Vivit": ("vivit",),
    "Yolos": ("yolos",),
}
MODEL_TYPES: Mapping[str, str] = {
    model: f"{prefix}ImageProcessor" for prefix, models in _OF_MODELS.items() for model in models
}
"""``model_type`` of a configuration → the class that transformers takes where the model's file names none."""


def named(name: str) -> str:
    """The class of a name: "Fast" and "Pil" mark other ways to compute the same, "FeatureExtractor" is the older name."""
    for suffix in ("Fast", "Pil"):
        name = name.removesuffix(suffix)
    for older in ("FeatureExtractor", "VideoProcessor"):
        name = name.replace(older, "ImageProcessor")
    return name
